"""Another voxel size: hyoid beside scikit-image, SciPy and torch, in the same run, with equal results.

    OMP_NUM_THREADS=1 python benchmarks/resample.py [--repeats 3] [--into benchmarks/results/resample.json]

int16 of 0.8x0.8x2.5 mm to 1.5 mm: cubic B-splines, linear, and labels (8 values) by the largest linear share; last, a
decision of 20 classes from probabilities of half the size. One core, time of the processor, all in turn, the median of
the repeats; our first call, which compiles, does not count. "Off" is the mean of the absolute differences of results in
standard deviations of the image, or the share of voxels decided otherwise.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from plainly import need, run_plainly
from scipy import ndimage
from torch.nn.functional import interpolate

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.ops.decoding import winner
from hyoid.ops.resample import decode_onto, onto, resize

Task = dict[str, Callable[[], np.ndarray]]
SPACING_MM, NEW_MM, VALUES, CLASSES = (0.8, 0.8, 2.5), 1.5, 8, 20


def volume(shape: tuple[int, ...]) -> np.ndarray:
    """Smooth waves with noise, int16."""
    axes = np.meshgrid(*(np.linspace(0, 6 * np.pi, n, dtype=np.float32) for n in shape), indexing="ij", sparse=True)
    waves = np.sin(axes[0]) + np.sin(axes[1]) + np.sin(axes[2])
    noise = np.random.default_rng(0).standard_normal(shape, np.float32)
    return (300 * waves + 30 * noise).astype(np.int16)


def tasks(source: tuple[int, ...]) -> dict[str, Task]:
    """What is compared; the first entry of each is ours."""
    from skimage.transform import resize as skimage_resize

    target = tuple(round(n * old / NEW_MM) for n, old in zip(source, SPACING_MM, strict=True))
    image = volume(source)
    labels = np.digitize(image, np.linspace(-600, 600, VALUES - 1)).astype(np.uint8)
    labels = labels[::8, ::8, ::8].repeat(8, 0).repeat(8, 1).repeat(8, 2)[tuple(map(slice, source))]
    probabilities = np.random.default_rng(0).random((CLASSES, *(n // 2 for n in target)), np.float32)
    old, coarse = Grid.plain(source), Grid.plain(probabilities.shape[1:])
    zoom = [n / m for n, m in zip(target, source, strict=True)]
    stretch = {"mode": "edge", "anti_aliasing": False, "preserve_range": True}

    def each_label() -> np.ndarray:
        result = np.zeros(target, np.uint8)
        for value in np.unique(labels):
            share = skimage_resize((labels == value).astype(np.float32), target, order=1, **stretch)
            result[share >= 0.5] = value
        return result

    def all_probabilities() -> np.ndarray:
        full = interpolate(torch.from_numpy(probabilities)[None], target, mode="trilinear", align_corners=False)
        return full[0].argmax(0).numpy()

    def by_torch() -> np.ndarray:
        tensor = torch.from_numpy(image)[None, None].float()
        return interpolate(tensor, target, mode="trilinear", align_corners=False)[0, 0].numpy()

    def by_skimage(order: int) -> np.ndarray:
        return skimage_resize(image.astype(np.float32), target, order=order, clip=False, **stretch)

    return {
        "cubic": {
            "hyoid": lambda: resize(image[None], target, 3)[0],
            "scikit-image": lambda: by_skimage(3),
            "SciPy": lambda: ndimage.zoom(image.astype(np.float32), zoom, order=3, mode="nearest", grid_mode=True),
        },
        "linear": {
            "hyoid": lambda: resize(image[None], target, 1)[0],
            "torch": by_torch,
            "scikit-image": lambda: by_skimage(1),
        },
        f"labels, {VALUES} values": {
            "hyoid": lambda: onto(Image(labels[None], old, "labels"), old.resized(target)).array[0],
            "scikit-image": each_label,
        },
        f"decision, {CLASSES} classes": {
            "hyoid": lambda: decode_onto(probabilities, coarse, coarse.resized(target), winner),
            "torch": all_probabilities,
        },
    }


def measure(task: Task, repeats: int) -> dict[str, dict[str, float]]:
    """Median seconds of each way of doing a task, and how far its result is from ours."""
    times: dict[str, list[float]] = {name: [] for name in task}
    ours = next(iter(task.values()))()
    off = {}
    for turn in range(repeats):
        for name, work in task.items():
            begin = time.process_time()
            result = work()
            times[name].append(time.process_time() - begin)
            if turn == 0:
                off[name] = difference(ours, result)
            del result
    return {name: {"seconds": round(statistics.median(some), 3), "off": off[name]} for name, some in times.items()}


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """In standard deviations for numbers, a share of voxels for decisions."""
    if ours.dtype.kind == "f":
        return float(np.abs(ours - theirs).mean() / ours.std())
    return float((ours != theirs).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=3, default=(512, 512, 200))
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    need("skimage")
    torch.set_num_threads(1)
    found = {name: measure(task, options.repeats) for name, task in tasks(tuple(options.shape)).items()}
    print("| task | who | s | times hyoid | off |\n|---|---|---|---|---|")
    for name, row in found.items():
        for who, one in row.items():
            ratio = one["seconds"] / row["hyoid"]["seconds"]
            print(f"| {name} | {who} | {one['seconds']:.3f} | {ratio:.1f} | {one['off']:.1e} |")
    if options.into:
        facts = {name: version(name) for name in ("torch", "scikit-image", "scipy", "numpy")}
        told = {"shape": list(options.shape), "facts": facts, "tasks": found}
        options.into.write_text(json.dumps(told, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
