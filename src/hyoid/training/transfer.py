"""Transfer: a net starts with the weights of another one, as far as they fit; parts of it may stay as they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core.errors import ConfigError, DataError, closest
from ..nets.cost import without_numbers
from ..nets.net import Net, NetSpec
from ..nets.pyramids.published import adapt_channels, inflate
from .checkpoint import check_finite, part, read_checkpoint


@dataclass(frozen=True)
class Taken:
    """What became of the weights of a net, by name: taken as they are, adapted to other channels or to 3D, or new.

    Where outputs differ, heads take the rows of `outputs`, which both nets have, and those of `drawn` are new in them.
    """

    same: tuple[str, ...]
    adapted: tuple[str, ...]
    new: tuple[str, ...]
    heads: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    drawn: tuple[str, ...] = ()
    unnamed: bool = False  # whether heads were taken as they are, though nothing says what their rows mean

    def describe(self, source: str | Path) -> str:
        """All of it in one sentence."""
        total = len(self.same) + len(self.adapted) + len(self.new) + len(self.heads)
        parts = [f"{len(self.same)} of {total} tensors start with those of {source}"]
        if self.adapted:
            parts.append(f"{_listed(self.adapted)} adapted to other channels or dimensions")
        if self.heads:
            parts.append(f"{_listed(self.heads)} start with the rows of the same names: {', '.join(self.outputs)}")
        if self.unnamed:
            parts.append("rows of the head are taken in their order; their names are not known")
        new = [*self.new, *(f"the rows of {output}" for output in self.drawn)]
        parts.append(f"new: {_listed(new)}" if new else "nothing is new")
        return "; ".join(parts) + "."


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


@dataclass(frozen=True)
class Outputs:
    """What the outputs of two nets are called, in the order of their channels, and which weights have a row for each.

    Attributes:
        theirs: Of the net whose weights are taken.
        ours: Of the net that gets them.
        axes: The axes of outputs in each weight of a head, by its name.
    """

    theirs: tuple[str, ...]
    ours: tuple[str, ...]
    axes: Mapping[str, list[int]]

    @classmethod
    def of(cls, spec: NetSpec, theirs: Sequence[str], ours: Sequence[str]) -> Outputs:
        """Those of a net, whose weights of heads are the ones that one more output makes longer."""
        more = without_numbers(spec.changed({"out_channels": spec.out_channels + 1})).state_dict()
        axes = {}
        for name, mine in without_numbers(spec).state_dict().items():
            longer = [axis for axis, size in enumerate(mine.shape) if size != more[name].shape[axis]]
            if longer and all(mine.shape[axis] == spec.out_channels for axis in longer):
                axes[name] = longer
        return cls(tuple(theirs), tuple(ours), axes)

    @property
    def known(self) -> list[str]:
        """What both nets have."""
        return [output for output in self.ours if output in self.theirs]

    def rows(self, name: str, given: Tensor, mine: Tensor) -> Tensor | None:
        """New weights of a head with the rows of outputs that both nets have; None where shapes do not fit."""
        axes, found = self.axes[name], mine.clone()
        given = inflate(given, mine.shape[2]) if (given.ndim, mine.ndim) == (4, 5) else given
        expected = [len(self.theirs) if axis in axes else size for axis, size in enumerate(mine.shape)]
        if list(given.shape) != expected:
            return None
        place: list[slice | Tensor] = [slice(None)] * mine.ndim
        for number, axis in enumerate(axes):
            given = given.index_select(axis, torch.tensor([self.theirs.index(output) for output in self.known]))
            rows = torch.tensor([self.ours.index(output) for output in self.known])
            place[axis] = rows.reshape([-1 if number == other else 1 for other in range(len(axes))])
        found[tuple(place)] = given
        return found


def start_from(net: Net, weights: str | Path, in_channels: int, outputs: Outputs | None = None) -> Taken:
    """Give a net the weights of another one, wherever names and shapes agree.

    A first convolution for other image channels is summed or repeated, a 2D kernel is repeated along the first axis of
    a 3D one. Heads keep the rows of outputs that both nets have, where their names are known. What does not fit stays
    newly initialised.

    Args:
        net: Newly built.
        weights: A checkpoint of a training, or a safetensors file with the names of the net.
        in_channels: Channels of the image.
        outputs: Of both nets, where they differ; those of theirs are empty where their names are not known.

    Raises:
        DataError: When the file is not readable, nothing fits, or weights are not finite.
    """
    tensors, _ = read_checkpoint(weights)
    theirs = part(tensors, "average") or part(tensors, "net") or tensors
    ours = net.state_dict()
    fitted: dict[str, Tensor] = {}
    adapted, kept = list[str](), list[str]()
    for name, mine in ours.items():
        given = theirs.get(name)
        if given is not None and outputs is not None and outputs.theirs and name in outputs.axes:
            if outputs.known and (rows := outputs.rows(name, given, mine)) is not None:
                fitted[name], kept = rows, [*kept, name]
        elif given is not None and given.shape == mine.shape:
            fitted[name] = given
        elif given is not None and (turned := _turned(given, mine, in_channels)) is not None:
            fitted[name] = turned
            adapted.append(name)
    # counts of batches tell nothing of a net
    if not any(value.is_floating_point() for value in fitted.values()):
        raise DataError(f"{weights}: none of its {len(theirs)} tensors fits this net; start from the same kind of net.")
    check_finite(weights, fitted)
    net.load_state_dict(fitted, strict=False)
    same = tuple(name for name in fitted if name not in {*adapted, *kept})
    known = tuple(outputs.known) if outputs and kept else ()
    drawn = tuple(name for name in outputs.ours if name not in known) if outputs and known else ()
    unnamed = outputs is not None and not outputs.theirs and any(name in outputs.axes for name in fitted)
    new = tuple(name for name in ours if name not in fitted)
    return Taken(same, tuple(adapted), new, tuple(kept), known, drawn, unnamed)


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
