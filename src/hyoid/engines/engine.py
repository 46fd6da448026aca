"""Engine: what computes a net.

Engines other than torch make a program for each shape of tiles, from the net and an example of them. Their libraries
are extras, imported when they are needed. A program that can be kept on disk is read from there the next time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from ..core.errors import ConfigError, HyoidError
from ..core.extras import install_command
from ..core.progress import log
from ..core.registry import Registry
from ..tasks.task import Task
from .evidence import Evidence
from .facts import NetFacts


class Program(Protocol):
    """Computes a net for tiles of the shape it was made for."""

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits (B, K, *S) of tiles (B, C, *S), float32."""


class Engine(Protocol):
    """Computes a net for tiles of any shape that its facts allow.

    Attributes:
        facts: The sizes that the net takes and gives.
        evidence: What is computed, logits or features, and how it becomes the maps of the task.
        device: Where it wants the tiles.
        answered: What has computed so far, as a sentence.
    """

    facts: NetFacts
    evidence: Evidence
    device: torch.device

    @property
    def answered(self) -> str: ...

    def __call__(self, tiles: Tensor) -> Tensor:
        """The evidence (B, channels, *S) of tiles (B, C, *S), which lie on the device."""


engines: Registry[Program] = Registry("engine")
"""Makes the program of an engine, from

- `net`, in evaluation mode, and `example`, tiles (B, C, *S)
- `half`: whether it may compute in bfloat16
- `kept`: file without suffix to keep it in, and to take it from when it is there; None keeps nothing
- `calibration`: for an engine of 8 bits, gives tiles (n, C, *S), n at least B
"""

LIBRARIES = {
    "onnx": ("onnx", ("onnxruntime", "onnxscript")),
    "openvino": ("openvino", ("openvino",)),
    "openvino_int8": ("int8", ("openvino", "nncf")),
}
"""The extra that an engine needs, and what must be importable once it is installed."""


def check_installed(name: str) -> None:
    """Refuse an engine whose libraries are not installed, before anything is read.

    Raises:
        ConfigError: With the command that installs them.
    """
    extra, libraries = LIBRARIES.get(name, ("", ()))
    for library in libraries:
        if find_spec(library) is None:
            raise ConfigError(f"The engine {name} needs {library}; install it with `{install_command(extra)}`.")


@contextmanager
def keeping(file: Path) -> Iterator[None]:
    """Around the writing of a program: where that fails it is used all the same, with a warning."""
    try:
        yield
    except (HyoidError, OSError, RuntimeError) as error:
        log.warning("%s: this engine could not be kept (%s); it is made again the next time.", file, error)


def filled(program: Program, tiles: Tensor, batch: int) -> Tensor:
    """The logits of tiles from a program that takes `batch` of them at once; empty tiles complete the last batch."""
    parts = []
    for some in tiles.split(batch):
        absent = batch - len(some)
        whole = torch.cat([some, some.new_zeros(absent, *some.shape[1:])]) if absent else some
        parts.append(program(whole.contiguous())[: len(some)])
    return parts[0] if len(parts) == 1 else torch.cat(parts)


class Deployed:
    """An engine of one program, on the processor.

    Args:
        program: Gives the finest logits of tiles.
        facts: Of the net it was made of, `tiles` included.
        task: What the channels mean.

    Raises:
        ConfigError: When the facts do not name the tiles, or the task has other channels.
    """

    answered = "the deployed program answered."
    device = torch.device("cpu")

    def __init__(self, program: Program, facts: NetFacts, task: Task) -> None:
        if facts.tiles is None:
            raise ConfigError("A program takes tiles of one shape; name it in its facts, as `tiles`.")
        if facts.out_channels != task.channels:
            raise ConfigError(f"The program gives {facts.out_channels} channels and the task has {task.channels}.")
        self.program, self.facts, self.batch = program, facts, facts.tiles[0]
        self.evidence = Evidence(task.channels, None, task)

    def __call__(self, tiles: Tensor) -> Tensor:
        return filled(self.program, tiles, self.batch)
