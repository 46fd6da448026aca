"""A tiny data set of bright balls, prepared, and a plan and a net that learn it in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.planning.plan import Expected, Plan
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.preparation.store import Store
from hyoid.tasks import Task, task_for
from hyoid.training.loop import Outcome, fit
from hyoid.training.quiet import seeded
from hyoid.training.settings import TrainingSettings


def ball_case(case_id: str, shape: tuple[int, ...], rng: np.random.Generator) -> Case:
    grid = Grid.plain(shape, (1.0,) * len(shape))
    centre = [rng.uniform(0.3, 0.7) * n for n in shape]
    distance = sum((i - c) ** 2 for i, c in zip(np.indices(shape), centre, strict=True)) ** 0.5
    labels = (distance < 0.3 * min(shape)).astype(np.uint8)
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

    def net(self, seed: int = 1) -> Any:
        return seeded(self.plan.net.build, seed)

    def fit(self, folder: Path, **options: Any) -> Outcome:
        settings = self.settings.changed(options.pop("changes", {}))
        options = {"seed": 1, "accelerator": "cpu", **options}
        return fit(self.net(), self.task, self.store, self.split, self.plan, settings, folder, **options)


def make_plan(dims: int = 2, **changes: Any) -> Plan:
    values = {
        "preset": "auto",
        "dims": dims,
        "spacing_mm": (1.0,) * dims,
        "preparation": PreparationSettings(spacing_mm=(1.0,) * dims),
        "patch": (16,) * dims,
        "batch": 2,
        "net_name": "unet",
        "net": UNetSpec(dims=dims, in_channels=1, out_channels=2, channels=(4, 8)),
        "precision": "32-true",
        "policy": "light",
        "mirror_axes": tuple(range(dims)),
        "foreground_share": 0.33,
        "batch_dice": False,
        "expected": Expected(
            seconds_per_step=0.1,
            steps=10,
            training_seconds=1,
            memory_gb=0.1,
            prediction_gb=0.1,
            parameters=1,
            measured=False,
        ),
    }
    return Plan(**{**values, **changes})


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    rng = np.random.default_rng(3)
    store = Store(tmp_path / "store", tuple(f"ball_{i}" for i in range(6)))
    for index, case_id in enumerate(store.ids):
        store.write(ball_case(case_id, (20 + index, 24), rng))
    labels = Labels.of({1: "ball"})
    return Tiny(store, task_for(labels), make_plan(), (list(store.ids[:4]), list(store.ids[4:])))
