"""Which engine computes the net, and whether it may: torch is the reference, and the others must agree with it.

A program is made for each shape of tiles. `auto` first lets torch work; once torch has spent on a shape what making a
program costs, it makes one, compares answers and times, and keeps the better of the two. A program that is kept from an
earlier time is compared with torch on the second tiles of its shape. So a single small image costs nothing extra, and a
long job at most twice what the best choice would have.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from ..core.errors import ConfigError, HyoidError
from ..core.extras import install_command
from ..core.progress import log
from .agreement import ALIKE, CLOSE, SAME, Sameness, decided_alike, likeness, shares, varied
from .engine import Program, check_installed, filled
from .programs import Programs
from .torch import TorchEngine

BackendName = Literal["torch", "auto", "compile", "onnx", "openvino", "openvino_int8"]
Patches = Callable[[str, tuple[int, ...]], Tensor]
"""Tiles (n, C, *S) of this shape from prepared cases, of "training" or "validation"."""

PATIENCE_SECONDS = 6.0
"""What making a program costs, about; torch may spend as much on a shape before `auto` makes one."""


@dataclass
class Choice:
    """What computes tiles of one shape."""

    program: Program | None = None  # None is torch
    batch: int = 0  # tiles the program was made for; fewer are filled up
    spent: float = 0.0  # seconds that torch has worked on such tiles
    calls: int = 0
    settled: bool = False


@dataclass
class ChoosingEngine:
    """Computes tiles by the engine that was named or that pays, by torch where that cannot or disagrees.

    Attributes:
        torch: The reference.
        name: A name from the shelf of engines, or auto.
        kept: Folder in which programs are kept, and a key that tells weights apart; None keeps nothing.
        patches: Gives tiles to judge engines with, and to calibrate those of 8 bits; a HyoidError when it cannot.
    """

    torch: TorchEngine
    name: BackendName = "auto"
    kept: tuple[Path, str] | None = None
    patches: Patches | None = None
    choices: dict[tuple[int, ...], Choice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_installed(self.name)
        self.facts, self.evidence, self.device = self.torch.facts, self.torch.evidence, self.torch.device
        half = self.torch.precision != "32-true"
        self.programs = Programs(self.torch.net, self.evidence.kind, half, *(self.kept or (None, "")))
        self.probable = self.evidence.task.probable
        self.needed = SAME if self.probable else CLOSE

    def __call__(self, tiles: Tensor) -> Tensor:
        choice = self.choices.setdefault(tuple(tiles.shape[1:]), Choice())
        if self.name != "auto" and not choice.settled:
            choice.program, choice.batch, choice.settled = self._wanted(tiles), len(tiles), True
        if choice.program is not None:
            return filled(choice.program, tiles, choice.batch)
        begin = time.perf_counter()
        answer = self.torch(tiles)
        choice.spent, choice.calls = choice.spent + time.perf_counter() - begin, choice.calls + 1
        if not choice.settled:
            self._consider(choice, tiles, answer)
        return answer

    @property
    def answered(self) -> str:
        """Who has answered, as a sentence."""
        count = sum(choice.program is not None for choice in self.choices.values())
        auto, fastest = self.name == "auto", fastest_installed()
        if count:
            whom = f"{fastest if auto else self.name} answered"
            some = f" tiles of {count} of {len(self.choices)} shapes, torch the others"
            return f"{whom}{some if count < len(self.choices) else ''}."
        if auto and fastest is None:
            return f"torch answered: no other engine is installed; `{install_command('openvino')}` installs one."
        if auto:
            return "torch answered: no other engine was worth making, or none answered as well."
        return f"torch answered: {self.name} could not, or not as well."

    def _maps(self, evidence: Tensor) -> Tensor:
        return self.evidence.maps(self.evidence.averaged(evidence))

    def _consider(self, choice: Choice, tiles: Tensor, answer: Tensor) -> None:
        """Make a program for such tiles if it is likely to pay; `answer` is torch's output for them."""
        name = fastest_installed()
        if name is None or tiles.device.type != "cpu":
            choice.settled = True
        elif choice.spent > PATIENCE_SECONDS or (choice.calls > 1 and self.programs.kept(name, tiles, True)):
            ours = self._maps(answer)
            if not varied(ours, self.probable):
                return  # where there is nothing to find, every engine agrees
            choice.settled = True
            program = self.programs.make(name, tiles)
            if program is not None and self._agrees(name, program, tiles, choice, ours):
                choice.program, choice.batch = program, len(tiles)

    def _wanted(self, tiles: Tensor) -> Program | None:
        """The program of the engine that was named, or None with a warning."""
        if tiles.device.type != "cpu" and self.name != "compile":
            log.warning("%s computes on the processor only; torch answers on %s.", self.name, tiles.device)
            return None
        return self._rounded(tiles) if self.name == "openvino_int8" else self.programs.make(self.name, tiles)

    def _rounded(self, tiles: Tensor) -> Program | None:
        """The program in 8 bits, once it agrees with torch on validation patches; else None."""
        name = "openvino_int8"
        if (patches := self.patches) is None:
            raise ConfigError("openvino_int8 is calibrated on the prepared cases of a run, and there is no run here.")
        validation = cache(partial(patches, "validation", tuple(tiles.shape[2:])))
        same = self.programs.noted(name, tiles)
        if same is None:
            validation()  # without them nothing is made
        program = None
        if same is None or same.dice > self.needed:

            def calibration() -> Tensor:
                """Patches of training cases, again and again until they fill a batch."""
                some = patches("training", tuple(tiles.shape[2:]))
                return some.repeat(-(-len(tiles) // len(some)), *(1,) * (some.ndim - 1))

            program = self.programs.make(name, tiles, calibration=calibration)
            if program is None:
                return None
            same = self._judged(name, program, tiles, validation)
        who, measure = name if same.dice > self.needed else "torch", "Dice" if self.probable else "likeness"
        log.info("8 bits give a %s of %.4f with torch on %d validation patches: %s answers.", measure, *same, who)
        return program if same.dice > self.needed else None

    def _agrees(self, name: str, program: Program, tiles: Tensor, choice: Choice, ours: Tensor) -> bool:
        """Whether the program is faster than torch and agrees with its maps, and on validation patches at hand."""
        begin = time.perf_counter()
        theirs = program(tiles.contiguous())
        seconds, reference = time.perf_counter() - begin, choice.spent / choice.calls
        theirs = self._maps(theirs)
        least = min(likeness(shares(ours, theirs, self.probable), self.probable))
        alike = decided_alike(ours, theirs) if self.probable else 1.0
        decided = f"{100 * alike:.2f} % of voxels are decided alike, Dice" if self.probable else "likeness of maps"
        message = f"{name} takes {seconds:.2f} s for what takes torch {reference:.2f} s; {decided} at least {least:.4f}"
        better = seconds < reference and alike > ALIKE and least > self.needed
        if better and (patches := self.patches) is not None:
            most = max(1, int(PATIENCE_SECONDS / reference)) * len(tiles)  # as long as patience lasts
            with suppress(HyoidError):
                some = self._judged(name, program, tiles, lambda: patches("validation", tuple(tiles.shape[2:]))[:most])
                message += f", and {some.dice:.4f} on {some.patches} validation patches"
                better = some.dice > self.needed
        log.info("%s: %s answers.", message, name if better else "torch")
        return better

    def _judged(self, name: str, program: Program, tiles: Tensor, patches: Callable[[], Tensor]) -> Sameness:
        """How alike torch and the program answer patches (n, C, *S), unless this was noted with the program."""
        same = self.programs.noted(name, tiles)
        if same is None:
            some = patches()
            found = [
                shares(self._maps(self.torch(part)), self._maps(filled(program, part, len(tiles))), self.probable)
                for part in some.split(len(tiles))
            ]
            alike = likeness(torch.stack(found).sum(0), self.probable)
            same = Sameness(fmean(alike) if alike else 1.0, len(some))  # both may find nothing
            self.programs.note(name, tiles, same)
        return same


def fastest_installed() -> str | None:
    """The engine that is usually fastest on a processor, of those whose libraries are installed."""
    for name in ("openvino", "onnx"):
        with suppress(ConfigError):
            check_installed(name)
            return name
    return None
