"""Training and prediction on one GPU: how near the loop comes to the net alone, and what each way to compute brings.

    python benchmarks/gpu.py [--into benchmarks/results/gpu.json] [--steps 40] [--quick] [--device cuda]

The U of 32 to 320 channels on patches of 128^3, two in a step, and of 32 to 512 channels on 512^2, twelve in a step.
Training is the loop of `hyoid train` with nnU-Net's augmentation: patches augmented by the GPU, by threads of the
processor, or one batch that lies in memory, which is the bound: the net, its loss and its update alone. Each in 32 bits
(convolutions in TF32, torch's default), bfloat16 and float16, with channels innermost in memory or not, as it is and
compiled. Prediction is tiles of one volume of 256^3 or plane of 2048^2 with half overlap, from memory to labels. Wall
time a step once the first ones are over; peak memory is what torch holds at most.

`--device cpu --quick` tries every line at a tiny size; its figures mean nothing.
"""

import argparse
import json
import math
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plainly import run_plainly

from hyoid.core.case import Batch, Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.core.machine import machine
from hyoid.nets import build_spec, layers
from hyoid.planning.plan import Plan
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.preparation.store import Store
from hyoid.tasks import task_for
from hyoid.training.clock import Clock
from hyoid.training.data import Feed
from hyoid.training.job import Job
from hyoid.training.loop import fit
from hyoid.training.settings import TrainingSettings

WARM = 6
LABELS = Labels.of({1: "ball", 2: "core"})


@dataclass(frozen=True)
class Size:
    """What is computed."""

    patch: tuple[int, ...]
    batch: int
    channels: tuple[int, ...]
    image: tuple[int, ...]

    @property
    def dims(self) -> int:
        return len(self.patch)


FULL = (
    Size((128, 128, 128), 2, (32, 64, 128, 256, 320, 320), (256, 256, 256)),
    Size((512, 512), 12, (32, 64, 128, 256, 512, 512), (2048, 2048)),
)
TINY = (Size((16, 16, 16), 2, (4, 8), (24, 24, 24)), Size((32, 32), 2, (4, 8), (48, 48)))


@dataclass(frozen=True)
class Way:
    """How it is computed; `data` is device, cpu or memory."""

    precision: str
    data: str = "memory"
    innermost: bool = False
    compiled: bool = False


def ways(device: str, compiled: bool) -> list[Way]:
    """Those that the device knows."""
    halves = ["bf16-mixed", "16-mixed"] if device == "cuda" else ["bf16-mixed"]
    found = [Way("32-true", data) for data in ("memory", "device", "cpu")]
    for half in halves:
        found.append(Way(half))
        found += [Way(half, data, innermost=True) for data in ("memory", "device", "cpu")]
    if compiled:
        found += [Way(precision, compiled=True) for precision in ("32-true", *halves)]
        found.append(Way(halves[0], "device", compiled=True))
    return found


