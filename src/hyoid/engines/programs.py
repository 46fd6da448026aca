"""Programs: made for a shape of tiles, kept on disk, and read from there the next time."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from ..core.errors import HyoidError
from ..core.files import atomic_path
from ..core.progress import log
from . import compiled, onnx, openvino
from .agreement import Sameness
from .engine import Program, engines

FILES = (compiled, onnx, openvino)
"""The files that put an engine on the shelf."""


@dataclass(frozen=True)
class Programs:
    """The programs of a net.

    Attributes:
        net: In evaluation mode.
        kind: What it gives: logits or features.
        half: Whether programs may compute in bfloat16.
        folder: Where programs are kept; nowhere when None.
        key: Tells weights apart in the names of kept files.
    """

    net: nn.Module
    kind: str
    half: bool
    folder: Path | None
    key: str

    def make(self, name: str, tiles: Tensor, **options: Tensor) -> Program | None:
        """The program, or None with a warning when the net or the machine does not allow it."""
        program = self.load(name, tiles, **options)
        if program is not None:
            return program
        try:
            return self._built(name, tiles, **options)
        except HyoidError:
            raise
        except Exception as error:  # exporters fail in as many ways as there are operations
            log.warning("%s cannot compute this net (%s); torch answers.", name, _first_line(error))
            return None

    def load(self, name: str, tiles: Tensor, **options: Tensor) -> Program | None:
        """The program that is kept; None without one, or when it is damaged: then it is deleted with a warning."""
        kept = self.kept(name, tiles, must_exist=True)
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

    def _built(self, name: str, tiles: Tensor, **options: Tensor) -> Program:
        """The program, read from disk where it is kept, once it has answered."""
        builder = engines.build(name, **options)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # exporters warn of their own workings
            program = builder(self.net, tiles.contiguous(), self.half, self.kept(name, tiles))
            program(tiles.contiguous())
        return program

    def kept(self, name: str, tiles: Tensor, must_exist: bool = False) -> Path | None:
        """Where the program for such tiles is kept, without suffix."""
        if self.folder is None:
            return None
        shape = "x".join(str(size) for size in tiles.shape)
        path = self.folder / f"{name}_{self.kind}_{shape}_{self.key}"
        there = any(path.with_suffix(suffix).is_file() for suffix in (".xml", ".onnx")) if must_exist else True
        return path if there else None

    def _note_file(self, name: str, tiles: Tensor) -> Path | None:
        """File of how alike torch and a program in this precision are."""
        kept = self.kept(name, tiles)
        return None if kept is None else kept.with_suffix(".half.json" if self.half else ".full.json")

    def noted(self, name: str, tiles: Tensor) -> Sameness | None:
        """How alike torch and the program that is kept are; None when it was never judged."""
        note = self._note_file(name, tiles)
        if note is not None and note.is_file():
            with suppress(ValueError, TypeError):
                return Sameness(**json.loads(note.read_text()))
        return None

    def note(self, name: str, tiles: Tensor, same: Sameness) -> None:
        """Keep how alike they are; where nothing can be written, the program is judged again next time."""
        note = self._note_file(name, tiles)
        if note is not None:
            with suppress(HyoidError), atomic_path(note) as path:
                path.write_text(json.dumps(same._asdict()))


def _first_line(error: Exception) -> str:
    text = str(error).strip().splitlines()
    return f"{type(error).__name__}: {text[0][:120]}" if text else type(error).__name__
