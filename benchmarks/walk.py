"""The walk of a training: which modules of hyoid a reader of one step opens, and how often the way turns back.

Functions are followed from their first call. A module counts when a call from another module enters it for the first
time; a return is a function first called in a module that was entered before; a callback is a return to a module that
waits further down the stack for the answer. Run it with:

    python benchmarks/walk.py
"""

from __future__ import annotations

import sys
import tempfile
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

ROOT = Path(__file__).parents[1]
PACKAGE = str(ROOT / "src" / "hyoid")


def module_of(frame: FrameType | None) -> str | None:
    """The module of hyoid that a frame belongs to; None for those of others."""
    name = frame.f_code.co_filename if frame is not None else ""
    return name[len(PACKAGE) + 1 : -3] if name.startswith(PACKAGE) else None


@dataclass
class Walk:
    """What was entered, in order; returns and callbacks as (from, to, function)."""

    modules: list[str] = field(default_factory=list)
    returns: list[tuple[str, str, str]] = field(default_factory=list)
    callbacks: list[tuple[str, str, str]] = field(default_factory=list)

    def look(self, frame: FrameType, event: str, _: object) -> None:
        """Take note of a call, as a function for `sys.setprofile`."""
        here = module_of(frame)
        if event != "call" or here is None:
            return
        below, outer = [], frame.f_back
        while outer is not None:
            below += [name] if (name := module_of(outer)) is not None else []
            outer = outer.f_back
        if below[:1] == [here]:
            return
        move = (below[0] if below else "", here, frame.f_code.co_name)
        if here not in self.modules:
            self.modules.append(here)
        elif move[1:] not in [other[1:] for other in self.returns]:
            self.returns.append(move)
            self.callbacks += [move] if here in below else []

    def follow(self, work: Callable[[], Any]) -> None:
        """Do the work, with threads, and note its way."""
        threading.setprofile(self.look)
        sys.setprofile(self.look)
        try:
            work()
        finally:
            sys.setprofile(None)
            threading.setprofile(None)  # type: ignore[arg-type]

    def describe(self, what: str) -> str:
        """In a line, and the returns below it."""
        line = (
            f"{what}: {len(self.modules)} modules, {len(self.returns)} returns, {len(self.callbacks)} of them callbacks"
        )
        return "\n".join([line, *(f"  {start} -> {end}.{name}" for start, end, name in self.returns)])


def main() -> None:
    """Print the walk of the second step of a training on the tiny phantom of the tests, and of all of it."""
    sys.path.insert(0, str(ROOT / "tests"))
    from hyoid.training.learner import Learner
    from phantoms import make_tiny

    with tempfile.TemporaryDirectory() as folder:
        tiny = make_tiny(Path(folder) / "store")
        tiny.fit(Path(folder) / "warm", {"tensorboard": False}, steps=1)
        whole, one, step = Walk(), Walk(), Learner.step
        whole.follow(lambda: tiny.fit(Path(folder) / "whole", {"tensorboard": False}, steps=2))

        def followed(self: Any, number: int, *arguments: Any) -> None:
            one.follow(lambda: step(self, number, *arguments)) if number == 1 else step(self, number, *arguments)

        Learner.step = followed  # type: ignore[method-assign]
        tiny.fit(Path(folder) / "one", {"tensorboard": False, "workers": 1}, steps=2)
    print(whole.describe("fit with two steps"))
    print(one.describe("one step of the learner"))


if __name__ == "__main__":
    main()
