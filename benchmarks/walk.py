"""The walk of one case through training: which rooms (folders of hyoid) it enters in order, and where it climbs.

The verb `train` is followed on a prepared run of phantoms: one step with one patch, and all that comes before and
after. Each function counts when one room first calls it. A walk is the rooms of these calls, those in a row once; the
ground floors `core` and `ops`, which every room stands on, are left out. A climb is the step from one room of the walk
to a next one on a higher floor. The step alone is what draws, reads and stacks its patch, and what learns from it.
Compare with another checkout of hyoid:

    python benchmarks/walk.py [CHECKOUT]
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parents[1]).resolve()
PACKAGE = ROOT / "src" / "hyoid"


def place_of(frame: FrameType | None) -> tuple[str, str] | None:
    """Room and function of the innermost frame of hyoid; None without any."""
    while frame is not None:
        if frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
            room = Path(frame.f_code.co_filename).relative_to(PACKAGE).parts[0].removesuffix(".py")
            return room, frame.f_code.co_qualname
        frame = frame.f_back
    return None


STEP = {("data", "_sample"), ("data", "_collate"), ("learner", "step")}
"""Files and functions of training in which a step happens."""

GROUND = ("core", "ops")
"""Rooms that every other stands on."""

Call = tuple[str, str, str]
"""From a room, to a room, into a function."""


def in_step(frame: FrameType | None) -> bool:
    """Whether a step happens here."""
    while frame is not None:
        if (Path(frame.f_code.co_filename).stem, frame.f_code.co_name) in STEP:
            return True
        frame = frame.f_back
    return False


def followed(work: Callable[[], object]) -> tuple[list[Call], list[Call]]:
    """Each first call from one room into another, also in threads: all of them, and those of the step."""
    calls: dict[Call, None] = {}
    of_step: dict[Call, None] = {}

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
            (room, function), caller = place_of(frame) or ("", ""), place_of(frame.f_back)
            if caller is not None and caller[0] != room:
                call = (caller[0], room, function)
                calls.setdefault(call)
                if call not in of_step and in_step(frame.f_back):
                    of_step[call] = None

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return list(calls), list(of_step)


def trained(folder: Path) -> tuple[list[Call], list[Call]]:
    """The calls of `train` on a prepared run of phantoms."""
    from importlib import import_module

    import hyoid

    shelf: Any = import_module("hyoid.datasets.phantoms" if (PACKAGE / "datasets").is_dir() else "hyoid.io.phantoms")
    shelf.write_phantoms(folder / "data", num_cases=5)
    steps = {"changes": ("planning.batch=1", "training.workers=1", "training.tensorboard=false"), "steps": 1}
    steps["changes"] += ("plan.foreground_share=1",)  # the patch is looked for around a structure
    for run in ("warm", "run"):  # the first one loads modules and compiles loops
        hyoid.plan(folder / "data", into=folder / run, threads=1, **steps)
        hyoid.prepare(folder / run)
        calls = followed(lambda run=run: hyoid.train(folder / run))
    return calls


def main() -> None:
    """Print rooms, climbs and the walk."""
    sys.path[:0] = [str(ROOT / "src"), str(ROOT / "tests")]
    from test_architecture import FLOOR_OF

    with tempfile.TemporaryDirectory() as folder:
        both = trained(Path(folder))
    for what, calls in zip(("train", "its step"), both, strict=True):
        walk = [room for room, _ in groupby(room for _, room, _ in calls if room not in GROUND)]
        climbs = sum(FLOOR_OF[room] < FLOOR_OF[after] for room, after in pairwise(walk))
        print(f"{what}: {len(set(walk))} rooms, entered {len(walk)} times, with {climbs} climbs")
        print("  " + " -> ".join(walk))


if __name__ == "__main__":
    main()
