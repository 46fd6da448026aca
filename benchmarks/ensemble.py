"""What an ensemble takes beside one run: memory and time of its answers.

    python benchmarks/ensemble.py [--shape 192 192 128] [--patch 64] [--width 16] [--json FILE]

Random nets answer one volume: one run; three runs of one plan, united inside the tiles; two runs of different plans, a
3D one at 1 mm and a 2D one that answers slices, united on the grid of the image. Each is measured in a process of its
own, after a small volume has warmed it up.
"""

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from plainly import run_plainly
from predict_memory import peak_gb, plan_for

from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.prediction.answering import Answering
from hyoid.prediction.ensemble import Averaged
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.prediction.united import United
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.tasks import task_for

KINDS = {"one run": 1, "three runs of one plan": 3, "two runs of different plans": 2}
TASK = task_for(Labels.of({number: f"organ_{number}" for number in range(1, 9)}))


def predictor_for(kind: str, patch: int, width: int) -> Answering:
    """The predictor of this kind, with random nets."""
    shared = {"in_channels": 1, "out_channels": TASK.channels, "channels": (width, 2 * width, 4 * width)}
    spec, flat = UNetSpec(dims=3, **shared), UNetSpec(dims=2, **shared)
    plan, settings = plan_for(spec, patch, 1.0), PredictionSettings(mirror=False)
    nets = [spec.build() for _ in range(KINDS[kind] if "one plan" in kind else 1)]
    net = Averaged(nets, [1] * len(nets), TASK, "probabilities") if len(nets) > 1 else nets[0]
    first = Predictor.of(net, TASK, plan, settings)
    if "different" not in kind:
        return first
    spacing = (None, 1.0, 1.0)
    preparation = PreparationSettings(spacing_mm=spacing)
    changes = {"dims": 2, "patch": (1, 2 * patch, 2 * patch), "net": flat}
    slices = plan.model_copy(update={**changes, "spacing_mm": spacing, "preparation": preparation})
    return United([first, Predictor.of(flat.build(), TASK, slices, settings)], [1, 1], ["volumes", "slices"])


def measure(kind: str, shape: tuple[int, ...], patch: int, width: int) -> dict[str, float]:
    """Seconds and the growth of memory of one answer."""
    predictor = predictor_for(kind, patch, width)
    rng = np.random.default_rng(0)

    def case(*size: int) -> Case:
        array = rng.normal(0, 100, (1, *size)).astype(np.int16)
        return Case("volume", Image(array, Grid(size, (1.5, 0.8, 0.8), (0, 0, 0), ((1, 0, 0), (0, 1, 0), (0, 0, 1)))))

    predictor.predict(case(*(n // 4 for n in shape)))
    large, before, begin = case(*shape), peak_gb(), time.perf_counter()
    predictor.predict(large)
    return {"seconds": time.perf_counter() - begin, "grown_gb": peak_gb() - before, "peak_gb": peak_gb()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(96, 192, 192))
    parser.add_argument("--patch", type=int, default=64)
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--only", choices=list(KINDS))
    asked = parser.parse_args()
    if asked.only:
        print(json.dumps(measure(asked.only, tuple(asked.shape), asked.patch, asked.width)))
        return
    found = {}
    for kind in KINDS:
        done = subprocess.run([sys.executable, *sys.argv, "--only", kind], capture_output=True, text=True, check=True)
        found[kind] = json.loads(done.stdout)
        first = found["one run"]
        ratio = found[kind]["seconds"] / first["seconds"]
        print(f"{kind}: {found[kind]['seconds']:.1f} s ({ratio:.2f} times), peak {found[kind]['peak_gb']:.2f} GB")
    if asked.json:
        asked.json.write_text(json.dumps({"shape": list(asked.shape), **found}, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
