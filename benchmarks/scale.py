"""Scale: speed and memory of training and predicting as images grow 64-fold and classes from 2 to 100.

    OMP_NUM_THREADS=1 python benchmarks/scale.py [--into benchmarks/results/scale.json]

*Training*: the loop on prepared cases of 64^3 to 256^3 voxels (a patch of 32^3, two in a step, a net of 8 to 32
channels), and with 2 to 100 classes on the smallest. *Prediction*: with the same net in tiles of 64^3, images of 64^3
to 256^3 voxels, and 2 to 100 classes on 128^3. Each in a process of its own; processor time on one core, and largest
growth of memory above the level before (prepared cases are read through a memory map, whose pages do not count).
"""

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
import warnings
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from plainly import run_plainly

EDGES, CLASSES, CHANNELS = (64, 128, 256), (2, 10, 30, 100), (8, 16, 32)
TILE, PATCH, BATCH, WARM, STEPS = (64, 64, 64), (32, 32, 32), 2, 3, 12
CASES = (
    *[("training", edge, 2) for edge in EDGES],
    *[("training", EDGES[0], classes) for classes in CLASSES[1:]],
    *[("prediction", edge, 2) for edge in EDGES],
    *[("prediction", EDGES[1], classes) for classes in CLASSES[1:]],
)


def plan_of(classes: int, patch: tuple[int, ...]) -> Any:
    """A plan and its net."""
    import torch

    from hyoid.nets import build_spec
    from hyoid.planning.plan import Plan
    from hyoid.preparation.pipeline import PreparationSettings

    torch.manual_seed(0)
    spec = build_spec("nnunet_plain", 3, 1, classes, channels=CHANNELS, deep_supervision=False)
    spacing = {"preparation": PreparationSettings(spacing_mm=(1.0, 1.0, 1.0))}
    shape = {"dims": 3, "patch": patch, "batch": BATCH, "net": spec, "net_name": "nnunet_plain"}
    learnt = {"precision": "32-true", "policy": "light", "mirror_axes": (), "foreground_share": 0.33}
    return Plan.model_construct(**spacing, **shape, **learnt, batch_dice=False)


def task_of(classes: int) -> Any:
    """As many structures as classes but one."""
    from hyoid.core.labels import Labels
    from hyoid.tasks import task_for

    return task_for(Labels.of({value: f"structure_{value}" for value in range(1, classes)}))


class Growth:
    """Largest memory of this process above the level at the beginning, in MB, without pages of files (Linux)."""

    def __enter__(self) -> "Growth":
        import psutil

        self.process, self.done, self.peak = psutil.Process(), threading.Event(), 0
        self.before = self.level()
        self.watcher = threading.Thread(target=self.watch)
        self.watcher.start()
        return self

    def level(self) -> int:
        """Bytes of this process alone."""
        told = self.process.memory_info()
        return int(told.rss - told.shared)

    def watch(self) -> None:
        """Look every few milliseconds."""
        while not self.done.is_set():
            self.peak = max(self.peak, self.level())
            time.sleep(0.003)

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.watcher.join()
        self.megabytes = (self.peak - self.before) / 1e6


def train(edge: int, classes: int) -> dict[str, float]:
    """Steps a second of the loop, and memory."""
    from hyoid.core.case import Case, Image
    from hyoid.core.grid import Grid
    from hyoid.preparation.store import Store
    from hyoid.training.clock import Clock
    from hyoid.training.job import Job
    from hyoid.training.loop import fit
    from hyoid.training.settings import TrainingSettings

    plan, task, grid = plan_of(classes, PATCH), task_of(classes), Grid.plain((edge,) * 3, (1.0, 1.0, 1.0))
    times, tick = [], Clock.tick

    def ticked(clock: Clock, seconds: float) -> None:
        times.append(time.process_time())
        tick(clock, seconds)

    Clock.tick = ticked  # type: ignore[method-assign]
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / "cases", ("a", "b"))
        rng = np.random.default_rng(0)
        labels = rng.integers(0, classes, (1, 8, 8, 8), np.uint8)
        labels = labels.repeat(edge // 8, 1).repeat(edge // 8, 2).repeat(edge // 8, 3)
        for case_id in store.ids:
            image = labels + rng.standard_normal((1, *grid.shape), np.float32)
            store.write(Case(case_id, Image(image, grid), Image(labels, grid, "labels")))
        del image
        options = {"workers": 1, "tensorboard": False, "checkpoint_seconds": 1e9, "validation": 0}
        settings = TrainingSettings(**options)
        net = plan.net.build()
        with Growth() as growth:
            fit(
                net,
                Job(
                    task,
                    store,
                    store.ids,
                    (),
                    plan,
                    settings,
                    Path(folder) / "run",
                    steps=WARM + STEPS,
                    accelerator="cpu",
                ),
            )
    return {"seconds": (times[-1] - times[WARM - 1]) / STEPS, "megabytes": growth.megabytes}


def predict(edge: int, classes: int) -> dict[str, float]:
    """Voxels and tiles a second from a prepared image to labels, and memory."""
    from hyoid.prediction.predictor import Predictor
    from hyoid.prediction.settings import PredictionSettings

    plan = plan_of(classes, TILE)
    predictor = Predictor.of(plan.net.build(), task_of(classes), plan, PredictionSettings(mirror=False, whole=0))
    image = np.random.default_rng(0).standard_normal((1, edge, edge, edge), np.float32)
    predictor.predict_labels(image[:, :64, :64, :64])
    with Growth() as growth:
        begin = time.process_time()
        predictor.predict_labels(image)
        seconds = time.process_time() - begin
    tiles = predictor.tiling(image.shape[1:]).num_tiles
    speed = {"seconds": seconds, "voxels_per_second": edge**3 / seconds, "tiles_per_second": tiles / seconds}
    return {**speed, "megabytes": growth.megabytes}


WORK = {"training": train, "prediction": predict}


def attempt(kind: str, edge: int, classes: int) -> dict[str, float]:
    """The figures of one case, in a process of its own."""
    command = [sys.executable, __file__, "--one", kind, str(edge), str(classes)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--into", type=Path)
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.one:
        import torch

        torch.set_num_threads(1)
        kind, edge, classes = options.one
        print("\n" + json.dumps(WORK[kind](int(edge), int(classes))))
        return
    print("| work | voxels | classes | steps/s or tiles/s | million voxels/s | MB |\n|---|---|---|---|---|---|")
    rows = []
    for kind, edge, classes in CASES:
        row = {"work": kind, "edge": edge, "classes": classes, **attempt(kind, edge, classes)}
        rows.append(row)
        turns = 1 / row["seconds"] if kind == "training" else row["tiles_per_second"]
        voxels = BATCH * PATCH[0] ** 3 * turns if kind == "training" else row["voxels_per_second"]
        print(
            f"| {kind} | {edge}^3 | {classes} | {turns:.1f} | {voxels / 1e6:.2f} | {row['megabytes']:.0f} |", flush=True
        )
    if options.into:
        options.into.write_text(json.dumps({"facts": {"torch": version("torch")}, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
