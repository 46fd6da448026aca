"""torch, the reference for the other engines, and what it gives them: the net with one answer, as plain operations."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from ..nets.net import Net
from ..tasks.task import Task
from .engine import engines
from .evidence import Evidence, evidence_of
from .facts import NetFacts


@dataclass
class TorchEngine:
    """A net computed by torch as it is."""

    net: nn.Module  # gives the evidence as the first of a tuple; on the device, in evaluation mode
    evidence: Evidence
    facts: NetFacts
    device: torch.device
    precision: str  # number format in the net: 32-true, bf16-mixed or 16-mixed

    @classmethod
    def of(cls, net: Net, task: Task, in_channels: int, device: str | torch.device, precision: str) -> TorchEngine:
        """The engine of a net, which is moved to the device and put into evaluation mode."""
        giving, evidence = evidence_of(net.to(device).eval(), task)
        facts = NetFacts.of(net, in_channels, task.channels)
        return cls(giving, evidence, facts, torch.device(device), precision)

    @property
    def answered(self) -> str:
        """That torch has computed."""
        return "torch answered."

    def __call__(self, tiles: Tensor) -> Tensor:
        half = self.precision == "16-mixed" and self.device.type != "cpu"
        kind, device = torch.float16 if half else torch.bfloat16, self.device.type
        with nullcontext() if self.precision == "32-true" else torch.autocast(device, kind):
            answer: Tensor = self.net(tiles)[0]
        return answer


class Finest(nn.Module):
    """A net that gives its finest logits alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, tiles: Tensor) -> Tensor:
        finest: Tensor = self.net(tiles)[0]
        return finest


def exported(net: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The net as a program of plain operations for tiles like the example."""
    with torch.no_grad():
        return torch.export.export(Finest(net), (example,))


class Compiled:
    """torch.compile: the same operations, fused for this machine by its C++ compiler."""

    def __init__(self, net: nn.Module, half: bool) -> None:
        self.net = torch.compile(Finest(net))
        self.half = half

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
        old = tiles.device.type == "cuda" and not torch.cuda.is_bf16_supported(False)
        kind = torch.half if old else torch.bfloat16
        with torch.no_grad(), torch.autocast(tiles.device.type, kind, enabled=self.half):
            logits: Tensor = self.net(tiles)
        return logits.float()


@engines.register("compile")
def compiled(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Compiled:
    """torch.compile; needs a C++ compiler on this machine, and a minute before the first answer."""
    return Compiled(net, half)
