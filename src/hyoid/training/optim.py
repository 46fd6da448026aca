"""Optimisers, learning rates that follow progress, and the running average of weights."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Collection, Iterable, Mapping
from inspect import signature

import torch
from torch import nn

from ..core.errors import ConfigError
from ..core.registry import Registry
from ..nets.net import Net
from .settings import OptimiserSettings, TrainingSettings, TurnSettings
from .transfer import factors_of, split_by_factor

optimisers: Registry[torch.optim.Optimizer] = Registry("optimiser")
schedules: Registry[Callable[[float], float]] = Registry("schedule")

NOT_FOR_ALL = ("betas", "momentum")
"""Settings that reach those optimisers whose builder has a parameter of the same name."""


@optimisers.register("adamw", papers="loshchilov2019adamw")
def adamw(
    parameters: Iterable[nn.Parameter],
    learning_rate: float | None,
    weight_decay: float | None,
    fused: bool | None = True,
    betas: tuple[float, float] = (0.9, 0.999),
) -> torch.optim.Optimizer:
    """AdamW; 3e-3 and 1e-2 when not told otherwise: steep, for trainings of hundreds to thousands of steps."""
    rate, decay = learning_rate or 3e-3, 1e-2 if weight_decay is None else weight_decay
    return torch.optim.AdamW(_groups(parameters, decay), rate, betas, fused=fused)


@optimisers.register("sgd", papers="isensee2021nnunet")
def sgd(
    parameters: Iterable[nn.Parameter],
    learning_rate: float | None,
    weight_decay: float | None,
    momentum: float,
    fused: bool | None = True,
) -> torch.optim.Optimizer:
    """Stochastic gradient descent with Nesterov momentum; 1e-2 and 3e-5 when not told otherwise."""
    rate, decay = learning_rate or 1e-2, 3e-5 if weight_decay is None else weight_decay
    return torch.optim.SGD(list(parameters), rate, momentum, weight_decay=decay, nesterov=momentum > 0, fused=fused)


def _groups(parameters: Iterable[nn.Parameter], decay: float) -> list[dict[str, object]]:
    """Convolutions decay; biases and the scales of normalisation do not."""
    parameters = list(parameters)
    return [
        {"params": [p for p in parameters if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.ndim <= 1], "weight_decay": 0.0},
    ]


@schedules.register("cosine", papers="loshchilov2017sgdr")
def cosine() -> Callable[[float], float]:
    """Half a cosine from one to zero."""
    return lambda progress: 0.5 * (1 + math.cos(math.pi * progress))


@schedules.register("poly", papers="isensee2021nnunet")
def poly(power: float = 0.9) -> Callable[[float], float]:
    """(1 - progress)^power."""
    return lambda progress: (1 - progress) ** power


@schedules.register("constant")
def constant() -> Callable[[float], float]:
    """One throughout."""
    return lambda progress: 1.0


def check_optimisers(settings: TrainingSettings) -> None:
    """Refuse optimisers that do not exist, of the training and of its turns, and values that none of them takes.

    Raises:
        ConfigError: With the place of the setting.
    """
    chosen: dict[str, OptimiserSettings | TurnSettings] = {"optimiser": settings.optimiser}
    chosen |= {f"turns.{turn}": one for turn, one in settings.turns.items()}
    every: list[str] = []
    for place, one in chosen.items():
        try:
            every += [optimisers[one.name].name] if one.name else []
        except ConfigError as error:
            raise ConfigError(f"training.{place}.name: {error}") from None
    for place, one in chosen.items():
        check_taken(one, place, every if place == "optimiser" else [one.name] if one.name else [])


def check_taken(one: OptimiserSettings | TurnSettings, place: str, names: Collection[str]) -> None:
    """Refuse a value that none of these optimisers takes; a ConfigError names its place below `training`."""
    taken = {field for name in names for field in signature(optimisers[name].build).parameters}
    for field in NOT_FOR_ALL:
        value = getattr(one, field, None)
        is_usual = value in (None, OptimiserSettings.model_fields[field].default)
        if names and not is_usual and field not in taken:
            raise ConfigError(
                f"training.{place}.{field} is {value}, but {' and '.join(names)} would ignore it; leave it out, or "
                f"set training.{place}.name to an optimiser that takes {field}."
            )


def build_optimiser(
    net: nn.Module,
    settings: OptimiserSettings,
    learning_rates: Mapping[str, float] | None = None,
    scaled: bool = False,
) -> torch.optim.Optimizer:
    """The optimiser of a net; each parameter group remembers its highest learning rate as `peak`.

    Args:
        net: Its frozen weights are left out.
        settings: How weights follow their gradients.
        learning_rates: Factors of the learning rate by pattern of names.
        scaled: Whether a scaler keeps gradients in the range of float16. Without one all weights are updated in one
            pass over memory, four times faster; with one torch updates them together, operation by operation.
    """
    wanted = signature(optimisers[settings.name].build).parameters
    further = {"fused": None if scaled else True, **{name: getattr(settings, name) for name in NOT_FOR_ALL}}
    optimiser = optimisers.build(
        settings.name,
        parameters=[p for p in net.parameters() if p.requires_grad],
        learning_rate=settings.learning_rate,
        weight_decay=settings.weight_decay,
        **{name: value for name, value in further.items() if name in wanted},
    )
    if learning_rates:
        split_by_factor(optimiser, net, factors_of(learning_rates))
    for group in optimiser.param_groups:
        group["peak"] = group["lr"]
    return optimiser


def learning_rate_factor(settings: OptimiserSettings) -> Callable[[float], float]:
    """The factor of the highest learning rate at a progress in 0..1: a straight rise, then the schedule."""
    schedule, warmup = schedules.build(settings.schedule), settings.warmup

    def factor(progress: float) -> float:
        if progress < warmup:
            return max(progress / warmup, 0.01)
        return schedule(min(1.0, (progress - warmup) / (1 - warmup)))

    return factor


class Average:
    """A net whose weights are the running average of another one's.

    The decay at step t is min(decay, (1 + t) / (10 + t)): at first a tenth of the steps so far is averaged, so that
    short trainings gain too.

    Args:
        net: The net that learns.
        decay: Share of the average that is kept at each step, in the long run; 0 follows the net.

    Reference:
        polyak1992averaging.
    """

    def __init__(self, net: Net, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.decay = decay
        self._mine: list[torch.Tensor] = list(self.net.parameters())
        self._theirs: list[torch.Tensor] = list(net.parameters())
        self._buffers = list(zip(self.net.buffers(), net.buffers(), strict=True))

    @torch.no_grad()
    def update(self, step: int) -> None:
        """Take in the weights after this step (counted from 0)."""
        decay = min(self.decay, (1 + step) / (10 + step))
        torch._foreach_lerp_(self._mine, self._theirs, 1 - decay)
        for mine, theirs in self._buffers:
            mine.copy_(theirs)
