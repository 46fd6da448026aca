"""Tiles: time outside the net and memory of hyoid and of MONAI's SlidingWindowInferer, with the same net.

    OMP_NUM_THREADS=1 python benchmarks/tiles.py [--shape 192 192 128] [--into benchmarks/results/tiles.json]

Tiles of 96^3 with half overlap and Gaussian blending, from a prepared array to labels. *Time*: nnU-Net's plain 3D net
of 32 to 320 channels with 14 classes in bfloat16; processor time on one core, and the share of it that was not spent in
the forward pass. *Memory*: a net of 8 to 32 channels in 32 bits, so that the maps of the classes are what counts; the
largest growth of a process of its own that starts from the array.
"""

import argparse
import ctypes
import json
import subprocess
import sys
import threading
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plainly import need, run_plainly

TILE, LARGE, SMALL, CLASSES = (96, 96, 96), (32, 64, 128, 256, 320), (8, 16, 32), (14, 105)
WHO = ("hyoid", "MONAI")
Work = Callable[[np.ndarray], np.ndarray]


def net_of(channels: tuple[int, ...], classes: int) -> Any:
    """The spec and a net with random weights."""
    from hyoid.nets import build_spec

    torch.manual_seed(0)
    spec = build_spec("nnunet_plain", 3, 1, classes, channels=channels)
    return spec, spec.build().eval().requires_grad_(False)


def by_hyoid(channels: tuple[int, ...], classes: int, precision: str) -> tuple[Any, Work]:
    """The net, and what makes labels of an array (1, *S)."""
    from hyoid.core.labels import Labels
    from hyoid.planning.plan import Plan
    from hyoid.prediction.predictor import Predictor
    from hyoid.prediction.settings import PredictionSettings
    from hyoid.preparation.pipeline import PreparationSettings
    from hyoid.tasks import task_for

    spec, net = net_of(channels, classes)
    labels = Labels.of({value: f"structure_{value}" for value in range(1, classes)})
    fields = {"net": spec, "patch": TILE, "batch": 1, "precision": precision, "mirror_axes": (), "dims": 3}
    plan = Plan.model_construct(**fields, preparation=PreparationSettings())
    predictor = Predictor.of(net, task_for(labels), plan, PredictionSettings(mirror=False, whole=1))
    return net, predictor.predict_labels


def by_monai(channels: tuple[int, ...], classes: int, precision: str) -> tuple[Any, Work]:
    """The same from MONAI."""
    from monai.inferers import SlidingWindowInferer

    _, net = net_of(channels, classes)
    inferer = SlidingWindowInferer(TILE, sw_batch_size=1, overlap=0.5, mode="gaussian")

    @torch.inference_mode()
    def labels(image: np.ndarray) -> np.ndarray:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"):
            maps = inferer(torch.from_numpy(image)[None], lambda tiles: net(tiles)[0])
        return maps.argmax(1)[0].numpy().astype(np.uint8)

    return net, labels


BUILD = dict(zip(WHO, (by_hyoid, by_monai), strict=True))


def measure_time(image: np.ndarray) -> dict[str, dict[str, float]]:
    """Seconds of everyone, those spent in the net, and the share of the others; alike is the share of equal labels."""
    found: dict[str, dict[str, float]] = {}
    answers = []
    for who in WHO:
        net, work = BUILD[who](LARGE, CLASSES[0], "bf16-mixed")
        net(torch.zeros(1, 1, *TILE))
        spent = [0.0]

        def before(*_: Any, spent: list[float] = spent) -> None:
            spent[0] -= time.process_time()

        def after(*_: Any, spent: list[float] = spent) -> None:
            spent[0] += time.process_time()

        net.register_forward_pre_hook(before)
        net.register_forward_hook(after)
        begin = time.process_time()
        answers.append(work(image))
        seconds = time.process_time() - begin
        found[who] = {"seconds": seconds, "net_seconds": spent[0], "outside": 1 - spent[0] / seconds}
        print(f"{who}: {seconds:.1f} s", file=sys.stderr)
    found[WHO[1]]["alike"] = float((answers[0] == answers[1]).mean())
    return found


def measure_growth(who: str, classes: int, image: np.ndarray) -> tuple[float, float]:
    """Largest resident memory above the level before the call, in MB (Linux with glibc), and seconds."""
    import psutil

    work, this = BUILD[who](SMALL, classes, "32-true")[1], psutil.Process()
    work(image[:, : TILE[0], : TILE[1], : TILE[2]])
    ctypes.CDLL(None).malloc_trim(0)
    before, peak, done = this.memory_info().rss, 0, threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.is_set():
            peak = max(peak, this.memory_info().rss)
            time.sleep(0.002)

    watcher = threading.Thread(target=watch)
    watcher.start()
    begin = time.process_time()
    work(image)
    seconds = time.process_time() - begin
    done.set()
    watcher.join()
    return (peak - before) / 1e6, seconds


def growth(who: str, classes: int, shape: tuple[int, ...]) -> dict[str, float]:
    """The same, in a process of its own."""
    command = [sys.executable, __file__, "--shape", *map(str, shape), "--memory", who, str(classes)]
    megabytes, seconds = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    return {"megabytes": float(megabytes), "seconds": float(seconds)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(192, 192, 128))
    parser.add_argument("--into", type=Path)
    parser.add_argument("--memory", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    need("monai")
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    image = np.random.default_rng(0).standard_normal((1, *options.shape), np.float32)
    if options.memory:
        print(*measure_growth(options.memory[0], int(options.memory[1]), image))
        return
    grown = {who: {str(classes): growth(who, classes, options.shape) for classes in CLASSES} for who in WHO}
    print("| who | " + " | ".join(f"MB, {classes} classes" for classes in CLASSES) + " |\n|---|---|---|")
    for who, rows in grown.items():
        print(f"| {who} | " + " | ".join(f"{row['megabytes']:.0f}" for row in rows.values()) + " |")
    timed = measure_time(image)
    print("\n| who | s | in the net, s | outside, % |\n|---|---|---|---|")
    for who, row in timed.items():
        print(f"| {who} | {row['seconds']:.1f} | {row['net_seconds']:.1f} | {100 * row['outside']:.2f} |")
    if options.into:
        facts = {name: version(name) for name in ("torch", "monai")}
        told = {"shape": list(options.shape), "facts": facts, "time": timed, "memory": grown}
        options.into.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
