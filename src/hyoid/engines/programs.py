"""Programs: made for a shape of tiles, kept on disk, and read from there the next time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..core.digest import checksum_of
from ..core.errors import HyoidError
from ..core.files import write_text
from ..core.progress import log
from ..core.trees import load_json
from . import onnx, openvino, torch
from .agreement import Sameness
from .engine import Program, engines

FILES = (torch, onnx, openvino)
"""The files that put an engine on the shelf."""


@dataclass(frozen=True)
class Programs:
    """The programs of a net, made for a shape of tiles."""

    net: nn.Module
    kind: str  # what the net gives: logits or features
    half: bool  # whether programs may compute in bfloat16
    folder: Path | None  # where programs are kept; nowhere when None
    key: str  # tells weights apart in the names of kept files

    def make(self, name: str, tiles: Tensor, **options: Callable[[], Tensor]) -> Program | None:
        """The program, read from disk where it is kept, once it has answered.

        One that cannot be read is deleted and made again, with a warning. None, with a warning, when the net or the
        machine does not allow it.
        """
        for kept in (self.kept(name, tiles, must_exist=True), None):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # exporters warn of their own workings
                    example, file = tiles.contiguous(), self.kept(name, tiles)
                    _check(kept)
                    program = engines.build(name, net=self.net, example=example, half=self.half, kept=file, **options)
                    program(example)
                    if kept is None and file is not None:
                        with suppress(HyoidError):
                            write_text(_sums_of(file), json.dumps(_sums(file)))
                    return program
            except HyoidError:
                raise
            except Exception as error:  # exporters fail in as many ways as there are operations
                if kept is None:
                    log.warning("%s cannot compute this net (%s); torch answers.", name, _first_line(error))
                    break
                log.warning("%s.*: this engine cannot be loaded (%s); it is made again.", kept, _first_line(error))
                for old in kept.parent.glob(f"{kept.name}.*"):
                    with suppress(OSError):
                        old.unlink()
        return None

    def kept(self, name: str, tiles: Tensor, must_exist: bool = False) -> Path | None:
        """Where the program for such tiles is kept, without suffix."""
        if self.folder is None:
            return None
        shape = "x".join(str(size) for size in tiles.shape)
        path = self.folder / f"{name}_{self.kind}_{shape}_{self.key}"
        there = any(path.with_suffix(suffix).is_file() for suffix in (".xml", ".onnx")) if must_exist else True
        return path if there else None

    def _note(self, name: str, tiles: Tensor) -> Path | None:
        kept = self.kept(name, tiles)
        return None if kept is None else kept.with_suffix(".half.json" if self.half else ".full.json")

    def noted(self, name: str, tiles: Tensor) -> Sameness | None:
        """How alike torch and the program that is kept are; None when it was never judged."""
        note = self._note(name, tiles)
        if note is not None and note.is_file() and self.kept(name, tiles, must_exist=True):
            with suppress(ValueError, TypeError):
                return Sameness(**load_json(note.read_text()))
        return None

    def note(self, name: str, tiles: Tensor, same: Sameness) -> None:
        """Keep how alike they are; where nothing can be written, the program is judged again next time."""
        note = self._note(name, tiles)
        if note is not None:
            with suppress(HyoidError):
                write_text(note, json.dumps(same._asdict()))


def _sums(kept: Path) -> dict[str, str]:
    """The checksums of the files of a program that is kept."""
    files = sorted(kept.parent.glob(f"{kept.name}.*"))
    return {file.name: checksum_of(file) for file in files if file.suffix in (".xml", ".bin", ".onnx")}


def _sums_of(kept: Path) -> Path:
    return kept.with_suffix(".crc32.json")


def _check(kept: Path | None) -> None:
    """Refuse a kept program whose files are not as they were written; nothing is known of those without checksums."""
    if kept is not None and _sums_of(kept).is_file() and load_json(_sums_of(kept).read_text()) != _sums(kept):
        raise ValueError("its files have changed since they were written")


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:120]}" if text else type(error).__name__
