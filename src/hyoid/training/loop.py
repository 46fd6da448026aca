"""fit: the one loop in which every regime learns."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from inspect import signature
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..augmentation.policies import build_policy
from ..core.case import Batch
from ..core.duration import duration
from ..core.errors import ConfigError, HyoidError
from ..core.progress import Listener, log, stage
from ..losses.loss import Loss
from ..losses.shelf import losses
from ..nets.net import Net
from ..planning.plan import Plan
from ..prediction.predictor import PredictionSettings, Predictor
from ..preparation.store import Store
from ..tasks.task import Task
from .accelerator import Leash, augments, one_ahead
from .checkpoint import below, optimiser_tensors, part, read_checkpoint, restore_optimiser, write_checkpoint
from .clock import Clock
from .compiling import lacking, try_compiled, undo, worth_a_trial
from .data import Feed, Sampler, default_workers
from .monitor import Monitor
from .optim import Average, build_optimiser, learning_rate_factor
from .plateau import COOL_DOWN, GAIN, find_plateau
from .quiet import Interruption, interruptible, repeatable, seed_step
from .ranks import Ended, Ranks, together
from .regimes import Regime, regimes
from .settings import TrainingSettings
from .transfer import check_patterns, freeze
from .validation import Validator, overall, step_cost

NUM_ROWS = 200
"""Rows of curves.csv in a whole training, those of validation not counted."""

KNOWN = 5
"""Steps after which it is known how long one takes."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        steps: Steps taken.
        seconds: Wall time, validation included.
        dice: Mean Dice of each structure over the last validated cases, with averaged weights; empty without any.
        best_dice: Highest mean Dice at any validation; NaN when there was none.
        num_validated: Cases behind `dice`.
        step_seconds: Typical time of a step.
        waiting: Share of the time in which the net waited for patches.
        length: Share of the steps or the time that was used; less than 1 when a plateau ended it.
    """

    steps: int
    seconds: float
    dice: dict[str, float]
    best_dice: float
    num_validated: int
    step_seconds: float
    waiting: float
    length: float = 1.0


def fit(
    net: Net,
    task: Task,
    store: Store,
    split: tuple[Sequence[str], Sequence[str]],
    plan: Plan,
    settings: TrainingSettings,
    folder: str | Path,
    *,
    steps: int | None = None,
    seconds: float | None = None,
    seed: int = 0,
    resume: bool = False,
    accelerator: str = "auto",
) -> Outcome:
    """Train a net and leave its weights and curves in a folder.

    `last.safetensors` has everything needed to go on, `best.safetensors` the averaged weights with the highest
    validation Dice, `curves.csv` the curves.

    Args:
        net: Newly built, or with weights to start from.
        task: What its channels mean.
        store: Prepared cases.
        split: Cases to learn from, and cases to validate on (may be none).
        plan: Patch, batch, augmentation and precision.
        settings: How to train.
        folder: Where results go.
        steps: Steps to take; then the result depends on nothing but settings, data and seed.
        seconds: Or the wall time to use, with validation.
        seed: Of everything drawn.
        resume: Go on from `last.safetensors` when there is one.
        accelerator: "auto", "cpu", "cuda" or "mps"; `settings.devices` says how many.

    Raises:
        HyoidError: When the loss is not finite, naming step and cases.
        KeyboardInterrupt: After saving, when the user interrupts.
    """
    if not split[0]:
        raise ConfigError("There are no cases to learn from; the split leaves none for training.")
    Path(folder).mkdir(parents=True, exist_ok=True)
    resume = resume and (Path(folder) / "last.safetensors").exists()
    shared = (task, store, split, plan, settings, folder, steps, seconds, seed, resume, accelerator)
    with (
        repeatable(settings.deterministic),
        interruptible() as interruption,
        together(settings.devices, accelerator, follow, shared) as ranks,
    ):
        return _training(ranks, net, *shared).run(interruption)


def follow(ranks: Ranks, *shared: Any) -> Net:
    """What the processes of further devices do: take part in every step. Gives the net, which is the same in all."""
    plan, settings = shared[3], shared[4]
    with repeatable(settings.deterministic):
        net: Net = plan.net.build()
        _training(ranks, net, *shared).follow()
    return net


def _training(
    ranks: Ranks,
    net: Net,
    task: Task,
    store: Store,
    split: tuple[Sequence[str], Sequence[str]],
    plan: Plan,
    settings: TrainingSettings,
    folder: str | Path,
    steps: int | None,
    seconds: float | None,
    seed: int,
    resume: bool,
    accelerator: str,
) -> _Training:
    """A training at its beginning, or where the last checkpoint left it."""
    clock = Clock(steps, seconds)
    training = _Training(net, task, store, split, plan, settings, Path(folder), clock, seed, accelerator, ranks)
    if resume:
        training.restore()
    return training


@dataclass
class _Training:
    """One training while it lives."""

    net: Net
    task: Task
    store: Store
    split: tuple[Sequence[str], Sequence[str]]
    plan: Plan
    settings: TrainingSettings
    folder: Path
    clock: Clock
    seed: int
    accelerator: str
    ranks: Ranks
    finished: bool = False
    pending: list[tuple[int, dict[str, Tensor], tuple[str, ...], Tensor | None]] = field(default_factory=list)
    saved_at: float = field(default_factory=lambda: time.perf_counter())
    save_seconds: float = 0.0
    row: int = 0
    factor: float = 1.0
    compiled: bool | None = None
    tried: bool = False

    def __post_init__(self) -> None:
        if self.plan.precision == "16-mixed" and (self.accelerator in ("cpu", "mps") or not torch.cuda.is_available()):
            raise ConfigError("Precision 16-mixed needs a CUDA device; use bf16-mixed or 32-true here.")
        self.fabric = self.ranks.fabric(self.accelerator, self.plan.precision)
        loss = self._loss()
        self.net.train().to(self.fabric.device)
        self.still = freeze(self.net, self.settings.freeze)
        check_patterns(self.net, self.settings.learning_rates, "training.learning_rates")
        self.regime: Regime = regimes.build(self.settings.regime, net=self.net, task=self.task, loss=loss)
        self.average = Average(self.net, self.settings.ema)
        self.modules, self.optimisers = {}, {}
        for turn in self.regime.turns:
            module = getattr(self.regime, turn)
            self.modules[turn] = module
            fused = self.plan.precision != "16-mixed"
            optimiser = build_optimiser(module, self.settings.optimiser, self.settings.learning_rates, fused)
            wrapped, self.optimisers[turn] = self.fabric.setup(module, optimiser)
            setattr(self.regime, turn, wrapped)
        self.rate = learning_rate_factor(self.settings.optimiser)
        self.validator = self._validator()
        self.feed, self.leash = self._feed(), Leash(self.fabric.device)
        self.monitor_state: dict[str, Any] | None = None
        if self.settings.compile == "always" and self.ranks.count > 1:
            raise ConfigError("training.compile = always is for one device; set training.devices to 1, or say auto.")
        if self.settings.compile == "always" and (need := lacking(self.fabric.device)):
            raise ConfigError(f"training.compile = always needs {need}, which is not here; install it, or say auto.")

    def _loss(self) -> Loss:
        name = self.settings.loss or self.task.default_loss
        options = dict(self.settings.loss_options)
        if "batch" in signature(losses[name].build).parameters:
            options.setdefault("batch", self.plan.batch_dice)
        return losses.build(name, **options)

    def _validator(self) -> Validator:
        own = PredictionSettings(mirror=False)
        predictor = Predictor(self.average.net, self.task, self.plan, own, self.fabric.device)
        order = np.random.default_rng(self.seed).permutation(len(self.split[1]))
        ids = [self.split[1][i] for i in order]
        batch = self.plan.batch * self.settings.optimiser.accumulate
        costs = [step_cost(predictor, self.store.labels(case_id).shape[1:], batch) for case_id in ids]
        return Validator(predictor, self.store, ids, costs, self.settings.validation, self.clock)

    def _feed(self) -> Feed:
        plan, settings = self.plan, self.settings
        known = [spacing for spacing in plan.spacing_mm or () if spacing is not None]
        spacing_mm = [spacing or max(known) for spacing in plan.spacing_mm or ()] if known else None
        policy = build_policy(plan.policy, plan.patch, spacing_mm, plan.mirror_axes)
        flat = len(plan.patch) - len(self.net.divisor)
        sampler = Sampler(
            self.store,
            tuple(self.split[0]),
            self.task.labels,
            policy,
            (0,) * flat + self.net.margin,
            plan.batch * self.ranks.count,
            self.seed,
            plan.foreground_share,
            settings.sampling,
            settings.voxel_weights,
        )
        device, share = self.fabric.device, (self.ranks.rank, self.ranks.count)
        workers = settings.workers or max(1, default_workers() // self.ranks.count)
        computes = augments(settings.augment_on, device)
        return Feed(sampler, self.task, len(self.net.divisor), workers, share, device, computes)

    @property
    def _scaler(self) -> Any:
        """What keeps gradients in the range of float16; None in other precisions."""
        return getattr(self.fabric.strategy.precision, "scaler", None)

    @property
    def last(self) -> Path:
        return self.folder / "last.safetensors"

    def run(self, interruption: Interruption) -> Outcome:
        """Steps, validations and checkpoints until the clock says so."""
        structures = self.task.structures
        monitor = Monitor(self.folder, structures, self.monitor_state, self.settings.tensorboard)
        self.monitor = monitor
        total = self.clock.steps or self.clock.seconds
        try:
            with stage("train", total) as listener:
                if not self.finished:
                    self._warm_up()
                shown = self._show(listener, 0.0)
                batches = self._batches()
                try:
                    if self.clock.step and not self.finished and self.validator.due():
                        self._round(interruption)  # the one that was interrupted
                    while not self.finished and not self.clock.done:
                        self._one_step(batches)
                        self._rows_and_rounds(interruption)
                        shown = self._show(listener, shown)
                        if interruption.asked:
                            self.save()
                            raise KeyboardInterrupt
                finally:
                    batches.close()
                if not self.finished:
                    self._finish(interruption)
        finally:
            monitor.close()
        return Outcome(
            self.clock.step,
            self.clock.elapsed_seconds,
            self.validator.dice,
            self.validator.best if math.isfinite(self.validator.best) else math.nan,
            self.validator.num_final,
            self.clock.step_seconds,
            self.feed.waited_seconds / max(self.clock.elapsed_seconds, 1e-9),
            self.clock.length,
        )

    def follow(self) -> None:
        """Steps until the first process says that there are no more."""
        batches = self._batches()
        try:
            while True:
                self._one_step(batches)
        except Ended:
            pass
        finally:
            batches.close()

    def _batches(self) -> Generator[Batch, None, None]:
        first = self.clock.step * self.settings.optimiser.accumulate
        return one_ahead(self.feed.batches(first), self.fabric.device)

    def _warm_up(self) -> None:
        """Draw a batch before the clock starts: on a new machine its loops are compiled first, which takes seconds."""
        self.feed.batch(self.clock.step)
        self.clock.start()

    def _one_step(self, batches: Iterator[Batch]) -> None:
        begin = time.perf_counter()
        group = list(islice(batches, self.settings.optimiser.accumulate))
        begin += self._compile_if_it_pays(group[0])
        progress, self.factor = self.ranks.agreed(self.clock.progress, self.rate(self.clock.progress))
        seed_step(self.seed, self.clock.step * self.ranks.count + self.ranks.rank)
        if before := getattr(self.regime, "before_step", None):
            before(progress)
        terms: dict[str, Tensor] = {}
        for turn in self.regime.turns:
            terms |= self._one_turn(turn, group)
        self.average.update(self.clock.step)
        if after := getattr(self.regime, "after_step", None):
            after(progress)
        cases = tuple(case_id for batch in group for case_id in batch.case_ids)
        counted = getattr(self.regime, "counted", None)
        self.pending.append((self.clock.step + 1, terms, cases, counted() if counted else None))
        # Reading a number from a GPU stops it until it has caught up; on the CPU it costs nothing.
        if self.fabric.device.type == "cpu" or len(self.pending) >= 20:
            self._settle()
        self.leash.step()
        self.clock.tick(time.perf_counter() - begin)

    def _compile_if_it_pays(self, batch: Batch) -> float:
        """Compile the net when that is asked for, was decided before, or seems to pay; gives the seconds it took.

        A number of steps gives the same weights each time, so there the clock must decide nothing: auto means no.
        """
        begin, device, wish = time.perf_counter(), self.fabric.device, self.settings.compile
        due = self.compiled or (self.clock.seconds is not None and self.clock.step >= KNOWN)
        if self.tried or self.ranks.count > 1 or wish == "never" or not (due or wish == "always"):
            return 0.0
        self.tried = True
        hopeless = self.compiled is False or not (self.compiled or worth_a_trial(self.clock.left_seconds, device))
        if wish == "auto" and (hopeless or lacking(device)):
            self.compiled = False
            return 0.0
        try:
            trial = try_compiled(self.net, lambda: self._passes(batch))
        except Exception as error:  # compilers fail in as many ways as there are operations
            if wish == "always":
                raise HyoidError(
                    f"torch.compile cannot compute this net ({error}); set training.compile=never."
                ) from error
            log.warning("torch.compile cannot compute this net (%s); steps stay as they are.", type(error).__name__)
            self.compiled = False
            return time.perf_counter() - begin
        self.compiled = wish == "always" or self.compiled or trial.pays
        if not self.compiled:
            undo(self.net)
        step_seconds = self.clock.step_seconds or trial.before
        left = (self.clock.steps or self.clock.step + self.clock.left_seconds / step_seconds) - self.clock.step
        log.info(trial.describe(left, self.compiled))
        return time.perf_counter() - begin

    def _passes(self, batch: Batch) -> None:
        """Forward and backward as in a step, of which nothing remains."""
        turn = self.regime.turns[0]
        self.fabric.backward(torch.stack(list(self.regime.losses(turn, batch).values())).sum())
        self.optimisers[turn].zero_grad(set_to_none=True)
        if counted := getattr(self.regime, "counted", None):
            counted()
        if self.fabric.device.type == "cuda":
            torch.cuda.synchronize(self.fabric.device)

    def _one_turn(self, turn: str, group: list[Batch]) -> dict[str, Tensor]:
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
        if self.settings.optimiser.clip is not None:
            module = getattr(self.regime, turn)
            self.fabric.clip_gradients(
                module, optimiser, max_norm=self.settings.optimiser.clip, error_if_nonfinite=False
            )
        optimiser.step()
        return sums

    def _settle(self) -> None:
        """Look at the losses that were not looked at yet; those of the first device stand for all."""
        if self.ranks.rank:
            self.pending.clear()
        for step, terms, cases, counts in self.pending:
            values = {name: value.item() for name, value in terms.items()}
            bad = [name for name, value in values.items() if not math.isfinite(value)]
            if bad:
                raise HyoidError(
                    f"Training stopped at step {step}: {bad[0]} is {values[bad[0]]}. The batch came from"
                    f" {', '.join(dict.fromkeys(cases))}. Look at these cases, or lower"
                    " training.optimiser.learning_rate."
                )
            self.monitor.take(values, None if counts is None else counts.cpu().numpy())
        self.pending.clear()

    def _rows_and_rounds(self, interruption: Interruption) -> None:
        row = int(self.clock.progress * NUM_ROWS)
        if self.validator.due():
            self._round(interruption)
        elif row > self.row and not self.clock.done:
            self._settle()
            self._write_row()
        self.row = row
        self._keep_reserve()
        if time.perf_counter() - self.saved_at > self.settings.checkpoint_seconds:
            self.save()

    def _round(self, interruption: Interruption) -> None:
        if self._validate(self.validator.num_cases, interruption):
            assert self.validator.rounds is not None
            self.validator.rounds.finish(self.clock.progress)
            self._look_for_plateau()

    def _look_for_plateau(self) -> None:
        """On a plateau only the end of the schedule is left to do, in a short time."""
        found = find_plateau(self.validator.history, self.settings.patience)
        if found is None:
            return
        assert self.validator.rounds is not None
        self.validator.rounds.stop()
        saved = self.clock.shorten(COOL_DOWN)
        told = (
            "Validation Dice has not risen by more than %g since %.0f %% of the training (%.3f); training cools down"
            " now and stops at %.0f %%, %s before its time."
        )
        log.info(told, GAIN, 100 * found.since, found.dice, 100 * self.clock.length, duration(saved))

    def _validate(self, num_cases: int, interruption: Interruption) -> bool:
        """Dice of the first so many cases with averaged weights; gives whether it was not interrupted."""
        self._settle()
        before = self.validator.best
        if not self.validator.measure(num_cases, lambda: interruption.asked):
            return False
        self._write_row(self.validator.dice)
        if self.validator.best > before:
            facts = {"step": self.clock.step, "dice": self.validator.dice}
            write_checkpoint(self.folder / "best.safetensors", below("average", self.average.net.state_dict()), facts)
        return True

    def _keep_reserve(self) -> None:
        """Keep the time that the last validation and checkpoint will need."""
        if self.clock.seconds is not None and self.validator.rounds is not None:
            end = self.validator.foresee_end()
            self.clock.reserve_seconds = end + 1.5 * self.save_seconds + self.clock.step_seconds

    def _finish(self, interruption: Interruption) -> None:
        """The last validation, on as many cases as were foreseen, and the last checkpoint."""
        self.validator.foresee_end()
        if self.validator.num_final:
            if self._validate(self.validator.num_final, interruption):
                found, every = overall(self.validator.dice), len(self.validator.ids)
                told = "Training ends with mean Dice %.3f on %d of %d validation cases."
                log.info(told, found, self.validator.num_final, every)
        else:
            self._settle()
            self._write_row()
        self.finished = not interruption.asked
        self.save()
        if interruption.asked:
            raise KeyboardInterrupt

    def _write_row(self, dice: dict[str, float] | None = None) -> None:
        peak = max(group["peak"] for group in self.optimisers[self.regime.turns[0]].param_groups)
        clock, rate = self.clock, peak * self.factor
        self.monitor.write(clock.step, clock.progress, clock.elapsed_seconds, rate, dice)

    def save(self) -> None:
        """Write everything needed to go on exactly from here."""
        begin = time.perf_counter()
        self._settle()
        tensors = below("average", self.average.net.state_dict())
        for turn, module in self.modules.items():
            tensors |= below(turn, module.state_dict())
            tensors |= below(f"optimiser:{turn}", optimiser_tensors(self.optimisers[turn]))
        scaler = self._scaler
        facts = {
            "step": self.clock.step,
            "seed": self.seed,
            "finished": self.finished,
            "clock": self.clock.state(),
            "factor": self.factor,
            "compiled": self.compiled,
            "validation": self.validator.state(),
            "waited_seconds": self.feed.waited_seconds,
            "monitor": self.monitor.state(),
            "scaler": scaler.state_dict() if scaler is not None else None,
        }
        write_checkpoint(self.last, tensors, facts)
        self.saved_at = time.perf_counter()
        self.save_seconds = self.saved_at - begin

    def restore(self) -> None:
        """Go on from the last checkpoint."""
        tensors, facts = read_checkpoint(self.last)
        if facts["seed"] != self.seed:
            raise ConfigError(f"{self.last}: this training began with seed {facts['seed']}, not {self.seed}.")
        for turn, module in self.modules.items():
            module.load_state_dict(part(tensors, turn))
            restore_optimiser(self.optimisers[turn], part(tensors, f"optimiser:{turn}"))
        self.average.net.load_state_dict(part(tensors, "average"))
        self.clock.restore(facts["clock"])
        self.factor = facts.get("factor", 1.0)  # checkpoints of 0.1.0 have neither
        self.compiled = facts.get("compiled")
        self.row = int(self.clock.progress * NUM_ROWS)
        self.validator.restore(facts["validation"])
        self.finished = facts["finished"]
        self.feed.waited_seconds = facts["waited_seconds"]
        self.monitor_state = facts["monitor"]
        if facts["scaler"]:
            self._scaler.load_state_dict(facts["scaler"])
        log.info("Training goes on from step %d.", self.clock.step)

    def _show(self, listener: Listener, shown: float) -> float:
        """Tell the listener how far training is; gives what was told so far."""
        reached = self.clock.step if self.clock.steps is not None else self.clock.elapsed_seconds
        parts = [f"{name} {value:.3f}" for name, value in self.monitor.latest().items()]
        if self.validator.dice:
            parts.append(f"dice {overall(self.validator.dice):.3f}")
        listener.advance(reached - shown, ", ".join([*parts, f"{duration(self.clock.left_seconds)} left"]))
        return reached
