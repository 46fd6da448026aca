"""The walk of a training: which modules of hyoid two steps enter, and which calls go up again.

A call goes up when it enters a module that waits further down the stack for another module's answer: the loop calls
the learner, and the learner calls back into the loop. Run it from the root of the repository:

    python -m benchmarks.walk
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import FrameType
from typing import Any

PACKAGE = str(Path(__file__).parents[1] / "src" / "hyoid")
Edge = tuple[str, str]


def room(frame: FrameType | None) -> str | None:
    """The module of hyoid that a frame belongs to; None for those of others."""
    name = frame.f_code.co_filename if frame is not None else ""
    return name[len(PACKAGE) + 1 : -3] if name.startswith(PACKAGE) else None


def walk(work: Callable[[], Any]) -> tuple[dict[str, int], dict[Edge, int]]:
    """Calls into each module from another one, and calls that go up again, by (from, to), while `work` runs."""
    entered: dict[str, int] = {}
    climbs: dict[Edge, int] = {}

    def look(frame: FrameType, event: str, _: object) -> None:
        here = room(frame)
        if event != "call" or here is None:
            return
        below, outer = [], frame.f_back
        while outer is not None:
            if (name := room(outer)) is not None:
                below.append(name)
            outer = outer.f_back
        if not below or below[0] != here:
            entered[here] = entered.get(here, 0) + 1
            if here in below:
                edge = (f"{below[0]}", f"{here}:{frame.f_code.co_name}")
                climbs[edge] = climbs.get(edge, 0) + 1

    threading.setprofile(look)
    sys.setprofile(look)
    try:
        work()
    finally:
        sys.setprofile(None)
        threading.setprofile(None)  # type: ignore[arg-type]
    return entered, climbs


def main() -> None:
    """Print the walk of two steps on the tiny phantom of the tests."""
    sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
    from phantoms import make_tiny

    with tempfile.TemporaryDirectory() as folder:
        tiny = make_tiny(Path(folder) / "store")
        tiny.fit(Path(folder) / "before", {"tensorboard": False}, steps=1)
        entered, climbs = walk(lambda: tiny.fit(Path(folder) / "run", {"tensorboard": False}, steps=2))
    rooms = {name.split("/")[0] for name in entered}
    print(f"{len(entered)} modules of {len(rooms)} rooms, entered {sum(entered.values())} times")
    for name, count in sorted(entered.items()):
        print(f"  {name}  {count}")
    print(f"{len(climbs)} kinds of calls that go up again, {sum(climbs.values())} calls")
    for (start, end), count in sorted(climbs.items()):
        print(f"  {start} -> {end}  {count}")


if __name__ == "__main__":
    main()
