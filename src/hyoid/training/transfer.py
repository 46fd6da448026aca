"""Transfer: a net starts with the weights of another one, as far as they fit; parts of it may stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError, DataError, closest
from ..nets.net import Net
from ..nets.pyramids.published import adapt_channels, inflate
from .checkpoint import check_finite, part, read_checkpoint


@dataclass(frozen=True)
class Taken:
    """What became of the weights of a net, by name: taken as they are, adapted to other channels or to 3D, or new."""

    same: tuple[str, ...]
    adapted: tuple[str, ...]
    new: tuple[str, ...]

    def describe(self, source: str | Path) -> str:
        """All of it in one sentence."""
        total = len(self.same) + len(self.adapted) + len(self.new)
        parts = [f"{len(self.same)} of {total} tensors start with those of {source}"]
        if self.adapted:
            parts.append(f"{_listed(self.adapted)} adapted to other channels or dimensions")
        parts.append(f"new: {_listed(self.new)}" if self.new else "nothing is new")
        return "; ".join(parts) + "."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def start_from(net: Net, weights: str | Path, in_channels: int) -> Taken:
    """Give a net the weights of another one, wherever names and shapes agree.

    A first convolution for other image channels is summed or repeated, a 2D kernel is repeated along the first axis of
    a 3D one; what does not fit, such as a head for other classes, stays newly initialised.

    Args:
        net: Newly built.
        weights: A checkpoint of a training, or a safetensors file with the names of the net.
        in_channels: Channels of the image.

    Raises:
        DataError: When the file is not readable, nothing fits, or weights are not finite.
    """
    tensors, _ = read_checkpoint(weights)
    theirs = part(tensors, "average") or part(tensors, "net") or tensors
    ours = net.state_dict()
    fitted: dict[str, Tensor] = {}
    adapted = []
    for name, mine in ours.items():
        given = theirs.get(name)
        if given is not None and given.shape == mine.shape:
            fitted[name] = given
        elif given is not None and (turned := _turned(given, mine, in_channels)) is not None:
            fitted[name] = turned
            adapted.append(name)
    # counts of batches tell nothing of a net
    if not any(value.is_floating_point() for value in fitted.values()):
        raise DataError(f"{weights}: none of its {len(theirs)} tensors fits this net; start from the same kind of net.")
    check_finite(weights, fitted)
    net.load_state_dict(fitted, strict=False)
    same = tuple(name for name in fitted if name not in adapted)
    return Taken(same, tuple(adapted), tuple(name for name in ours if name not in fitted))


def _turned(given: Tensor, mine: Tensor, in_channels: int) -> Tensor | None:
    """A kernel for other image channels or for 3D; None where that does not make it fit."""
    if given.ndim == 4 and mine.ndim == 5:
        given = inflate(given, mine.shape[2])
    if given.ndim == mine.ndim >= 4 and mine.shape[1] == in_channels != given.shape[1]:
        given = adapt_channels(given, in_channels)
    return given if given.shape == mine.shape else None


def freeze(net: nn.Module, patterns: Iterable[str]) -> list[nn.Module]:
    """Keep the weights whose names match as they are, running statistics of norms too.

    Args:
        net: In training.
        patterns: Such as encoder.* or *.norm.*.

    Returns:
        The norms whose statistics stand still; they must stay in evaluation.

    Raises:
        ConfigError: When a pattern matches nothing.
    """
    chosen = tuple(patterns)
    check_patterns(net, chosen, "training.freeze")
    for name, parameter in net.named_parameters():
        if _matches(name, chosen):
            parameter.requires_grad_(False)
    still = [
        module
        for name, module in net.named_modules()
        if isinstance(getattr(module, "running_mean", None), Tensor) and _matches(f"{name}.running_mean", chosen)
    ]
    for module in still:
        module.eval()
    if not any(parameter.requires_grad for parameter in net.parameters()):
        raise ConfigError(f"training.freeze = {list(chosen)}: nothing is left to learn; freeze less.")
    return still


def factors_of(learning_rates: Mapping[str, float]) -> Callable[[str], float]:
    """The factor of the learning rate of a weight by its name: that of the first pattern that matches, else 1."""

    def factor(name: str) -> float:
        return next((value for pattern, value in learning_rates.items() if fnmatchcase(name, pattern)), 1.0)

    return factor


def check_patterns(net: nn.Module, patterns: Iterable[str], setting: str) -> None:
    """Refuse patterns that match no weight of a net.

    Raises:
        ConfigError: Naming the parts of the net.
    """
    names = [name for name, _ in net.named_parameters()]
    for pattern in patterns:
        if not any(fnmatchcase(name, pattern) for name in names):
            parts = list(dict.fromkeys(name.split(".")[0] for name in names))
            hint = closest(pattern.strip(".*"), parts)
            raise ConfigError(
                f"{setting}: no weight of the net is called {pattern!r}.{hint} Its parts are "
                f"{', '.join(f'{part}.*' for part in parts)}."
            )


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)


def split_by_factor(optimiser: torch.optim.Optimizer, net: nn.Module, factor: Callable[[str], float]) -> None:
    """Divide the groups of an optimiser into weights of one learning rate each."""
    names = {id(parameter): name for name, parameter in net.named_parameters()}
    groups = []
    for group in optimiser.param_groups:
        by_factor: dict[float, list[nn.Parameter]] = {}
        for parameter in group["params"]:
            by_factor.setdefault(factor(names[id(parameter)]), []).append(parameter)
        for value, parameters in by_factor.items():
            groups.append({**group, "params": parameters, "lr": group["lr"] * value})
    optimiser.param_groups[:] = groups
