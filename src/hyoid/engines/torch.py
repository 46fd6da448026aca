"""What torch gives to the other engines: the net with one answer, and as a program of plain operations."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Finest(nn.Module):
    """A net that gives its finest logits alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
        finest: Tensor = self.net(tiles)[0]
        return finest


def exported(net: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The net as a program of plain operations for tiles like the example."""
    with torch.no_grad():
        return torch.export.export(Finest(net), (example,))
