"""Many answers of one net by its dropout, and what they say about its doubt."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from .net import Net

_DROPOUTS = (nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.AlphaDropout)


@dataclass(frozen=True)
class Doubt:
    """What several answers of probabilities p_1..p_n say; all maps but the mean have shape (B, *S), in nats.

    Attributes:
        mean: Mean probabilities, (B, K, *S).
        variance: Mean over channels of their variance over the answers.
        entropy: Of the mean: all doubt there is, -sum_k p_k log p_k.
        mutual_information: Entropy of the mean less the mean entropy: doubt that more annotation could remove.

    Reference:
        gal2016dropout; kendall2017uncertainties.
    """

    mean: Tensor
    variance: Tensor
    entropy: Tensor
    mutual_information: Tensor

    @classmethod
    def of(cls, answers: Tensor, regions: bool = False) -> Doubt:
        """What answers (n, B, K, *S) of probabilities say; with regions each channel is a yes or no by itself."""
        mean = answers.mean(0)
        entropy = _entropy(mean, regions)
        within = torch.stack([_entropy(answer, regions) for answer in answers]).mean(0)
        spread = answers.var(0, correction=0).mean(1)
        return cls(mean, spread, entropy, (entropy - within).clamp(min=0))


def _entropy(probabilities: Tensor, regions: bool) -> Tensor:
    found = torch.special.entr(probabilities)
    return (found + torch.special.entr(1 - probabilities) if regions else found).sum(1)


class DropoutSampler:
    """Draws answers from a net whose dropout is awake while all else, such as batch norm, evaluates.

    Args:
        net: A net with dropout.
        activate: Logits to probabilities, such as `Task.activate`.

    Raises:
        ConfigError: When the net drops nothing, so that all answers would be alike.

    Reference:
        gal2016dropout.
    """

    def __init__(self, net: Net, activate: Callable[[Tensor], Tensor]) -> None:
        self.net, self.activate = net.eval(), activate
        self.layers = [module for module in net.modules() if isinstance(module, _DROPOUTS) and module.p > 0]
        if not self.layers:
            raise ConfigError("This net has no dropout, so all its answers would be alike; set dropout in its spec.")

    @torch.no_grad()
    def samples(self, x: Tensor, count: int) -> Tensor:
        """Probabilities (count, B, K, *S) of images (B, C, *S)."""
        try:
            for layer in self.layers:
                layer.train()
            return torch.stack([self.activate(self.net(x)[0]) for _ in range(count)])
        finally:
            for layer in self.layers:
                layer.eval()
