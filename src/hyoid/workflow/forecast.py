"""What the whole run will cost, said before training starts and compared with the truth at the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from ..core.duration import duration
from ..core.grid import Grid
from ..prediction.predictor import Predictor
from ..preparation.pipeline import spacing_of
from ..run_folder import RunFolder
from ..training.validation import step_cost

REPORT_SECONDS = 5.0

LEAST_SECONDS = 0.3
"""No case is read, answered and written in less."""


def expected_seconds(folder: RunFolder) -> dict[str, float]:
    """Expected wall time of each stage after planning.

    Reading a case costs what it cost when the data were measured; the net costs what a training step costs, by voxel.
    """
    plan = folder.plan
    fingerprint = folder.fingerprint
    reading = folder.read_json("timing.json").get("measure", 0.0) / max(1, len(fingerprint.cases))
    validation = [case for case in fingerprint.cases if case.id in set(folder.split.validation)]
    with torch.device("meta"):
        predictor = Predictor.of(plan.net.build(), folder.task, plan, device="meta")
    net = sum(prediction_seconds(predictor, case.content_shape, case.spacing_mm) for case in validation)
    return {
        "prepare": 1.5 * reading * len(fingerprint.cases),
        "train": plan.expected.training_seconds,
        "predict": net + 2 * reading * len(validation),
        "evaluate": 2 * reading * len(validation),
        "report": REPORT_SECONDS,
    }


def prediction_seconds(predictor: Predictor, shape: Sequence[int], spacing_mm: Sequence[float]) -> float:
    """Time of the net for one case of this shape, overlap of tiles included."""
    plan = predictor.plan
    wanted = spacing_of(Grid.plain(shape, spacing_mm), plan.preparation) or (None,) * len(shape)
    prepared = sorted(n * s / (t or s) for n, s, t in zip(shape, spacing_mm, wanted, strict=True))
    turned = [0] * len(shape)  # how cases are turned is not known here: their longest axis along the patch's longest
    for axis, size in zip(np.argsort(plan.patch, stable=True), prepared, strict=True):
        turned[axis] = max(1, round(size))
    mirrored = 2 ** len(plan.mirror_axes) if plan.dims == 2 else 1
    return max(LEAST_SECONDS, mirrored * step_cost(predictor, turned, plan.batch) * plan.expected.seconds_per_step)


def forecast(folder: RunFolder) -> list[str]:
    """The expected times and memory as lines of text."""
    seconds = expected_seconds(folder)
    memory = folder.plan.expected.memory_gb
    stages = ", ".join(f"{stage} {duration(value)}" for stage, value in seconds.items())
    total = duration(sum(seconds.values()))
    return [f"The run will take about {total} ({stages}), and training up to {memory:.1f} GB of memory."]


def comparison(folder: RunFolder) -> str:
    """What was expected beside what it took, as a sentence."""
    expected, measured = expected_seconds(folder), folder.read_json("timing.json")
    times = [f"{stage} {duration(measured[stage])} (expected {duration(expected[stage])})" for stage in expected]
    training, foreseen = folder.read_json("training.json"), folder.plan.expected.memory_gb
    told = f"It took {', '.join(times)}; {needed(training, foreseen)}."
    if (length := training.get("length", 1)) < 1:
        told += f" A plateau of the validation score ended training at {100 * length:.0f} %."
    return told


def needed(training: Mapping[str, Any], foreseen_gb: float | None = None) -> str:
    """Memory and waiting of a training, in words."""
    expected = "" if foreseen_gb is None else f" (expected {foreseen_gb:.1f} GB)"
    memory = f"memory of {training.get('memory_of', 'training')} {training['memory_gb']:.1f} GB{expected}"
    return f"{memory}; the net waited for data {waited(training)} of the time"


def waited(training: Mapping[str, Any]) -> str:
    """Share of the time of training that the net waited for patches, in words."""
    return f"{100 * training['waiting']:.1f} %"
