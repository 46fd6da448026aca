"""How fast resampling is against scikit-image, SciPy and torch, in the same run on one core.

    OMP_NUM_THREADS=1 python benchmarks/resample.py [--large]

Prints one line for each task: our seconds, and how many times longer the others take. Repeats are interleaved and the
median is taken, so that other work on the machine falls on all alike. The first call, which compiles, is not counted.
"""

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np
import torch
from scipy import ndimage
from skimage.transform import resize as skimage_resize
from torch.nn.functional import interpolate

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.ops.decoding import winner
from hyoid.ops.resample import decode_onto, onto, resize

Task = dict[str, Callable[[], object]]


def tasks(source: tuple[int, ...], target: tuple[int, ...]) -> dict[str, Task]:
    """What is compared; the first entry of each is ours."""
    rng = np.random.default_rng(0)
    image = rng.normal(size=(1, *source)).astype(np.float32)
    tensor = torch.from_numpy(image)[None]
    labels = rng.integers(0, 20, size=(1, *(-(-n // 8) for n in source))).astype(np.uint8)
    labels = labels.repeat(8, 1).repeat(8, 2).repeat(8, 3)[:, : source[0], : source[1], : source[2]]
    probabilities = rng.random((20, *(n // 2 for n in source)), np.float32)
    grid = Grid.plain(source)
    coarse, fine = grid.resized(probabilities.shape[1:]), grid.resized(target)
    zoom = [new / old for new, old in zip(target, source, strict=True)]
    stretch = {"mode": "edge", "anti_aliasing": False, "preserve_range": True}

    def one_hot_labels() -> np.ndarray:
        result = np.zeros(target, np.uint8)
        for value in np.unique(labels):
            mask = (labels[0] == value).astype(np.float32)
            result[skimage_resize(mask, target, order=1, **stretch) >= 0.5] = value
        return result

    def all_probabilities() -> torch.Tensor:
        full = interpolate(torch.from_numpy(probabilities)[None], target, mode="trilinear", align_corners=False)
        return full[0].argmax(0)

    return {
        "cubic": {
            "hyoid": lambda: resize(image, target, 3),
            "scikit-image": lambda: skimage_resize(image[0], target, order=3, clip=False, **stretch),
            "SciPy": lambda: ndimage.zoom(image[0], zoom, order=3, mode="nearest", grid_mode=True),
        },
        "linear": {
            "hyoid": lambda: resize(image, target, 1),
            "scikit-image": lambda: skimage_resize(image[0], target, order=1, clip=False, **stretch),
            "torch": lambda: interpolate(tensor, target, mode="trilinear", align_corners=False),
        },
        "labels, 20 values": {
            "hyoid": lambda: onto(Image(labels, grid, "labels"), fine),
            "scikit-image": one_hot_labels,
        },
        "decode 20 classes": {
            "hyoid": lambda: decode_onto(probabilities, coarse, fine, winner),
            "torch": all_probabilities,
        },
    }


def seconds(task: Task, repeats: int) -> dict[str, float]:
    """Median process time of each way of doing a task."""
    times: dict[str, list[float]] = {name: [] for name in task}
    next(iter(task.values()))()
    for _ in range(repeats):
        for name, work in task.items():
            begin = time.process_time()
            work()
            times[name].append(time.process_time() - begin)
    return {name: statistics.median(values) for name, values in times.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", action="store_true", help="200x512x512 to 250x320x320 instead of a tenth of it")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    torch.set_num_threads(1)
    shapes = ((200, 512, 512), (250, 320, 320)) if options.large else ((100, 220, 220), (125, 140, 140))
    print(f"{shapes[0]} -> {shapes[1]}")
    for name, task in tasks(*shapes).items():
        found = seconds(task, options.repeats)
        others = "".join(f"   {other} x{t / found['hyoid']:.1f}" for other, t in found.items() if other != "hyoid")
        print(f"{name:20} {found['hyoid']:7.3f} s{others}")


if __name__ == "__main__":
    main()
