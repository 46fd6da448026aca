"""Learner: the modules that learn, what changes their weights, and one step of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from ..core.case import Batch
from ..core.errors import ConfigError, HyoidError
from ..losses.loss import Loss
from ..losses.shelf import build_loss
from ..nets.net import Net
from ..planning.plan import Plan
from ..tasks.task import Task
from .accelerator import Leash
from .checkpoint import Tensors, below, optimiser_tensors, part, restore_optimiser
from .optim import Average, build_optimiser
from .quiet import seed_step
from .ranks import Ranks
from .regimes import Regime, regimes
from .settings import TrainingSettings
from .transfer import check_patterns, freeze

TOGETHER = 20
"""Steps whose losses are read at once from a GPU, which has to be waited for."""


class Seen(NamedTuple):
    """What a step came to.

    Attributes:
        step: Its number, counted from 1.
        terms: The losses, by name.
        lengths: Of the gradient of each turn; none where a scaler leaves a step out whose gradient is not finite.
        cases: Where its patches came from.
        counts: What the regime counted (`Regime`), or None.
    """

    step: int
    terms: dict[str, Tensor]
    lengths: dict[str, Tensor]
    cases: tuple[str, ...]
    counts: Tensor | None


class Learner:
    """A net that learns, in every turn of a regime.

    Args:
        net: Newly built, or with weights to start from.
        task: What its channels mean.
        plan: Precision, and whether Dice is that of a batch.
        settings: How to train.
        ranks: The devices that train together.
        accelerator: What they are.
        seed: Of everything drawn.

    Attributes:
        net: What predicts, where `ranks` puts it.
        average: The running average of its weights, which the first device keeps; None on others.
        regime: What a batch teaches.
        device: Where it learns.
        factor: Of the highest learning rate, at the last step.
    """

    def __init__(
        self,
        net: Net,
        task: Task,
        plan: Plan,
        settings: TrainingSettings,
        ranks: Ranks,
        accelerator: str,
        seed: int,
    ) -> None:
        if plan.precision == "16-mixed" and (accelerator in ("cpu", "mps") or not torch.cuda.is_available()):
            raise ConfigError("Precision 16-mixed needs a CUDA device; use bf16-mixed or 32-true here.")
        self.net, self.settings, self.ranks, self.seed = net, settings, ranks, seed
        self.fabric = ranks.fabric(accelerator, plan.precision)
        self.device: torch.device = self.fabric.device
        loss = _loss(task, plan, settings)
        net.train().to(self.device)
        freeze(net, settings.freeze)
        check_patterns(net, settings.learning_rates, "training.learning_rates")
        self.regime: Regime = regimes.build(settings.regime, net=net, task=task, loss=loss)
        self.average = None if ranks.rank else Average(net, settings.ema)
        self.modules, self.optimisers = {}, {}
        for turn in self.regime.turns:
            module = getattr(self.regime, turn)
            self.modules[turn] = module
            scaled = plan.precision == "16-mixed"
            optimiser = build_optimiser(module, settings.optimiser, settings.learning_rates, scaled)
            wrapped, self.optimisers[turn] = self.fabric.setup(module, optimiser)
            setattr(self.regime, turn, wrapped)
        self.factor = 1.0
        self._leash = Leash(self.device)
        self._unread: list[Seen] = []

    @property
    def learning_rate(self) -> float:
        """The highest one at the last step."""
        peak: float = max(group["peak"] for group in self.optimisers[self.regime.turns[0]].param_groups)
        return peak * self.factor

    @property
    def averaged(self) -> Net:
        """The net with the running average of the weights, on the first device."""
        assert self.average is not None
        return self.average.net

    @property
    def due(self) -> bool:
        """Whether it is time to read the losses: reading from the processor costs nothing."""
        return self.device.type == "cpu" or len(self._unread) >= TOGETHER

    def step(self, number: int, group: Sequence[Batch], progress: float, factor: float) -> None:
        """Learn from the batches of a step.

        Args:
            number: Steps that were taken before.
            group: Batches whose gradients are averaged.
            progress: Of the training, 0..1.
            factor: Of the highest learning rate.
        """
        self.factor = factor
        seed_step(self.seed, number * self.ranks.count + self.ranks.rank)
        if before := getattr(self.regime, "before_step", None):
            before(progress)
        terms: dict[str, Tensor] = {}
        lengths: dict[str, Tensor] = {}
        for turn in self.regime.turns:
            found, length = self._one_turn(turn, group)
            terms |= found
            if length is not None and self._scaler is None:
                lengths[turn] = length
        if self.average is not None:
            self.average.update(number)
        if after := getattr(self.regime, "after_step", None):
            after(progress)
        cases = tuple(case_id for batch in group for case_id in batch.case_ids)
        self._unread.append(Seen(number + 1, terms, lengths, cases, self._counted()))
        self._leash.step()

    def _one_turn(self, turn: str, group: Sequence[Batch]) -> tuple[dict[str, Tensor], Tensor | None]:
        """The losses of a turn, by name, and the length of its gradient before it was clipped."""
        optimiser = self.optimisers[turn]
        for parameters in optimiser.param_groups:
            parameters["lr"] = parameters["peak"] * self.factor
        optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for batch in group:
            found = self.regime.losses(turn, batch)
            self.fabric.backward(torch.stack(list(found.values())).sum() / len(group))
            for name, value in found.items():
                sums[name] = sums.get(name, 0) + value.detach() / len(group)
        most = self.settings.optimiser.clip or math.inf
        length = self.fabric.clip_gradients(
            getattr(self.regime, turn), optimiser, max_norm=most, error_if_nonfinite=False
        )
        optimiser.step()
        return sums, length

    def passes(self, batch: Batch) -> None:
        """Forward and backward as in a step, of which nothing remains."""
        turn = self.regime.turns[0]
        self.fabric.backward(torch.stack(list(self.regime.losses(turn, batch).values())).sum())
        self.optimisers[turn].zero_grad(set_to_none=True)
        self._counted()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def _counted(self) -> Tensor | None:
        counted = getattr(self.regime, "counted", None)
        found: Tensor | None = counted() if counted else None
        return found

    def read(self) -> Iterator[tuple[dict[str, float], np.ndarray | None]]:
        """Losses and counts of the steps that were not looked at yet; those of the first device stand for all.

        Raises:
            HyoidError: When a loss or a gradient is not finite, naming step and cases.
        """
        unread, self._unread = self._unread, []
        for seen in () if self.ranks.rank else unread:
            values = {name: value.item() for name, value in seen.terms.items()}
            every = values | {f"the gradient of the {turn}": length.item() for turn, length in seen.lengths.items()}
            bad = [name for name, value in every.items() if not math.isfinite(value)]
            if bad:
                raise HyoidError(
                    f"Training stopped at step {seen.step}: {bad[0]} is {every[bad[0]]}. The batch came from"
                    f" {', '.join(dict.fromkeys(seen.cases))}. Look at these cases, or lower"
                    " training.optimiser.learning_rate."
                )
            yield values, None if seen.counts is None else seen.counts.cpu().numpy()

    def check_weights(self, step: int) -> None:
        """Refuse to keep weights that are worth nothing.

        Raises:
            HyoidError: When the average of the weights is not finite.
        """
        if not all(bool(weight.isfinite().all()) for weight in self.averaged.parameters()):
            raise HyoidError(
                f"Training stopped after step {step}: its weights are not finite. Lower"
                " training.optimiser.learning_rate."
            )

    @property
    def _scaler(self) -> Any:
        """What keeps gradients in the range of float16; None in other precisions."""
        return getattr(self.fabric.strategy.precision, "scaler", None)

    def tensors(self) -> Tensors:
        """Weights, their average, and the state of what changes them."""
        found = below("average", self.averaged.state_dict())
        for turn, module in self.modules.items():
            found |= below(turn, module.state_dict())
            found |= below(f"optimiser:{turn}", optimiser_tensors(self.optimisers[turn]))
        return found

    def state(self) -> dict[str, Any]:
        """What else has to be remembered to go on from here."""
        scaler = self._scaler
        return {"factor": self.factor, "scaler": scaler.state_dict() if scaler is not None else None}

    def restore(self, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `state` gave."""
        for turn, module in self.modules.items():
            module.load_state_dict(part(tensors, turn))
            restore_optimiser(self.optimisers[turn], part(tensors, f"optimiser:{turn}"))
        if self.average is not None:
            self.average.net.load_state_dict(part(tensors, "average"))
        self.factor = state.get("factor", 1.0)  # checkpoints of 0.1.0 have none
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])


def _loss(task: Task, plan: Plan, settings: TrainingSettings) -> Loss:
    return build_loss(settings.loss or task.default_loss, settings.loss_options, task.activate, plan.batch_dice)
