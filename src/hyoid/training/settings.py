"""TrainingSettings: what a person may change about training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from ..core.settings import Settings

PATIENCE = 0.4
"""The usual one, which short trainings cannot afford and need not be told of."""

SHORTEST_PATIENCE = 0.25
"""Below it a plateau could never be seen."""


def _shares(betas: tuple[float, float] | None) -> tuple[float, float] | None:
    if not all(0 <= beta < 1 for beta in betas or ()):
        raise ValueError("both are shares from 0 to less than 1")
    return betas


class OptimiserSettings(Settings):
    """How weights follow their gradients."""

    name: str = Field("adamw", description="Optimiser: adamw or sgd (with Nesterov momentum).")
    learning_rate: float | None = Field(
        None, gt=0, description="Highest learning rate; the optimiser's usual when none."
    )
    weight_decay: float | None = Field(None, ge=0, description="Weight decay; the optimiser's usual when none.")
    betas: tuple[float, float] = Field(
        (0.9, 0.999), description="Decay of the averages of gradients and of their squares, in adamw."
    )
    momentum: float = Field(0.99, ge=0, lt=1, description="Momentum of sgd.")
    schedule: str = Field("cosine", description="Learning rate by progress: cosine, poly or constant.")
    warmup: float = Field(0.04, ge=0, lt=1, description="Share of training in which the learning rate rises.")
    clip: float | None = Field(12.0, gt=0, description="Largest norm of the gradient; none leaves it as it is.")
    accumulate: int = Field(1, ge=1, description="Batches whose gradients are averaged before a step.")

    _betas = field_validator("betas")(_shares)


class TurnSettings(Settings):
    """How one turn of a regime differs from what is usual there; a value of none stays as usual."""

    name: str | None = Field(None, description="Optimiser: adamw or sgd.")
    learning_rate: float | None = Field(None, gt=0, description="Highest learning rate.")
    betas: tuple[float, float] | None = Field(None, description="Decay of the averages in adamw.")
    weight_decay: float | None = Field(None, ge=0, description="Weight decay.")
    clip: float | None = Field(None, gt=0, description="Largest norm of the gradient; .inf leaves it as it is.")
    every: int | None = Field(None, ge=1, description="Steps from one such turn to the next.")
    start: float | None = Field(None, ge=0, lt=1, description="Progress, 0 to 1, at which the turn comes first.")

    _betas = field_validator("betas")(_shares)


A_YEAR = 525_600
"""Minutes; who asks for more has mistaken the unit."""


class TrainingSettings(Settings):
    """How a net is trained."""

    minutes: float | None = Field(
        None, gt=0, le=A_YEAR, allow_inf_nan=False, description="Wall time of training with its validation."
    )
    steps: int | None = Field(None, ge=1, le=10**9, description="Number of steps instead of minutes.")
    regime: str = Field("supervised", description="What a batch teaches.")
    regime_options: dict[str, Any] = Field(default_factory=dict, description="Options of the regime.")
    turns: dict[str, TurnSettings] = Field(
        {}, description="Optimisers of single turns of the regime: {critic: {learning_rate: 1e-4, every: 2}}."
    )
    loss: str | None = Field(None, description="Name of the loss; the task's own when none.")
    loss_options: dict[str, Any] = Field(default_factory=dict, description="Options of the loss.")
    head_weights: tuple[Annotated[float, Field(ge=0)], ...] | None = Field(
        None, description="What each of the net's logits counts in the loss, finest first; the net's own when none."
    )
    optimiser: OptimiserSettings = Field(default_factory=OptimiserSettings, description="How weights are changed.")
    ema: float = Field(0.999, ge=0, lt=1, description="Decay of the running average of weights that predicts; 0: none.")
    encoder_weights: str | None = Field(
        None,
        description="Public weights the encoder starts with: a file, or a name such as resnet34; none: random. A whole "
        "model of segmentation_models.pytorch starts the decoder too, where that fits.",
    )
    start_from: str | None = Field(
        None, description="A run, or a safetensors file, whose weights the net starts with; none: random."
    )
    freeze: tuple[str, ...] = Field((), description="Weights that stay as they are, by pattern: [encoder.*].")
    learning_rates: dict[str, float] = Field(
        {}, description="Factors of the learning rate by pattern, the first that matches: {encoder.*: 0.1}."
    )
    sampling: Literal["cycle", "uniform"] = Field("cycle", description="Each case in turn, or any case each time.")
    voxel_weights: str | None = Field(
        None, description="Weighs voxels in the loss: touching makes gaps between close objects dear; none: all alike."
    )
    validation: float = Field(0.1, ge=0, le=0.5, description="Largest share of training spent on validation.")
    patience: float = Field(
        PATIENCE,
        ge=0,
        le=0.8,
        description="Share of training without a gain of validation Dice before it ends; 0: all.",
    )
    checkpoint_seconds: float = Field(60.0, gt=0, description="Time between checkpoints.")
    workers: int | None = Field(
        None, ge=1, description="Threads that cut and augment patches; by the machine when none."
    )
    augment_on: Literal["auto", "cpu", "device"] = Field(
        "auto", description="What computes augmented patches: the device of the net, or threads; auto: a GPU if there."
    )
    devices: int = Field(
        1, ge=1, description="GPUs of this machine that train together, each with a batch of the plan's size."
    )
    compile: Literal["auto", "always", "never"] = Field(
        "auto", description="torch.compile of the net; auto: when a trial shows that it pays, and not with steps."
    )
    deterministic: bool = Field(True, description="Only use operations that give the same result each time.")
    tensorboard: bool = Field(True, description="Also write the curves for TensorBoard.")

    @field_validator("learning_rates")
    @classmethod
    def _positive(cls, factors: dict[str, float]) -> dict[str, float]:
        for pattern, factor in factors.items():
            if not factor > 0:
                raise ValueError(f"the factor of {pattern} is more than nothing; training.freeze keeps weights")
        return factors

    @field_validator("patience")
    @classmethod
    def _long_enough(cls, patience: float) -> float:
        if 0 < patience < SHORTEST_PATIENCE:
            raise ValueError(
                f"of twenty rounds of validation three must lie in each half of it; give {SHORTEST_PATIENCE} or more, "
                "or 0 to use all of the training"
            )
        return patience

    @model_validator(mode="after")
    def _agree(self) -> TrainingSettings:
        if self.compile == "always" and self.devices > 1:
            raise ValueError("compile = always is for one device; set devices to 1, or compile to auto")
        return self

    @property
    def seconds(self) -> float | None:
        """The wall time in seconds, when it was given."""
        return None if self.minutes is None else 60 * self.minutes
