"""Which engine computes the net, and whether it may: torch is the reference, and the others must agree with it.

A backend is asked for tiles of many shapes and makes an engine for each. `auto` first lets torch work; once torch has
spent on a shape what making an engine costs, it makes one, compares answers and times, and keeps the better of the two.
An engine that is kept from an earlier time is compared with torch on the second tiles of its shape.
So a single small image costs nothing extra, and a long job at most twice what the best choice would have.
"""

from __future__ import annotations

import json
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean
from typing import Literal

import torch
from torch import Tensor

from ..core.errors import ConfigError, HyoidError
from ..core.extras import install_command
from ..core.files import atomic_path
from ..core.progress import log
from .agreement import ALIKE, SAME, Sameness, decided_alike, dice_of, dice_of_decisions, overlaps, varied
from .engine import Engine, check_installed
from .evidence import Evidence
from .shelf import engines

BackendName = Literal["torch", "auto", "compile", "onnx", "openvino", "openvino_int8"]
Patches = Callable[[str, tuple[int, ...]], Tensor]
"""Tiles (n, C, *S) of this shape from prepared cases, of "training" or "validation"."""

PATIENCE_SECONDS = 6.0
"""What making an engine costs, about; torch may spend as much on a shape before `auto` makes one."""


@dataclass
class Choice:
    """What computes tiles of one shape.

    Attributes:
        engine: None is torch.
        batch: Tiles the engine was built for; fewer are filled up.
        spent: Seconds that torch has worked on such tiles.
        calls: How often.
        settled: Whether `auto` has decided.
    """

    engine: Engine | None = None
    batch: int = 0
    spent: float = 0.0
    calls: int = 0
    settled: bool = False


