"""torch.compile: the same operations, fused for this machine."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .engine import Builder, engines
from .torch import Finest


class Compiled:
    """torch.compile: the same operations, fused for this machine by its C++ compiler."""

    def __init__(self, net: nn.Module, half: bool) -> None:
        self.net = torch.compile(Finest(net))
        self.half = half

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
        old = tiles.device.type == "cuda" and not torch.cuda.is_bf16_supported(False)
        with (
            torch.no_grad(),
            torch.autocast(tiles.device.type, torch.half if old else torch.bfloat16, enabled=self.half),
        ):
            logits: Tensor = self.net(tiles)
        return logits.float()


@engines.register("compile")
def compiled() -> Builder:
    """torch.compile; needs a C++ compiler on this machine, and a minute before the first answer."""
    return lambda net, example, half, kept: Compiled(net, half)
