"""Job: all that a training needs beside the net, in one record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..augmentation.policies import build_policy
from ..core.errors import ConfigError
from ..planning.plan import Plan
from ..preparation.store import Store
from ..tasks.task import Task
from .sampler import Sampler
from .settings import TrainingSettings


@dataclass(frozen=True)
class Job:
    """What to learn from what, and how far; sent to the processes of further devices as it is.

    A training may come in pieces: rounds of federated learning or self-training, snapshots of one schedule. A piece
    with `progress=(a, b)` takes the steps or the time between these shares of the whole, with the learning rates and
    samples of that part. It starts with the weights of the net it is given, and with optimisers that know nothing; or,
    with `resume`, exactly where the piece before it ended.

    Attributes:
        task: What the channels of the net mean.
        store: Prepared cases.
        training: Cases to learn from.
        validation: Cases to validate on; may be none.
        plan: Patch, batch, augmentation and precision.
        settings: How to train.
        folder: Place of weights and curves.
        unlabelled: Cases without truth, for regimes that feed on them.
        steps: Steps of the whole training; then settings, data, seed, machine and number of threads decide the result.
        seconds: Or its wall time, with validation.
        seed: Of everything drawn.
        resume: Go on from `last.safetensors` when there is one, instead of from the net as it is given.
        accelerator: "auto", "cpu", "cuda" or "mps"; `settings.devices` says how many.
        progress: The part of the whole training to do, as shares in 0..1.

    Raises:
        ConfigError: When `progress` is not a rising pair in 0..1.
    """

    task: Task
    store: Store
    training: tuple[str, ...]
    validation: tuple[str, ...]
    plan: Plan
    settings: TrainingSettings
    folder: Path
    unlabelled: tuple[str, ...] = field(default=(), kw_only=True)
    steps: int | None = field(default=None, kw_only=True)
    seconds: float | None = field(default=None, kw_only=True)
    seed: int = field(default=0, kw_only=True)
    resume: bool = field(default=False, kw_only=True)
    accelerator: str = field(default="auto", kw_only=True)
    progress: tuple[float, float] = field(default=(0.0, 1.0), kw_only=True)

    def __post_init__(self) -> None:
        begin, end = self.progress
        if not 0 <= begin < end <= 1:
            raise ConfigError(
                f"progress is {self.progress}; expected two rising shares of the training, such as (0, 0.5)."
            )

    @property
    def last(self) -> Path:
        """The checkpoint that a training goes on from."""
        return self.folder / "last.safetensors"

    @property
    def whole(self) -> bool:
        """Whether this is a training from its beginning to its end, no piece."""
        return self.progress == (0, 1)


def sampler_of(job: Job, margin: Sequence[int], devices: int = 1) -> Sampler:
    """What draws the patches of a training, for a net with this margin, on so many devices together."""
    plan, settings = job.plan, job.settings
    known = [spacing for spacing in plan.spacing_mm or () if spacing is not None]
    spacing_mm = [spacing or max(known) for spacing in plan.spacing_mm or ()] if known else None
    return Sampler(
        store=job.store,
        task=job.task,
        ids=job.training,
        unlabelled=job.unlabelled,
        policy=build_policy(plan.policy, plan.patch, spacing_mm, plan.mirror_axes),
        margin=(0,) * (len(plan.patch) - len(margin)) + tuple(margin),
        batch=plan.batch * devices,
        seed=job.seed,
        foreground=plan.foreground_share,
        sampling=settings.sampling,
        voxel_weights=settings.voxel_weights,
    )
