"""fit: the one loop in which every regime learns."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import Any

import numpy as np

from ..core.duration import duration
from ..core.errors import ConfigError
from ..core.memory import forget_peak, peak_gb
from ..core.progress import Listener, log, stage
from ..core.shapes import checked
from ..core.stopping import Stop
from ..nets.net import Net
from ..prediction.predictor import Predictor
from ..prediction.settings import PredictionSettings
from .accelerator import Batches, augments, one_ahead
from .checkpoint import below, check_finite, read_checkpoint, write_checkpoint
from .clock import Clock
from .compiling import Compiler
from .data import Feed, default_workers
from .job import Job, sampler_of
from .learner import Learner
from .monitor import Monitor
from .plateau import COOL_DOWN, find_plateau
from .quiet import interruptible, repeatable
from .ranks import Ended, Ranks, together
from .regimes import check_regime
from .validation import Validator, step_cost

_FACTS = {
    "seed": int,
    "ended": (float, None),
    "waited_seconds": float,
    "clock": {},
    "validation": {},
    "monitor": {},
    **dict.fromkeys(("compiled", "factor", "scaler"), object),
}
"""What a training needs to go on from its checkpoint."""

NUM_ROWS = 200
"""Rows of curves.csv in a whole training, those of validation not counted."""


@dataclass(frozen=True)
class Outcome:
    """What a training came to.

    Attributes:
        steps: Steps taken.
        seconds: Wall time, validation included.
        scores: Mean of each score of the task over the last validated cases, with averaged weights; empty without any.
        best_score: Highest value of the score that decides at any validation; NaN when there was none.
        num_validated: Cases behind `scores`.
        step_seconds: Typical time of a step.
        waiting: Share of the time in which the net waited for patches.
        length: Share of the steps or the time that was used; less than 1 when a plateau ended it.
        memory_gb: Most memory that was needed.
        memory_of: "training", or "the process" where the system cannot tell what was needed before.
    """

    steps: int
    seconds: float
    scores: dict[str, float]
    best_score: float
    num_validated: int
    step_seconds: float
    waiting: float
    length: float
    memory_gb: float
    memory_of: str


def fit(net: Net, job: Job) -> Outcome:
    """Train a net and leave its weights and curves in a folder.

    `last.safetensors` has everything needed to go on, `best.safetensors` the averaged weights with the highest
    validation score, `curves.csv` the curves.

    Args:
        net: Newly built, or with weights to start from.
        job: What it learns from what, and how far.

    Raises:
        HyoidError: When a loss or a gradient is not finite, naming step and cases.
        KeyboardInterrupt: After saving, when the user or the system interrupts (Ctrl-C, SIGTERM).
    """
    check_regime(job.settings)
    if not job.training:
        raise ConfigError("There are no cases to learn from; the split leaves none for training.")
    job.folder.mkdir(parents=True, exist_ok=True)
    job = replace(job, resume=job.resume and job.last.exists())
    with (
        repeatable(job.settings.deterministic, job.accelerator),
        interruptible() as interruption,
        together(job.settings.devices, job.accelerator, follow, (job,)) as ranks,
    ):
        return _Training(net, job, ranks).run(interruption)


def follow(ranks: Ranks, job: Job) -> Net:
    """What the processes of further devices do: take part in every step. Gives the net, which is the same in all."""
    with repeatable(job.settings.deterministic, job.accelerator):
        net: Net = job.plan.net.build()
        _Training(net, job, ranks).follow()
    return net


class _Training:
    """One training while it lives; at its beginning, or where the last checkpoint left it."""

    def __init__(self, net: Net, job: Job, ranks: Ranks) -> None:
        self.job, self.ranks = job, ranks
        self.learner = Learner(net, job, ranks)
        self.clock = Clock(job.steps, job.seconds, job.progress)
        self.feed = self._feed()
        wish = job.settings.compile if ranks.count == 1 else "never"
        self.compiler = Compiler(wish, self.learner.device, self.clock)
        self.finished, self.row, self.save_seconds = False, int(self.clock.progress * NUM_ROWS), 0.0
        self.saved_at = time.perf_counter()
        self.monitor_state: dict[str, Any] | None = None
        if job.resume:
            self._restore()

    @cached_property
    def validator(self) -> Validator:
        """What measures the net, in the first process."""
        job, settings = self.job, self.job.settings
        own = PredictionSettings(mirror=False)
        predictor = Predictor.of(self.learner.predicted, job.task, job.plan, own, self.learner.device)
        judged = job.validation if self.learner.regime.answers else ()
        ids = [judged[i] for i in np.random.default_rng(job.seed).permutation(len(judged))]
        batch = job.plan.batch * settings.optimiser.accumulate
        costs = [step_cost(predictor, job.store.image(case_id).shape[1:], batch) for case_id in ids]
        return Validator(predictor, job.store, ids, costs, settings.validation, self.clock, settings.patience)

    def _feed(self) -> Feed:
        settings, net = self.job.settings, self.learner.net
        sampler = sampler_of(self.job, net.margin, self.ranks.count)
        device, share = self.learner.device, (self.ranks.rank, self.ranks.count)
        workers = settings.workers or max(1, default_workers() // self.ranks.count)
        computes = augments(settings.augment_on, device)
        regime = self.learner.regime
        return Feed(sampler, len(net.divisor), workers, share, device, computes, regime.feeds, regime.unannotated)

    def run(self, interruption: Stop) -> Outcome:
        """Steps, validations and checkpoints until the clock says so."""
        device = str(self.learner.device)
        alone = forget_peak(device)
        monitor = Monitor(self.job.folder, self.job.task, self.monitor_state, self.job.settings.tensorboard)
        self.monitor = monitor
        total = self.clock.steps or self.clock.seconds
        try:
            with stage("train", total) as listener:
                if not self.finished:
                    self.feed.batch(self.clock.step)  # on a new machine its loops are compiled first, taking seconds
                    self.clock.start()
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
            self.validator.scores,
            self.validator.best if math.isfinite(self.validator.best) else math.nan,
            self.validator.num_final,
            self.clock.step_seconds,
            self.feed.waited_seconds / max(self.clock.elapsed_seconds, 1e-9),
            self.clock.length,
            peak_gb(device),
            "training" if alone else "the process",
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

    def _batches(self) -> Generator[Batches, None, None]:
        first = self.clock.step * self.job.settings.optimiser.accumulate
        return one_ahead(self.feed.batches(first), self.learner.device)

    def _one_step(self, batches: Iterator[Batches]) -> None:
        begin = time.perf_counter()
        group = list(islice(batches, self.job.settings.optimiser.accumulate))
        progress = self.ranks.agreed(self.clock.progress)
        begin += self.compiler.consider(self.learner.net, lambda: self.learner.passes(group[0], progress))
        self.learner.step(self.clock.step, group, progress)
        if self.learner.due:
            self._settle()
        self.clock.tick(time.perf_counter() - begin)

    def _settle(self) -> None:
        """Look at the losses that were not looked at yet."""
        for values, counts in self.learner.read():
            self.monitor.take(values, counts)

    def _rows_and_rounds(self, interruption: Stop) -> None:
        row = int(self.clock.progress * NUM_ROWS)
        if self.validator.due():
            self._round(interruption)
        elif row > self.row and not self.clock.done:
            self._settle()
            self._write_row()
        self.row = row
        self._keep_reserve()
        if time.perf_counter() - self.saved_at > self.job.settings.checkpoint_seconds:
            self.save()

    def _round(self, interruption: Stop) -> None:
        if self._validate(self.validator.num_cases, interruption):
            assert self.validator.rounds is not None
            self.validator.rounds.finish(self.clock.progress)
            self._look_for_plateau()

    def _look_for_plateau(self) -> None:
        """On a plateau only the end of the schedule is left to do, in a short time."""
        decides = self.job.task.decides
        found = find_plateau(self.validator.history, self.job.settings.patience, decides) if self.job.whole else None
        if found is None:
            return
        assert self.validator.rounds is not None
        self.validator.rounds.stop()
        saved = self.clock.shorten(COOL_DOWN)
        told = (
            "Validation %s has not risen by more than %g since %.0f %% of the training (%.3f); training cools down"
            " now and stops at %.0f %%, %s before its time."
        )
        values = (100 * found.since, found.score, 100 * self.clock.length)
        log.info(told, decides.name, decides.gain, *values, duration(saved))

    def _validate(self, num_cases: int, interruption: Stop) -> bool:
        """Scores of the first `num_cases` cases with averaged weights; gives whether it was not interrupted."""
        self._settle()
        before = self.validator.best
        if not self.validator.measure(num_cases, lambda: interruption.asked):
            return False
        self._write_row(self.validator.scores)
        if self.validator.best > before:
            outputs = list(self.job.task.outputs)
            facts = {"step": self.clock.step, "scores": self.validator.scores, "outputs": outputs}
            tensors = below("average", self.learner.predicted.state_dict())
            write_checkpoint(self.job.folder / "best.safetensors", tensors, facts)
        return True

    def _keep_reserve(self) -> None:
        """Keep the time that the last validation and checkpoint will need."""
        if self.clock.seconds is not None and self.validator.rounds is not None:
            end = self.validator.foresee_end()
            self.clock.reserve_seconds = end + 1.5 * self.save_seconds + self.clock.step_seconds

    def _finish(self, interruption: Stop) -> None:
        """The last validation, on as many cases as were foreseen, and the last checkpoint."""
        self.validator.foresee_end()
        if self.validator.num_final:
            if self._validate(self.validator.num_final, interruption):
                decides, every = self.job.task.decides, len(self.validator.ids)
                told = "Training ends with mean %s %.3f on %d of %d validation cases."
                log.info(told, decides.name, decides.of(self.validator.scores), self.validator.num_final, every)
        else:
            self._settle()
            self._write_row()
        self.finished = not interruption.asked
        self.save()
        if interruption.asked:
            raise KeyboardInterrupt

    def _write_row(self, scores: dict[str, float] | None = None) -> None:
        clock = self.clock
        self.monitor.write(clock.step, clock.progress, clock.elapsed_seconds, self.learner.learning_rate, scores)

    def save(self) -> None:
        """Write everything needed to go on exactly from here."""
        begin = time.perf_counter()
        self._settle()
        self.learner.check_weights(self.clock.step)
        facts = {
            "step": self.clock.step,
            "seed": self.job.seed,
            "outputs": list(self.job.task.outputs),
            "finished": self.finished and self.job.progress[1] == 1,
            "ended": self.job.progress[1] if self.finished else None,
            "clock": self.clock.state(),
            "compiled": self.compiler.compiled,
            "validation": self.validator.state(),
            "waited_seconds": self.feed.waited_seconds,
            "monitor": self.monitor.state(),
        }
        write_checkpoint(self.job.last, self.learner.tensors(), facts | self.learner.state())
        self.saved_at = time.perf_counter()
        self.save_seconds = self.saved_at - begin

    def _restore(self) -> None:
        """Go on from the last checkpoint."""
        tensors, facts = read_checkpoint(self.job.last)
        checked(facts, _FACTS, self.job.last, "put back a whole copy of it, or begin anew with --no-resume")
        if facts["seed"] != self.job.seed:
            raise ConfigError(f"{self.job.last}: this training began with seed {facts['seed']}, not {self.job.seed}.")
        check_finite(self.job.last, {name: one for name, one in tensors.items() if not name.startswith("optimiser")})
        self.learner.restore(tensors, facts)
        self.clock.restore(facts["clock"])
        self.compiler.compiled = facts["compiled"]
        self.row = int(self.clock.progress * NUM_ROWS)
        if not self.ranks.rank:
            self.validator.restore(facts["validation"])
        self.finished = facts["ended"] is not None and facts["ended"] * self.clock.lengthened >= self.job.progress[1]
        self.feed.waited_seconds = facts["waited_seconds"]
        self.monitor_state = facts["monitor"]
        log.info("Training goes on from step %d.", self.clock.step)

    def _show(self, listener: Listener, shown: float) -> float:
        """Tell the listener how far training is; gives what was told so far."""
        reached = self.clock.step if self.clock.steps is not None else self.clock.elapsed_seconds
        parts = [f"{name} {value:.3f}" for name, value in self.monitor.latest.items()]
        if self.validator.scores:
            parts.append(f"{self.job.task.decides.name} {self.job.task.decides.of(self.validator.scores):.3f}")
        listener.advance(reached - shown, ", ".join(parts), self.clock.left_seconds if self.clock.step else None)
        return reached
