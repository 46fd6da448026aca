"""Seconds per patch of warps and policies, as ratios to other libraries in the same run.

Run with: python benchmarks/augmentation.py

Figures are CPU milliseconds of one thread, the smallest of a few repetitions. Every peer gets the same map: torch is
`warp_tensor` (coordinates, then grid_sample), SciPy is `map_coordinates` with the coordinates ready-made, MONAI its
`Affine`. In brackets how many times longer than ours.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable

import numpy as np
import torch
from scipy.ndimage import map_coordinates

from hyoid.augmentation.policies import augmented_patch, build_policy, policies
from hyoid.ops.warp import Warp, source_box, spline_control, warp_array, warp_labels, warp_tensor

SHAPES = {"3D 128^3": (128, 128, 128), "3D 40x56x40": (40, 56, 40), "2D 512^2": (512, 512), "2D 192^2": (192, 192)}


def milliseconds(work: Callable[[], object], repetitions: int = 5) -> float:
    """CPU time of the calling thread."""
    work()
    seconds = []
    for _ in range(repetitions):
        begin = time.thread_time()
        work()
        seconds.append(time.thread_time() - begin)
    return 1e3 * min(seconds)


def warp_of(shape: tuple[int, ...], elastic: bool) -> tuple[np.ndarray, Warp]:
    """A source, and a warp that turns, scales and bends a patch in its middle."""
    dims, rng = len(shape), np.random.default_rng(0)
    angle = 0.3
    matrix = 0.95 * np.eye(dims)
    matrix[-2:, -2:] = 0.95 * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    control = spline_control(rng.normal(0, 3, (dims, *[5] * dims))) if elastic else None
    size = [round(1.3 * n) for n in shape]
    offset = np.array(size) / 2 - matrix @ ((np.array(shape) - 1) / 2)
    return rng.standard_normal((1, *size)).astype(np.float32), Warp(shape, matrix, offset, control)


def blobs(shape: tuple[int, ...]) -> np.ndarray:
    """Labels of some large round structures."""
    axes = np.meshgrid(*(np.linspace(0, 3 * np.pi, n) for n in shape[1:]), indexing="ij")
    return (np.prod([np.sin(axis) for axis in axes], 0) > 0.3).astype(np.int32)[None]


def monai_affine(source: np.ndarray, warp: Warp) -> Callable[[], object]:
    """MONAI's affine resampling of the same patch (it has no coarse elastic grid to compare with)."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from monai.transforms import Affine

    affine = np.eye(warp.dims + 1)
    affine[:-1, :-1] = warp.matrix
    transform = Affine(affine=affine, spatial_size=warp.shape, padding_mode="zeros", image_only=True)
    image = torch.from_numpy(source)
    return lambda: transform(image)


def warps() -> None:
    """One resampling: ours, for labels too, and peers."""
    print(f"{'affine + elastic, order 1':28}{'image':>8}{'labels':>8}{'torch':>16}{'scipy':>16}{'MONAI affine':>16}")
    for name, shape in SHAPES.items():
        for elastic in (False, True):
            source, warp = warp_of(shape, elastic)
            labels = blobs(source.shape)
            start = (0,) * len(shape)
            ours = milliseconds(lambda s=source, w=warp, z=start: warp_array(s, z, w))
            labelled = milliseconds(lambda s=labels, w=warp, z=start: warp_labels(s, z, w))
            tensor = torch.from_numpy(source)[None]
            peers = [milliseconds(lambda s=tensor, w=warp, z=start: warp_tensor(s, [z], [w]), 3)]
            points = warp.coordinates()
            peers.append(milliseconds(lambda s=source, p=points: map_coordinates(s[0], p, order=1), 2))
            if not elastic:
                peers.append(milliseconds(monai_affine(source, warp), 2))
            row = "".join(f"{p:8.1f} ({p / ours:4.1f}x)" for p in peers)
            box = milliseconds(lambda w=warp: source_box(w))
            print(f"{name + (' elastic' if elastic else ' affine'):28}{ours:8.2f}{labelled:8.2f}{row}   box {box:.2f}")


def samples() -> None:
    """Whole samples, image and labels: mean and largest time of 40 seeds."""
    print(f"\n{'policy: mean / largest ms':28}" + "".join(f"{name:>20}" for name in policies))
    for name, shape in SHAPES.items():
        channels = 3 if name == "2D 192^2" else 1
        size = tuple(2 * n for n in shape)
        image = np.random.default_rng(0).standard_normal((channels, *size)).astype(np.float32)
        labels = blobs((1, *size))

        def reader(array: np.ndarray) -> Callable[..., np.ndarray]:
            return lambda start, box: array[(slice(None), *map(slice, start, np.add(start, box)))]

        row = ""
        for chosen in policies:
            policy, centre, times = build_policy(chosen, shape, mirror_axes=range(len(shape))), shape, []
            for seed in range(10 if np.prod(shape) > 1e6 else 40):
                begin = time.thread_time()
                rng = np.random.default_rng(seed)
                augmented_patch(reader(image), reader(labels), size, centre, policy, rng)
                times.append(1e3 * (time.thread_time() - begin))
            row += f"{np.mean(times[1:]):12.2f} / {max(times[1:]):5.1f}"
        print(f"{name + ' x ' + str(channels):28}{row}")


if __name__ == "__main__":
    torch.set_num_threads(1)
    warps()
    samples()