def write_cases(folder: Path, size: Size, count: int = 4) -> Store:
    """Balls with a core in noise, a quarter larger than a patch."""
    shape = tuple(n + n // 4 for n in size.patch)
    store = Store(folder, tuple(f"ball_{i}" for i in range(count)))
    places = np.indices(shape, np.float32)
    for index, case_id in enumerate(store.ids):
        rng = np.random.default_rng(index)
        centre = rng.uniform(0.4, 0.6, size.dims) * shape
        distance = np.sqrt(((places - centre.reshape(-1, *[1] * size.dims)) ** 2).sum(0))
        radius = min(shape) / 4
        labels = ((distance < radius).astype(np.uint8) + (distance < radius / 2))[None]
        image = (labels + rng.standard_normal(shape)).astype(np.float32)
        grid = Grid.plain(shape, (1.0,) * size.dims)
        store.write(Case(case_id, Image(image, grid), Image(labels, grid, "labels")))
    return store


def plan_of(size: Size, precision: str) -> Plan:
    """The plan of a run of this size."""
    spec = build_spec("unet", size.dims, 1, len(LABELS.names) + 1, channels=size.channels, deep_supervision=True)
    spacing = (1.0,) * size.dims
    return Plan.model_construct(
        preparation=PreparationSettings(spacing_mm=spacing),
        dims=size.dims,
        patch=size.patch,
        batch=size.batch,
        net=spec,
        net_name="unet",
        precision=precision,
        policy="nnunet",
        mirror_axes=tuple(range(size.dims)),
        foreground_share=0.33,
        batch_dice=False,
    )


@contextmanager
def replaced(owner: Any, name: str, value: Any) -> Iterator[None]:
    """Another value of an attribute inside the block."""
    before = getattr(owner, name)
    setattr(owner, name, value)
    try:
        yield
    finally:
        setattr(owner, name, before)


@contextmanager
def laid_out(way: Way, device: str) -> Iterator[None]:
    """Maps in the layout of this way; on the processor they stay as they are."""
    if device == "cpu":
        yield
        return
    with replaced(layers, "innermost", lambda x: way.innermost and not torch.compiler.is_compiling()):
        yield


def same_batch(feed: Feed, first: int) -> Iterator[Mapping[str, Batch]]:
    """One batch again and again, instead of those of the feed."""
    batch = feed.batch(first)
    while True:
        yield batch


def train(size: Size, way: Way, store: Store, folder: Path, steps: int, device: str) -> dict[str, Any]:
    """Seconds a step of the loop, the share of time it waited for data, and peak memory."""
    times: list[float] = []
    tick = Clock.tick

    def ticked(clock: Clock, seconds: float) -> None:
        times.append(time.perf_counter())
        tick(clock, seconds)

    plan = plan_of(size, way.precision)
    net = plan.net.build()
    if way.compiled:
        net.compile()
    settings = TrainingSettings(
        tensorboard=False,
        checkpoint_seconds=1e9,
        validation=0,
        deterministic=False,
        augment_on="device" if way.data == "device" else "cpu",
    )
    batches = same_batch if way.data == "memory" else Feed.batches
    begin_memory(device)
    with laid_out(way, device), replaced(Clock, "tick", ticked), replaced(Feed, "batches", batches):
        outcome = fit(
            net,
            Job(
                task_for(LABELS),
                store,
                store.ids,
                (),
                plan,
                settings,
                folder / "run",
                steps=steps + WARM,
                accelerator=device,
            ),
        )
    seconds = (times[-1] - times[WARM - 1]) / steps
    return {"seconds": seconds, "waiting": outcome.waiting, "memory_gb": peak_gb(device)}


def predict(size: Size, way: Way, device: str) -> dict[str, Any]:
    """Voxels a second from a prepared image to labels, the second time."""
    plan = plan_of(size, way.precision)
    settings = PredictionSettings(mirror=False, backend="compile" if way.compiled else "torch")
    image = np.random.default_rng(0).standard_normal((1, *size.image)).astype(np.float32)
    begin_memory(device)
    with laid_out(way, device):
        predictor = Predictor.of(plan.net.build(), task_for(LABELS), plan, settings, device)
        predictor.predict_labels(image)
        begin = time.perf_counter()
        predictor.predict_labels(image)
        seconds = time.perf_counter() - begin
    return {"voxels_per_second": math.prod(size.image) / seconds, "memory_gb": peak_gb(device)}


def begin_memory(device: str) -> None:
    """Forget what was held before."""
    if device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def peak_gb(device: str) -> float | None:
    """What torch held at most on the GPU."""
    return torch.cuda.max_memory_allocated() / 1e9 if device == "cuda" else None


def attempt(work: Any, *arguments: Any) -> dict[str, Any]:
    """What work gives, or why it failed; one way that does not fit must not stop the others."""
    try:
        found: dict[str, Any] = work(*arguments)
        return found
    except Exception as error:
        return {"failed": f"{type(error).__name__}: {str(error).splitlines()[0][:200] if str(error) else ''}"}
    finally:
        torch._dynamo.reset()


def described(size: Size, way: Way) -> str:
    """A line's first columns."""
    layout = "innermost" if way.innermost else "as built"
    return f"{size.dims}D | {way.precision} | {layout} | {'yes' if way.compiled else 'no'}"


def table(found: dict[str, Any]) -> str:
    """The figures as two tables."""
    head = "| net | precision | channels | compiled |"
    lines = [f"{head} data | steps/s | of the bound, % | waiting, % | GB |", "|---" * 9 + "|"]
    bounds: dict[str, float] = {}
    for row in found["training"]:
        start = f"| {row['told']} | {row['data']} |"
        if "failed" in row:
            lines.append(f"{start} {row['failed']} | | | |")
            continue
        if row["data"] == "memory":
            bounds[row["told"]] = row["seconds"]
        bound = bounds.get(row["told"])
        share = "" if bound is None else f"{100 * bound / row['seconds']:.0f}"
        memory = "" if row["memory_gb"] is None else f"{row['memory_gb']:.1f}"
        lines.append(f"{start} {1 / row['seconds']:.2f} | {share} | {100 * row['waiting']:.1f} | {memory} |")
    lines += ["", f"{head} million voxels/s | GB |", "|---" * 6 + "|"]
    for row in found["prediction"]:
        memory = "" if row.get("memory_gb") is None else f"{row['memory_gb']:.1f}"
        speed = row.get("failed") or f"{row['voxels_per_second'] / 1e6:.2f}"
        lines.append(f"| {row['told']} | {speed} | {memory} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--quick", action="store_true", help="tiny nets, two steps, nothing compiled")
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    device, steps = options.device, 2 if options.quick else options.steps
    if device == "cuda" and not torch.cuda.is_available():
        parser.error("there is no GPU here; `--device cpu --quick` tries the script")
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device == "cuda" else "cpu",
        "machine": machine(),
        "torch": torch.__version__,
        "steps": steps,
        "sizes": [asdict(size) for size in (TINY if options.quick else FULL)],
        "training": [],
        "prediction": [],
    }
    for size in TINY if options.quick else FULL:
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            store = write_cases(folder / "cases", size)
            for way in ways(device, not options.quick):
                measured = attempt(train, size, way, store, folder, steps, device)
                found["training"].append({"told": described(size, way), **asdict(way), **measured})
        for way in ways(device, not options.quick):
            if way.data == "memory" and (way.precision != "16-mixed" or not way.compiled):  # that engine takes bfloat16
                measured = attempt(predict, size, way, device)
                found["prediction"].append({"told": described(size, way), **asdict(way), **measured})
        if options.into:  # after each size, so that a machine that is taken away leaves something
            options.into.parent.mkdir(parents=True, exist_ok=True)
            options.into.write_text(json.dumps(found, indent=1) + "\n")
    print(found["device"] + "\n\n" + table(found))


if __name__ == "__main__":
    run_plainly(main)
