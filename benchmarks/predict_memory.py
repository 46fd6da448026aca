"""How much memory predicting a large case with many structures takes.

    python benchmarks/predict_memory.py [--classes 61] [--shape 512 512 400] [--spacing 1.5] [--patch 128] [--width 8]

A small random net answers an int16 volume; prints the peak memory before and after, and the time. With `--spacing` the
case (0.8 x 0.8 x 1 mm) is prepared to that voxel size and the answer brought back; without, voxels stay as they are.
"""

import argparse
import resource
import time

import numpy as np
import torch
from plainly import run_plainly

from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.planning.plan import Expected, Plan
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.tasks import task_for


def peak_gb() -> float:
    """Largest memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def plan_for(spec: UNetSpec, patch: int, spacing_mm: float | None) -> Plan:
    """A plan with this net and patch."""
    spacing = None if spacing_mm is None else (spacing_mm,) * 3
    expected = {"seconds_per_step": 1, "steps": 1, "training_seconds": 1, "memory_gb": 1, "prediction_gb": 1}
    return Plan(
        preset="auto",
        dims=3,
        preparation=PreparationSettings(spacing_mm=spacing),
        patch=(patch,) * 3,
        batch=2,
        net_name="unet",
        net=spec,
        precision="bf16-mixed",
        policy="none",
        mirror_axes=(),
        foreground_share=0.33,
        batch_dice=False,
        expected=Expected(**expected, parameters=1, measured=False),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=61)
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 400))
    parser.add_argument("--spacing", type=float)
    parser.add_argument("--patch", type=int, default=128)
    parser.add_argument("--width", type=int, default=8)
    parser.add_argument("--overlap", type=float, default=0.5)
    options = parser.parse_args()
    torch.manual_seed(0)
    channels = tuple(options.width * 2**level for level in range(3))
    spec = UNetSpec(dims=3, in_channels=1, out_channels=options.classes, channels=channels)
    labels = Labels.of({value: f"structure_{value}" for value in range(1, options.classes)})
    settings = PredictionSettings(overlap=options.overlap)
    plan = plan_for(spec, options.patch, options.spacing)
    predictor = Predictor.of(spec.build(), task_for(labels), plan, settings)
    array = np.random.default_rng(0).integers(-1000, 1000, (1, *options.shape), np.int16)
    case = Case("large", Image(array, Grid.plain(options.shape, (0.8, 0.8, 1.0))))
    print(f"before: {peak_gb():.2f} GB, {array.nbytes / 2**30:.2f} GB of it the image")
    begin = time.perf_counter()
    answer = predictor.predict(case)
    print(f"after: {peak_gb():.2f} GB at most, {time.perf_counter() - begin:.0f} s, answer {answer.array.dtype}")


if __name__ == "__main__":
    run_plainly(main)
