"""Learner: the modules that learn, what changes their weights, and one step of it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import count
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import ConfigError, HyoidError
from ..losses.shelf import build_loss
from ..nets.net import Net
from .accelerator import Batches, Leash
from .checkpoint import Tensors, below, optimiser_tensors, part, restore_optimiser
from .job import Job
from .optim import Average, build_optimiser, learning_rate_factor
from .quiet import seed_step, seeded, step_seed
from .ranks import Ranks
from .regimes import Regime, build_regime
from .transfer import check_patterns, freeze

TOGETHER = 20
"""Steps whose losses are read at once from a GPU, which has to be waited for."""


class Seen(NamedTuple):
    """What a step came to.

    Attributes:
        step: Its number, counted from 1.
        terms: The losses, by name.
        shown: Other values for the curves, by name.
        lengths: Of the gradient of each turn; none where a scaler leaves a step out whose gradient is not finite.
        cases: Where its patches came from.
        counts: What the regime counted (`Regime`), or None.
    """

    step: int
    terms: dict[str, Tensor]
    shown: dict[str, Tensor]
    lengths: dict[str, Tensor]
    cases: tuple[str, ...]
    counts: Tensor | None


class Learner:
    """A net that learns, in every turn of a regime.

    Args:
        net: Newly built, or with weights to start from.
        job: Task, plan (precision, and whether Dice is that of a batch), settings, seed and accelerator.
        ranks: The devices that train together.

    Attributes:
        net: The net as it was given, now on the device.
        regime: What batches teach.
        predicted: The module that is validated and exported: the average that the first device keeps of a turn, None on
            others; or the module that the regime keeps.
        device: Where it learns.
        factor: Of the highest learning rate of the first turn, at the last step.
    """

    def __init__(self, net: Net, job: Job, ranks: Ranks) -> None:
        plan, settings = job.plan, job.settings
        on_gpu = job.accelerator not in ("cpu", "mps") and torch.cuda.is_available()
        if plan.precision == "16-mixed" and not on_gpu:
            raise ConfigError("Precision 16-mixed needs a CUDA device; use bf16-mixed or 32-true here.")
        self.net, self.settings, self.ranks, self.seed = net, settings, ranks, job.seed
        self.fabric = ranks.fabric(job.accelerator, plan.precision)
        self.device: torch.device = self.fabric.device
        net.train().to(self.device)
        freeze(net, settings.freeze)
        check_patterns(net, settings.learning_rates, "training.learning_rates")
        others = count(1)
        surroundings = {
            "net": net,
            "task": job.task,
            "loss": build_loss(
                settings.loss or job.task.default_loss, settings.loss_options, job.task.activate, plan.batch_dice
            ),
            "plan": plan,
            "dims": plan.net.dims,
            "in_channels": plan.net.in_channels,
            "make_net": lambda: seeded(plan.net.build, step_seed(job.seed, next(others))).train().to(self.device),
        }
        self.regime: Regime = seeded(lambda: build_regime(settings, surroundings), job.seed)
        self.turns = self.regime.turns
        self.average = self._averages()
        self.wrapped: dict[str, nn.Module] = {}
        self.optimisers: dict[str, Any] = {}
        self.rates = {name: learning_rate_factor(turn.settings) for name, turn in self.turns.items()}
        for name, turn in self.turns.items():
            factors = settings.learning_rates if turn.module is net else None
            optimiser = build_optimiser(
                turn.module.to(self.device), turn.settings, factors, scaled=plan.precision == "16-mixed"
            )
            self.wrapped[name], self.optimisers[name] = self.fabric.setup(turn.module, optimiser)
        self._replace_modules()
        self.factor = 1.0
        self._leash = Leash(self.device)
        self._unread: list[Seen] = []

    def _averages(self) -> Average | None:
        """The average of the weights of the turn that predicts, in the first process."""
        predicts = self.regime.predicts
        module = self.turns[predicts].module if predicts in self.turns else self.regime.keeps[predicts]
        if not isinstance(module, Net):
            raise ConfigError(
                f"regime {self.settings.regime!r}: {predicts!r} predicts, so it must be a hyoid.nets.Net."
            )
        if predicts in self.regime.keeps:
            module.eval()
        elif not self.ranks.rank:
            return Average(module.to(self.device), self.settings.ema)
        return None

    def _replace_modules(self) -> None:
        """Give the regime modules that compute in the precision of the plan, and the context in which they do."""
        from lightning_fabric.wrappers import _FabricModule

        for name, module in self.wrapped.items():
            setattr(self.regime, name, module)
        for name, module in self.regime.keeps.items():
            # Fabric.setup_module is for modules with gradients when there are several devices
            setattr(self.regime, name, _FabricModule(module.to(self.device), self.fabric.strategy))
        self.regime.autocast = self.fabric.autocast

    @property
    def learning_rate(self) -> float:
        """The highest one at the last step, in the first turn."""
        peak: float = max(group["peak"] for group in self.optimisers[next(iter(self.turns))].param_groups)
        return peak * self.factor

    @property
    def predicted(self) -> Net:
        """The net that is validated and exported, on the first device."""
        found = self.regime.keeps[self.regime.predicts] if self.average is None else self.average.net
        assert isinstance(found, Net)
        return found

    @property
    def due(self) -> bool:
        """Whether it is time to read the losses: reading from the processor costs nothing."""
        return self.device.type == "cpu" or len(self._unread) >= TOGETHER

    def step(self, number: int, group: Sequence[Batches], progress: float) -> None:
        """Learn from the batches of a step.

        Args:
            number: Steps that were taken before.
            group: Batches whose gradients are averaged.
            progress: Of the training, 0..1.
        """
        self.factor = self.rates[next(iter(self.turns))](progress)
        seed_step(self.seed, number * self.ranks.count + self.ranks.rank)
        self.regime.before_step(progress)
        terms: dict[str, Tensor] = {}
        lengths: dict[str, Tensor] = {}
        for name, turn in self.turns.items():
            if not turn.comes(number, progress):
                continue
            values, length = self._one_turn(name, group, progress)
            terms |= values
            if length is not None and self._scaler is None:
                lengths[name] = length
        if self.average is not None:
            self.average.update(number)
        self.regime.after_step(progress)
        shown = {name: value.detach() for name, value in self.regime.shown().items()}
        cases = tuple(case_id for batches in group for batch in batches.values() for case_id in batch.case_ids)
        self._unread.append(Seen(number + 1, terms, shown, lengths, cases, self.regime.counted()))
        self._leash.step()

    def _one_turn(
        self, name: str, group: Sequence[Batches], progress: float
    ) -> tuple[dict[str, Tensor], Tensor | None]:
        """The losses of a turn, by name, and the length of its gradient before it was clipped; nothing when skipped."""
        optimiser, factor = self.optimisers[name], self.rates[name](progress)
        for parameters in optimiser.param_groups:
            parameters["lr"] = parameters["peak"] * factor
        optimiser.zero_grad(set_to_none=True)
        sums: dict[str, Tensor] = {}
        for batches in group:
            losses = self._losses(name, batches, progress)
            if losses:
                self.fabric.backward(torch.stack(list(losses.values())).sum() / len(group))
            for key, value in losses.items():
                sums[key] = sums.get(key, 0) + value.detach() / len(group)
        if not sums:
            return {}, None
        most = self.turns[name].settings.clip or math.inf
        length = self.fabric.clip_gradients(self.wrapped[name], optimiser, max_norm=most, error_if_nonfinite=False)
        optimiser.step()
        return sums, length

    def _losses(self, turn: str, batches: Batches, progress: float) -> Mapping[str, Tensor]:
        """The losses of a turn, refused where they cannot be added up and followed back to weights."""
        losses = self.regime.losses(turn, batches, progress)
        wrong = None
        if not isinstance(losses, Mapping):
            wrong = f"{losses!r}"
        else:
            for name, value in losses.items():
                if not isinstance(value, Tensor):
                    wrong = f"{value!r} as {name!r}"
                elif value.ndim:
                    wrong = f"a tensor of shape {tuple(value.shape)} as {name!r}"
            if wrong is None and losses and not any(value.requires_grad for value in losses.values()):
                wrong = (
                    f"{', '.join(f'{name!r} = {value.item():g}' for name, value in losses.items())} without gradient"
                )
        if wrong is not None:
            raise ConfigError(
                f"regime {self.settings.regime!r}: `losses` of turn {turn!r} must give a dict of scalar tensors with a"
                f" gradient, or an empty one to skip the turn; it gave {wrong}."
            )
        return losses

    def passes(self, batches: Batches, progress: float) -> None:
        """Forward and backward as in a step, of which nothing remains."""
        name = next(iter(self.turns))
        losses = self._losses(name, batches, progress)
        if losses:
            self.fabric.backward(torch.stack(list(losses.values())).sum())
        self.optimisers[name].zero_grad(set_to_none=True)
        self.regime.counted()
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

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
            values |= {name: value.item() for name, value in seen.shown.items()}
            yield values, None if seen.counts is None else seen.counts.cpu().numpy()

    def check_weights(self, step: int) -> None:
        """Refuse to keep weights that are worth nothing.

        Raises:
            HyoidError: When the average of the weights is not finite.
        """
        if not all(bool(weight.isfinite().all()) for weight in self.predicted.state_dict().values()):
            raise HyoidError(
                f"Training stopped after step {step}: its weights are not finite. Lower"
                " training.optimiser.learning_rate."
            )

    @property
    def _scaler(self) -> Any:
        """What keeps gradients in the range of float16; None in other precisions."""
        return getattr(self.fabric.strategy.precision, "scaler", None)

    @property
    def _modules(self) -> dict[str, nn.Module]:
        """Every module with something to save, by its name in the checkpoint."""
        kept = {f"kept:{name}": module for name, module in self.regime.keeps.items() if name != self.regime.predicts}
        average = {} if self.average is None and self.regime.predicts in self.turns else {"average": self.predicted}
        return {name: turn.module for name, turn in self.turns.items()} | kept | average

    def tensors(self) -> Tensors:
        """Weights, their average, what the regime keeps, and the state of optimisers."""
        tensors: Tensors = {}
        for name, module in self._modules.items():
            tensors |= below(name, module.state_dict())
        for name, optimiser in self.optimisers.items():
            tensors |= below(f"optimiser:{name}", optimiser_tensors(optimiser))
        return tensors

    def state(self) -> dict[str, Any]:
        """What else has to be remembered to go on from here."""
        scaler = None if self._scaler is None else self._scaler.state_dict()
        return {"factor": self.factor, "scaler": scaler, "predicts": self.regime.predicts}

    def restore(self, tensors: Tensors, state: Mapping[str, Any]) -> None:
        """Go on from what `tensors` and `state` gave."""
        for name, module in self._modules.items():
            module.load_state_dict(part(tensors, name))
        for name, optimiser in self.optimisers.items():
            restore_optimiser(optimiser, part(tensors, f"optimiser:{name}"))
        self.factor = state["factor"]
        if state["scaler"]:
            self._scaler.load_state_dict(state["scaler"])