@dataclass
class Backend:
    """Gives what a net says of tiles.

    Attributes:
        evidence: The net, in evaluation mode, and what makes probabilities of what it says: these are compared.
        name: A name from the shelf of engines, torch or auto.
        half: Whether engines may compute in bfloat16.
        folder: Where engines are kept; nowhere when None.
        key: Tells weights apart in the names of kept files.
        patches: Gives tiles to judge engines with, and to calibrate those of 8 bits; a HyoidError when it cannot.
    """

    evidence: Evidence
    name: BackendName = "torch"
    half: bool = False
    folder: Path | None = None
    key: str = ""
    patches: Patches | None = None
    choices: dict[tuple[int, ...], Choice] = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_installed(self.name)

    def __call__(self, tiles: Tensor) -> Tensor:
        """What the net says (B, K, *S) of tiles (B, C, *S)."""
        if self.name == "torch":
            return self._by_torch(tiles)
        choice = self.choices.setdefault(tuple(tiles.shape[1:]), Choice())
        if self.name != "auto" and not choice.settled:
            choice.engine, choice.batch, choice.settled = self._wanted(tiles), len(tiles), True
        if choice.engine is not None:
            return _filled(choice.engine, tiles, choice.batch)
        begin = time.perf_counter()
        answer = self._by_torch(tiles)
        choice.spent, choice.calls = choice.spent + time.perf_counter() - begin, choice.calls + 1
        if not choice.settled:
            self._consider(choice, tiles, answer)
        return answer

    @property
    def answered(self) -> str:
        """Who has answered, as a sentence."""
        if self.name == "torch":
            return "torch answered."
        others = [choice for choice in self.choices.values() if choice.engine is not None]
        if not others and self.name == "auto" and fastest_installed() is None:
            return f"torch answered: no other engine is installed; `{install_command('openvino')}` installs one."
        if not others and self.name == "auto":
            return "torch answered: no other engine was worth making, or none answered as well."
        if not others:
            return f"torch answered: {self.name} could not, or not as well."
        engine = fastest_installed() if self.name == "auto" else self.name
        whom = f"{engine} answered tiles of {len(others)} of {len(self.choices)} shapes"
        return f"{whom}, torch the others." if len(others) < len(self.choices) else f"{engine} answered."

    def _probable(self, said: Tensor) -> Tensor:
        with torch.autocast(said.device.type, enabled=False):  # as when it answers
            return self.evidence.probabilities(self.evidence.averaged(said))

    def _by_torch(self, tiles: Tensor) -> Tensor:
        answer: Tensor = self.evidence.net(tiles)[0]
        return answer

    def _consider(self, choice: Choice, tiles: Tensor, said: Tensor) -> None:
        """Make an engine for tiles like these, of which torch has said this, if it is likely to pay."""
        name = fastest_installed()
        if name is None or tiles.device.type != "cpu":
            choice.settled = True
        elif choice.spent > PATIENCE_SECONDS or (choice.calls > 1 and self._kept(name, tiles, must_exist=True)):
            ours = self._probable(said)
            if not varied(ours):
                return  # where there is nothing to find, every engine agrees
            choice.settled = True
            engine = self._made(name, tiles)
            if engine is not None and self._agrees(name, engine, tiles, choice, ours):
                choice.engine, choice.batch = engine, len(tiles)

    def _wanted(self, tiles: Tensor) -> Engine | None:
        """The engine that was asked for by its name, or None with a sentence."""
        if tiles.device.type != "cpu" and self.name != "compile":
            log.warning("%s computes on the processor only; torch answers on %s.", self.name, tiles.device)
            return None
        return self._rounded(tiles) if self.name == "openvino_int8" else self._made(self.name, tiles)

    def _rounded(self, tiles: Tensor) -> Engine | None:
        """The engine of 8 bits, once its answers to validation patches are those of torch; else None."""
        name = "openvino_int8"
        if self.patches is None:
            raise ConfigError("openvino_int8 is calibrated on the prepared cases of a run, and there is no run here.")
        shape, same = tuple(tiles.shape[2:]), self._noted(name, tiles)
        engine = None
        if same is not None and same.dice > SAME:
            engine = self._loaded(name, tiles, calibration=tiles)
        if same is None or (same.dice > SAME and engine is None):
            validation = self.patches("validation", shape)  # without them nothing is made
            calibration = _at_least(self.patches("training", shape), len(tiles))
            engine = self._made(name, tiles, calibration=calibration)
            if engine is None:
                return None
            same = self._sameness(engine, validation, len(tiles))
            self._note(name, tiles, same)
        who = name if same.dice > SAME else "torch"
        log.info("8 bits give a Dice of %.4f with torch on %d validation patches: %s answers.", *same, who)
        return engine if same.dice > SAME else None

    def _made(self, name: str, tiles: Tensor, **options: Tensor) -> Engine | None:
        """The engine, or None with a sentence when the net or the machine does not allow it."""
        engine = self._loaded(name, tiles, **options)
        if engine is not None:
            return engine
        try:
            return self._built(name, tiles, **options)
        except HyoidError:
            raise
        except Exception as error:  # exporters fail in as many ways as there are operations
            log.warning("%s cannot compute this net (%s); torch answers.", name, _first_line(error))
            return None

    def _loaded(self, name: str, tiles: Tensor, **options: Tensor) -> Engine | None:
        """The engine that is kept; None when none is, or when it is damaged, which is told, and deleted."""
        kept = self._kept(name, tiles, must_exist=True)
        if kept is None:
            return None
        try:
            return self._built(name, tiles, **options)
        except HyoidError:
            raise
        except Exception as error:  # readers of foreign bytes meet everything
            log.warning("%s.*: this engine cannot be loaded (%s); it is made again.", kept, _first_line(error))
            for file in kept.parent.glob(f"{kept.name}.*"):
                with suppress(OSError):
                    file.unlink()
            return None

    def _built(self, name: str, tiles: Tensor, **options: Tensor) -> Engine:
        """The engine, from what is kept of it when there is something, once it has answered."""
        builder = engines.build(name, **options)
        with torch.autocast(tiles.device.type, enabled=False), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn of their own workings
            engine = builder(self.evidence.net, tiles.contiguous(), self.half, self._kept(name, tiles))
            engine(tiles.contiguous())
        return engine

    def _kept(self, name: str, tiles: Tensor, must_exist: bool = False) -> Path | None:
        """Where the engine for such tiles is kept, without suffix."""
        if self.folder is None:
            return None
        shape = "x".join(str(size) for size in tiles.shape)
        path = self.folder / f"{name}_{self.evidence.kind}_{shape}_{self.key}"
        there = any(path.with_suffix(suffix).is_file() for suffix in (".xml", ".onnx")) if must_exist else True
        return path if there else None

    def _agrees(self, name: str, engine: Engine, tiles: Tensor, choice: Choice, ours: Tensor) -> bool:
        """Whether the engine is faster and decides as torch did; tells both."""
        begin = time.perf_counter()
        theirs = engine(tiles.contiguous())
        seconds, reference = time.perf_counter() - begin, choice.spent / choice.calls
        theirs = self._probable(theirs)
        alike, least = decided_alike(ours, theirs), min(dice_of_decisions(ours, theirs))
        told = (
            f"{name} takes {seconds:.2f} s for what takes torch {reference:.2f} s; "
            f"{100 * alike:.2f} % of voxels are decided alike, Dice at least {least:.4f}"
        )
        better = seconds < reference and alike > ALIKE and least > SAME
        if better and (same := self._validated(name, engine, tiles, reference)) is not None:
            told += f", and {same.dice:.4f} on {same.patches} validation patches"
            better = same.dice > SAME
        log.info("%s: %s answers.", told, name if better else "torch")
        return better

    def _validated(self, name: str, engine: Engine, tiles: Tensor, seconds: float) -> Sameness | None:
        """How alike torch and the engine decide validation patches; None when there are none at hand.

        Batches, of which torch takes so many seconds each, are judged as long as patience lasts, at least one; what was
        found is kept with the engine.
        """
        same = self._noted(name, tiles)
        if same is not None:
            return same
        try:
            patches = self.patches("validation", tuple(tiles.shape[2:])) if self.patches else None
        except HyoidError:
            patches = None
        if patches is None:
            return None
        most = max(1, int(PATIENCE_SECONDS / seconds)) * len(tiles)
        same = self._sameness(engine, patches[:most], len(tiles))
        self._note(name, tiles, same)
        return same

    def _note_file(self, name: str, tiles: Tensor) -> Path | None:
        """Where it is kept how alike torch and an engine in this precision are."""
        kept = self._kept(name, tiles)
        return None if kept is None else kept.with_suffix(".half.json" if self.half else ".full.json")

    def _noted(self, name: str, tiles: Tensor) -> Sameness | None:
        """What was found about the engine that is kept; None when it was never judged."""
        note = self._note_file(name, tiles)
        if note is not None and note.is_file():
            with suppress(ValueError, TypeError):
                return Sameness(**json.loads(note.read_text()))
        return None

    def _note(self, name: str, tiles: Tensor, same: Sameness) -> None:
        """Keep what was found; where nothing can be written, the engine is judged again next time."""
        note = self._note_file(name, tiles)
        if note is not None:
            with suppress(HyoidError), atomic_path(note) as path:
                path.write_text(json.dumps(same._asdict()))

    def _sameness(self, engine: Engine, patches: Tensor, count: int) -> Sameness:
        """How alike torch and an engine for batches of `count` decide patches (n, C, *S)."""
        shares = [
            overlaps(self._probable(self._by_torch(some)), self._probable(_filled(engine, some, count)))
            for some in patches.split(count)
        ]
        dice = dice_of(torch.stack(shares).sum(0))
        return Sameness(fmean(dice) if dice else 1.0, len(patches))  # both may find nothing


def fastest_installed() -> str | None:
    """The engine that is usually fastest on a processor, of those whose libraries are installed."""
    for name in ("openvino", "onnx"):
        with suppress(ConfigError):
            check_installed(name)
            return name
    return None


def _filled(engine: Engine, tiles: Tensor, batch: int) -> Tensor:
    """The logits of at most as many tiles as the engine takes; empty ones stand in for those that are lacking."""
    parts = []
    for some in tiles.split(batch):
        lacking = batch - len(some)
        whole = torch.cat([some, some.new_zeros(lacking, *some.shape[1:])]) if lacking else some
        parts.append(engine(whole.contiguous())[: len(some)])
    return parts[0] if len(parts) == 1 else torch.cat(parts)


def _at_least(tiles: Tensor, count: int) -> Tensor:
    """The tiles, again and again until there are so many."""
    return tiles.repeat(-(-count // len(tiles)), *(1,) * (tiles.ndim - 1)) if len(tiles) < count else tiles


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:120]}" if text else type(error).__name__
