"""Small nets, plans, cases and a prepared data set of bright balls, for tests of training and prediction."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from hyoid.augmentation.patches import FILLS, Cut, Patch, cut_patch, needed_box
from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.nets.net import Net
from hyoid.nets.unet import UNetSpec
from hyoid.ops.warp import Warp, spline_matrix
from hyoid.planning.plan import Expected, Plan
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.preparation.intensity import IntensitySettings
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.preparation.store import Store
from hyoid.tasks import Task, task_for
from hyoid.training.job import Job
from hyoid.training.loop import Outcome, fit
from hyoid.training.quiet import seeded
from hyoid.training.settings import TrainingSettings


class OneConvolution(Net):
    """A 3-wide convolution: its answer at a voxel depends on the neighbours only."""

    def __init__(self, dims: int, classes: int) -> None:
        super().__init__((1,) * dims)
        kind = nn.Conv2d if dims == 2 else nn.Conv3d
        self.conv = kind(1, classes, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return (self.conv(x),)


def make_plan(patch: tuple[int, ...] = (16, 16), spacing_mm: Any = None, classes: int = 3, **changes: Any) -> Plan:
    """A plan for one channel that was not made from data."""
    dims = 2 if len(patch) == 2 or patch[0] == 1 else 3
    expected = {"seconds_per_step": 1, "steps": 1, "training_seconds": 1, "memory_gb": 1, "prediction_gb": 1}
    values = {
        "preset": "auto",
        "dims": dims,
        "preparation": PreparationSettings(spacing_mm=spacing_mm, intensity=(IntensitySettings(scheme="none"),)),
        "patch": patch,
        "batch": 2,
        "net_name": "unet",
        "net": UNetSpec(dims=dims, in_channels=1, out_channels=classes, channels=(4, 8)),
        "precision": "32-true",
        "policy": "light",
        "mirror_axes": tuple(range(len(patch))),
        "foreground_share": 0.33,
        "batch_dice": False,
        "expected": Expected(**expected, parameters=1, measured=False),
    }
    return Plan(**{**values, **changes})


def make_predictor(
    patch: tuple[int, ...], net: Net | None = None, spacing_mm: Any = None, **settings: Any
) -> Predictor:
    """A net that learned nothing, for background and two structures; images are cut into tiles however small."""
    plan = make_plan(patch, spacing_mm)
    return Predictor.of(
        net or seeded(plan.net.build, 0),
        task_for(Labels.of({1: "liver", 5: "spleen"})),
        plan,
        PredictionSettings(**{"whole": 0, "mirror": False, **settings}),
    )


def make_case(shape: tuple[int, ...], spacing_mm: Any = None, seed: int = 0) -> Case:
    """A case of noise."""
    array = np.random.default_rng(seed).standard_normal((1, *shape)).astype(np.float32)
    return Case("case", Image(array, Grid.plain(shape, spacing_mm)))


def ball_case(case_id: str, shape: tuple[int, ...], rng: np.random.Generator) -> Case:
    """A bright ball in noise and its label."""
    grid = Grid.plain(shape, (1.0,) * len(shape))
    centre = [rng.uniform(0.3, 0.7) * n for n in shape]
    distance = sum((i - c) ** 2 for i, c in zip(np.indices(shape), centre, strict=True)) ** 0.5
    labels = (distance < 0.3 * max(shape)).astype(np.uint8)
    image = labels * 2.0 + 0.3 * rng.standard_normal(shape)
    return Case(case_id, Image(image[None].astype(np.float32), grid), Image(labels[None], grid, "labels"))


@dataclass
class Tiny:
    """Everything `fit` wants, small."""

    store: Store
    task: Task
    plan: Plan
    split: tuple[list[str], list[str]]
    settings: TrainingSettings = field(default_factory=TrainingSettings)

    def net(self) -> Any:
        return seeded(self.plan.net.build, 1)

    def fit(self, folder: Path, changes: dict[str, Any] | None = None, **options: Any) -> Outcome:
        settings = self.settings.changed(changes or {})
        return fit(self.net(), self.job(folder, settings, **options))

    def job(self, folder: Path, settings: TrainingSettings | None = None, **options: Any) -> Job:
        training, validation = map(tuple, self.split)
        options = {"seed": 1, "accelerator": "cpu", "unlabelled": validation, **options}
        return Job(self.task, self.store, training, validation, self.plan, settings or self.settings, folder, **options)


def make_tiny(folder: Path, shape: tuple[int, ...] = (20, 24), patch: tuple[int, ...] = (16, 16)) -> Tiny:
    """Six prepared cases of balls, four to learn from."""
    rng = np.random.default_rng(3)
    store = Store(folder, tuple(f"ball_{i}" for i in range(6)))
    for index, case_id in enumerate(store.ids):
        store.write(ball_case(case_id, (shape[0] + index, *shape[1:]), rng))
    plan = make_plan(patch, (1.0,) * len(shape), classes=2)
    return Tiny(store, task_for(Labels.of({1: "ball"})), plan, (list(store.ids[:4]), list(store.ids[4:])))


def cut_from(reads: Patch, shape: tuple[int, ...], warp: Any, changes: Any = (), fills: Patch = FILLS) -> Cut:
    """A sample of images of this shape, each part read by a function of start and shape of a box."""
    start, box = needed_box(warp, shape)
    return cut_patch(reads.mapped(lambda read: read(start, box)), start, warp, changes, fills)


def coordinates(warp: Warp) -> np.ndarray:
    """Source index of every patch voxel, (dims, *shape)."""
    points = np.tensordot(warp.matrix, np.indices(warp.shape), 1) + warp.offset.reshape(-1, *[1] * warp.dims)
    if warp.control is None:
        return points
    field = warp.control
    for n in warp.shape:  # each turn sums over the first grid axis and appends the patch axis
        field = np.tensordot(field, spline_matrix(n, field.shape[1]), (1, 1))
    return points + field
