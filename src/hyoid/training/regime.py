"""Regime: what batches teach and to whom."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from inspect import signature
from types import MappingProxyType
from typing import Any, ClassVar, Literal, Protocol

from torch import Tensor, nn

from ..core.case import Batch
from ..core.errors import ConfigError, closest
from ..core.registry import Registry
from .optim import check_optimisers, check_taken
from .sampler import STREAMS
from .settings import OptimiserSettings, TrainingSettings

SURROUNDINGS = ("self", "net", "task", "loss", "plan", "dims", "in_channels", "make_net", "head_weights")
"""Parameters of builders that the loop fills; all others are options."""


@dataclass(frozen=True)
class Turn:
    """A module that learns in a turn of its own, and how.

    Attributes:
        module: The turn changes its weights.
        optimiser: Usual settings of its optimiser; None for those of `training.optimiser`. `accumulate` is always that
            of `training.optimiser`.
        every: The turn comes in every such step: with 2 in the first, the third, the fifth.
        start: Progress of the training, 0..1, from which the turn comes at all.
    """

    module: nn.Module
    optimiser: OptimiserSettings | None = None
    every: int = 1
    start: float = 0.0

    @property
    def settings(self) -> OptimiserSettings:
        """Those of its optimiser, once the regime is built by the loop."""
        assert self.optimiser is not None
        return self.optimiser

    def comes(self, step: int, progress: float) -> bool:
        """Whether step `step`, counted from 0, has this turn."""
        return step % self.every == 0 and progress >= self.start


class Regime(Protocol):
    """A way to learn from batches, which names no device. A regime names this class as its base.

    Every module of `turns` and `keeps` is an attribute of the same name. When the regime is built, the loop moves these
    modules to the device and replaces the attributes by wrappers whose `forward` runs in the precision of the plan.
    Calls of other methods, such as `self.net.encode(x)`, run in float32 unless they stand inside `self.autocast()`.

    A resumed training continues bit for bit when all that a step changes is in `turns` or `keeps` (what is no weight,
    such as a queue or a threshold, is a buffer there) and when random numbers come from torch, which is seeded anew for
    each step. With `accumulate` above 1 each turn sees all batches of the step before the next turn begins.

    Attributes:
        teaches: The names of `turns`, in order, known before the regime is built. Several turns need a single device.
        feeds: Streams of batches and how many of each a step joins. The class names every stream that may be needed.
        unannotated: Background of partly labelled cases may be a structure that was not annotated: it is "ignored", or
            "kept" as background for a regime that reads `Batch.annotated`.
        answers: Whether `predicts` answers the task and so can be validated.
        curve: The curve that falls while the regime learns.
        turns: What is taught, one after the other in each step.
        keeps: Modules that are saved and restored but not taught by gradient: a teacher, a memory bank.
        predicts: The turn or kept module that is validated and exported. The loop averages the weights of a turn
            (`training.ema`); it takes a kept module as it is, which may be an average already.
        autocast: A context in which computations have the precision of the plan, as inside the `forward` of a module.
    """

    teaches: ClassVar[tuple[str, ...]] = ("net",)
    answers: ClassVar[bool] = True
    curve: ClassVar[str] = "loss"
    feeds: Mapping[str, int] = MappingProxyType({"labelled": 1})
    turns: Mapping[str, Turn]
    keeps: Mapping[str, nn.Module] = MappingProxyType({})
    unannotated: Literal["ignored", "kept"] = "ignored"
    predicts: str = "net"
    autocast: Callable[[], AbstractContextManager[Any]] = nullcontext

    def before_step(self, progress: float) -> None:
        """Called before the turns of a step, with the progress of the training in 0..1."""

    def losses(self, turn: str, batches: Mapping[str, Batch], progress: float) -> dict[str, Tensor]:
        """Scalars whose sum the turn minimises, by their names in the curves; none at all skips the turn.

        Args:
            turn: A name of `turns`.
            batches: A batch for each stream of `feeds`.
            progress: Of the training, 0..1.
        """
        raise NotImplementedError

    def after_step(self, progress: float) -> None:
        """Called after the turns of a step, for what follows weights instead of a gradient: a teacher."""

    def shown(self) -> dict[str, Tensor]:
        """Scalars of this step that belong in the curves but are not minimised."""
        return {}

    def counted(self) -> Tensor | None:
        """Voxels (3, structures) that were hit, answered, and in the target, in patches since the last call, or None.

        Only where the task counts voxels (`Task.counts`).
        """
        return None


regimes: Registry[Regime] = Registry("regime")
"""Classes of regimes. The loop fills the parameters that are named in `SURROUNDINGS`: `net`, `task`, `loss`, `plan`,
`dims` and `in_channels` of the net, `make_net()`, which builds another net like `net` with first weights of its own,
and `head_weights`, those of `training`. All others are options, `training.regime_options`."""


def regime_class(name: str) -> type[Regime]:
    """The class of a regime, which says what it teaches and feeds on before it is built.

    Raises:
        ConfigError: When the name is unknown, or what was registered is not a class with the base Regime.
    """
    build = regimes[name].build
    if not isinstance(build, type) or Regime not in build.__mro__:
        raise ConfigError(f"regime {name!r} must be a class with the base hyoid.training.regime.Regime.")
    return build


def check_regime(settings: TrainingSettings) -> None:
    """Refuse settings that do not fit their regime, before it is built.

    Raises:
        ConfigError: When the regime, an option, a turn or an optimiser is unknown, a value does not fit, or several
            devices are to teach several modules in turn.
    """
    name, teaches = settings.regime, regime_class(settings.regime).teaches
    for stream, count in regime_class(name).feeds.items():
        if stream not in STREAMS or not isinstance(count, int) or count < 1:
            raise ConfigError(
                f"regime {name!r} feeds on {count!r} batches of {stream!r}; expected 1 or more of {', '.join(STREAMS)}."
            )
    try:
        regimes.check(name, settings.regime_options, SURROUNDINGS)
    except ConfigError as error:
        raise ConfigError(f"training.regime_options: {error}") from None
    for turn in settings.turns:
        if turn not in teaches:
            raise ConfigError(
                f"training.turns: regime {name!r} has no turn {turn!r}.{closest(turn, teaches)}"
                f" Turns: {', '.join(teaches)}."
            )
    check_optimisers(settings)
    if settings.devices > 1 and len(teaches) != 1:
        raise ConfigError(
            f"training.devices is {settings.devices}, but regime {name!r} teaches {' and '.join(teaches)} in turn,"
            " which needs a single device; set it to 1."
        )


def build_regime(settings: TrainingSettings, surroundings: Mapping[str, Any]) -> Regime:
    """The regime of these settings, with the settings of its turns.

    Args:
        settings: How to train.
        surroundings: A value for each of `SURROUNDINGS`; the regime gets those that its parameters name.

    Raises:
        ConfigError: When the regime is not what its class says.
    """
    name = settings.regime
    wanted = signature(regimes[name].build).parameters
    all_given = {**surroundings, "head_weights": settings.head_weights}
    given = {key: value for key, value in all_given.items() if key in wanted}
    regime = regimes.build(name, **given, **settings.regime_options)
    regime.turns = {turn: _with_settings(one, turn, settings) for turn, one in regime.turns.items()}
    modules = {turn: one.module for turn, one in regime.turns.items()} | dict(regime.keeps)
    missing = [key for key, module in modules.items() if vars(regime).get(key) is not module]
    wrong = None
    if tuple(regime.turns) != regime_class(name).teaches or {*regime.turns} & {*regime.keeps, "average"}:
        wrong = f"turns are {', '.join(regime.turns)}; expected those of `teaches`, none of them kept or named average"
    elif missing:
        wrong = f"{missing[0]!r} must also be an attribute that holds the same module"
    elif regime.predicts not in modules:
        wrong = f"predicts is {regime.predicts!r}, expected one of {', '.join(modules)}"
    if wrong is not None:
        raise ConfigError(f"regime {name!r}: {wrong}.")
    return regime


def _with_settings(turn: Turn, name: str, settings: TrainingSettings) -> Turn:
    """A turn with its own usual settings, and over them those of `training.turns`."""
    usual = turn.optimiser or settings.optimiser
    asked = settings.turns.get(name)
    changes = {} if asked is None else {key: value for key, value in asked if value is not None}
    own = {key: changes.pop(key) for key in ("every", "start") if key in changes}
    merged = usual.model_copy(update=changes)
    if asked is not None:
        check_taken(asked, f"turns.{name}", [merged.name])
    return replace(turn, optimiser=merged, **own)
