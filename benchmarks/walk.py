"""The walk of one case through one training step: which rooms (folders of hyoid) it enters, and where it climbs.

The verb `train` is followed on a prepared run of phantoms: one step with one patch, then what any training ends with.
Each function counts when one room calls it for the first time. The walk is the rooms in the order of these calls, those
in a row once; a climb is such a call into a room on a higher floor. Compare with another checkout of hyoid:

    python benchmarks/walk.py [CHECKOUT]
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from itertools import groupby
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


def followed(work: Callable[[], object]) -> list[tuple[str, str, str]]:
    """Each first call from one room into another, also in threads: from, to, function."""
    calls: dict[tuple[str, str, str], None] = {}

    def look(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code.co_filename.startswith(f"{PACKAGE}/"):
            (room, function), caller = place_of(frame) or ("", ""), place_of(frame.f_back)
            if caller is not None and caller[0] != room:
                calls.setdefault((caller[0], room, function))

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return list(calls)


def trained(folder: Path) -> list[tuple[str, str, str]]:
    """The calls of `train` on a prepared run of phantoms."""
    from importlib import import_module

    import hyoid

    shelf: Any = import_module("hyoid.datasets.phantoms" if (PACKAGE / "datasets").is_dir() else "hyoid.io.phantoms")
    shelf.write_phantoms(folder / "data", num_cases=5)
    steps = {"changes": ("planning.batch=1", "training.workers=1", "training.tensorboard=false"), "steps": 1}
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
        calls = trained(Path(folder))
    walk = [room for room, _ in groupby(room for _, room, _ in calls)]
    climbs = [call for call in calls if FLOOR_OF[call[0]] < FLOOR_OF[call[1]]]
    print(f"{len(set(walk))} rooms, entered {len(walk)} times; {len(climbs)} climbs")
    print(" -> ".join(walk))
    print("\n".join(f"  climb {start} -> {end}.{name}" for start, end, name in climbs))


if __name__ == "__main__":
    main()
