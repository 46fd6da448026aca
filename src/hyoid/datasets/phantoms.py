"""Generated data sets that look and behave like real ones: touching cells in 2D, organs in 3D, left and right."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError
from ..core.files import write_text
from ..core.grid import Grid

CELLS = {1: "cell", 2: "border"}
_FINE = 2
"""Points along each axis of a voxel that its signal is the mean of."""

ORGANS = {1: "left_kidney", 2: "right_kidney", 3: "spine"}
TWINS = {1: "left_lung", 2: "right_lung"}
LATERAL = {1: "lung"}
PHOTOGRAPHS = {1: "lesion"}


def write_phantoms(
    folder: str | Path,
    kind: Literal["cells", "organs", "photographs", "twins", "twins_3d", "lateral", "lateral_3d"] = "cells",
    num_cases: int = 12,
    size: int = 0,
    seed: int = 0,
) -> Path:
    """Write a generated data set of images and labels, the same bytes for the same arguments.

    `cells` are 2D fluorescence-like pictures of touching cells (uneven illumination, blur, photon noise) with the
    cell interior and a thin border as structures, as PNG. `organs` are 3D volumes of a body with two kidneys and
    the spine (partial volume, bias field, noise, thick slices, sizes and axis orders that differ), as NIfTI. `twins`
    are two alike organs left and right of each other, each missing in some cases; in `lateral` the second is not
    annotated. Nothing but their side tells them apart. `photographs` show a lesion of the skin among smaller moles,
    always from about the same distance, by cameras of 1 to 8 times as many pixels along an edge that are equally sharp
    and noisy, so that only sizes relative to the image tell a lesion from a mole.

    Args:
        folder: Where `images/`, `labels/` and `labels.yaml` go; also what is returned.
        kind: "cells", "organs", "photographs", "twins", "lateral", or one of the last two with "_3d".
        num_cases: How many cases.
        size: About how many pixels one side of a slice has (of a photograph of middle resolution); 0 gives 128 for
            cells, 256 for photographs, 32 for what ends in _3d, else 64.
        seed: Another seed gives other cases.
    """
    from ..files.formats import write_image

    makers: dict[str, tuple[Callable[..., tuple[Image, Image]], dict[int, str], int, str]] = {
        "cells": (cells, CELLS, 128, ".png"),
        "organs": (organs, ORGANS, 64, ".nii.gz"),
        "photographs": (photographs, PHOTOGRAPHS, 256, ".png"),
        "twins": (partial(twins, dims=2), TWINS, 64, ".png"),
        "twins_3d": (partial(twins, dims=3), TWINS, 32, ".nii.gz"),
        "lateral": (partial(twins, dims=2, annotated=1), LATERAL, 64, ".png"),
        "lateral_3d": (partial(twins, dims=3, annotated=1), LATERAL, 32, ".nii.gz"),
    }
    if kind not in makers:
        raise ConfigError(f"No phantoms are called {kind!r}; expected one of {', '.join(makers)}.")
    if seed < 0:
        raise ConfigError(f"A seed is 0 or more; got {seed}.")
    make, names, usual_size, suffix = makers[kind]
    root = Path(folder)
    text = "".join(f"{value}: {structure}\n" for value, structure in names.items())
    if root.is_dir() and any(root.iterdir()) and not _holds(root / "labels.yaml", text):
        raise ConfigError(f"{root}: other files lie here and could be covered; choose another folder.")
    write_text(root / "labels.yaml", text)
    for index in range(num_cases):
        image, labels = make(np.random.default_rng([seed, index]), size or usual_size, index)
        name = f"{kind}_{index:03d}{suffix}"
        write_image(root / "images" / name, image)
        write_image(root / "labels" / name, labels)
    return root


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text


def cells(rng: np.random.Generator, size: int, index: int = 0) -> tuple[Image, Image]:
    """A picture of touching cells and its labels (1 interior, 2 border), each (1, size, size) uint8."""
    nearest, depth, num_cells = _cell_shapes(rng, size)
    labels = np.where(depth > 0, 1, 0).astype(np.uint8)
    labels[_rim(np.where(labels > 0, nearest + 1, 0))] = 2

    brightness = rng.lognormal(0, 0.25, num_cells)[nearest]
    texture = _blurred(rng.standard_normal((size, size)), 1.6)
    texture = 1 + 0.25 * texture / texture.std()
    body = np.clip(depth * 3, 0, 1) ** 0.6 * brightness * np.clip(texture, 0.3, None)
    nucleus = 0.9 * np.exp(-(((1 - depth) / 0.42) ** 4)) * brightness
    membrane = 1.15 * (labels == 2)
    signal = 0.10 + 0.45 * body + nucleus + membrane
    haze = _blurred(signal, size / 10)
    signal = _blurred(signal, rng.uniform(0.7, 1.1)) + 0.25 * haze
    signal *= _field(rng, (size, size), 0.45)
    photons = rng.uniform(35, 70)
    picture = rng.poisson(signal * photons) / photons + rng.normal(0, 0.015, signal.shape)
    picture = np.clip(picture / np.percentile(picture, 99.7) * 235, 0, 255)
    grid = Grid.plain((size, size))
    return Image(picture.astype(np.uint8)[None], grid), Image(labels[None], grid, "labels")


def organs(rng: np.random.Generator, size: int, index: int = 0) -> tuple[Image, Image]:
    """A volume of a body with two kidneys and the spine, and its labels (1, 2, 3), each (1, *S).

    Axes run to the right, front and head; every second case is stored to the left and back instead, as many
    scanners do, so that a left kidney is told by the geometry and not by the side of the array.
    """
    shape = tuple(int(n) for n in np.maximum(8, np.array([size, size * 0.8, size / 3]) * rng.uniform(0.85, 1.15, 3)))
    in_plane, thickness = rng.uniform(0.9, 1.2), rng.uniform(2.6, 3.4)
    spacing = np.round([in_plane, in_plane, thickness], 2)
    axes = [np.linspace(-1, 1, n * _FINE, dtype=np.float32) for n in shape]  # to the right, front and head
    anatomy = _anatomy(rng, *np.meshgrid(*axes, indexing="ij"))
    array = _scanned(rng, anatomy)
    labels = _voxel_labels(anatomy)
    affine = np.diag([*spacing, 1.0])
    affine[:3, 3] = -np.multiply(shape, spacing) / 2
    grid = Grid.from_affine(affine, shape)
    if index % 2:
        array, labels, grid = array[::-1, ::-1], labels[::-1, ::-1], grid.flipped(0).flipped(1)
    image = Image(np.ascontiguousarray(array)[None], grid)
    return image, Image(np.ascontiguousarray(labels)[None], grid, "labels")


def twins(
    rng: np.random.Generator, size: int, index: int = 0, dims: int = 2, annotated: int = 2
) -> tuple[Image, Image]:
    """A body with two alike organs, and the labels of one or both, each (1, *S) uint8.

    The first is on the left of the patient: to the right in pictures, as in X-rays, at the beginning of axis R in
    volumes. In every fourth case one organ is missing in turn; the annotated one is never missing where only one is.
    """
    axes = np.meshgrid(*[np.linspace(-1, 1, size, dtype=np.float32)] * dims, indexing="ij")
    across, others = (axes[0], axes[1:]) if dims == 3 else (-axes[1], axes[:1])
    signal = np.where(sum((axis / 0.92) ** 2 for axis in axes) < 1, 0.6, 0.1)
    labels = np.zeros(signal.shape, np.uint8)
    missing = (index // 4) % 2 if index % 4 == 3 and annotated == 2 else None
    for organ, side in enumerate((-1, 1)):
        far = ((across - side * rng.uniform(0.34, 0.44)) / rng.uniform(0.2, 0.28)) ** 2
        far = far + sum(((axis - rng.uniform(-0.1, 0.1)) / rng.uniform(0.38, 0.52)) ** 2 for axis in others)
        if organ != missing:
            signal[far < 1] = 0.35
            labels[(far < 1) & (organ < annotated)] = organ + 1
    signal = _blurred(signal, 0.8) * rng.uniform(0.85, 1.15) + rng.normal(0, 0.05, signal.shape)
    grid = Grid.plain(signal.shape, (1.0,) * 3 if dims == 3 else None)
    return Image(np.clip(255 * signal, 0, 255).astype(np.uint8)[None], grid), Image(labels[None], grid, "labels")


def photographs(rng: np.random.Generator, size: int, index: int = 0) -> tuple[Image, Image]:
    """A photograph of skin, (3, *S) uint8, and its labels (1 lesion), (1, *S).

    Its edge, the root of its area, is `size` / 2.8 to `size` * 2.8 pixels, and sizes are in units of the edge: a lesion
    and several moles, a third as large and alike in all else. Blur and noise are in pixels.
    """
    edge, aspect = size * 2 ** rng.uniform(-1.5, 1.5), rng.choice((0.75, 1.0, 1.33))
    shape = round(edge * aspect**0.5), round(edge / aspect**0.5)
    y, x = np.meshgrid(*[(np.arange(n) + 0.5 - n / 2) / edge for n in shape], indexing="ij")
    lesion = _spot(rng, y, x, rng.uniform(-0.25, 0.25, 2), rng.uniform(0.14, 0.2))
    moles = [_spot(rng, y, x, rng.uniform(-0.5, 0.5, 2), rng.uniform(0.04, 0.07)) for _ in range(9)]
    dark = _blurred((np.min([lesion, *moles], 0) < 1).astype(float), 0.7)
    light = _field(rng, shape, 0.3)[None] * (np.array([225, 175, 150])[:, None, None] * (1 - 0.4 * dark))
    picture = np.clip(light + rng.normal(0, 20, (3, *shape)), 0, 255).astype(np.uint8)
    grid = Grid.plain(shape)
    return Image(picture, grid), Image((lesion < 1).astype(np.uint8)[None], grid, "labels")


def _spot(rng: np.random.Generator, y: np.ndarray, x: np.ndarray, centre: np.ndarray, radius: float) -> np.ndarray:
    """Distance from the centre of a spot with a wavy outline, which is at 1."""
    angle = np.arctan2(y - centre[0], x - centre[1])
    outline = 1 + sum(rng.normal(0, 0.15 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4))
    return np.asarray(np.hypot(y - centre[0], x - centre[1]) / (radius * outline))


def _cell_shapes(rng: np.random.Generator, size: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Which cell each pixel is nearest to, how deep inside it lies (0 at the outline, 1 at the centre), and how many.

    Cells grow around clustered seeds until they meet their neighbours, so many of them touch.
    """
    radius = size / 13 if size >= 96 else 8.0
    seeds: list[np.ndarray] = []
    clusters = rng.uniform(0, size, (max(2, round((size / 70) ** 2)), 2))
    for _ in range(40 * max(4, int((size / radius) ** 2 / 5))):
        point = clusters[rng.integers(len(clusters))] + rng.normal(0, size / 7, 2)
        inside = (point > -radius).all() and (point < size + radius).all()
        if inside and all(np.hypot(*(point - other)) > 1.45 * radius for other in seeds):
            seeds.append(point)
    rows, columns = np.mgrid[:size, :size].astype(float)
    best = np.full((size, size), np.inf)
    nearest = np.zeros((size, size), np.int64)
    for number, (row, column) in enumerate(seeds):
        dy, dx = rows - row, columns - column
        angle = np.arctan2(dy, dx)
        outline = 1 + sum(rng.normal(0, 0.10 / k) * np.cos(k * angle + rng.uniform(0, 2 * np.pi)) for k in (2, 3, 4, 5))
        distance = np.hypot(dy, dx) / (radius * rng.uniform(0.85, 1.2) * outline)
        nearest[distance < best] = number
        best = np.minimum(best, distance)
    return nearest, 1 - best, len(seeds)


def _rim(instances: np.ndarray) -> np.ndarray:
    """Pixels of an object with a neighbour of another object or of the background."""
    from scipy.ndimage import generate_binary_structure, maximum_filter, minimum_filter

    beside = generate_binary_structure(2, 1)
    low, high = (pick(instances, footprint=beside, mode="nearest") for pick in (minimum_filter, maximum_filter))
    return (low != high) & (instances > 0)


def _field(rng: np.random.Generator, shape: tuple[int, ...], strength: float) -> np.ndarray:
    """A smooth positive factor with mean near 1: uneven illumination, or the bias field of a coil."""
    axes = np.meshgrid(*[np.linspace(-1, 1, n) for n in shape], indexing="ij")
    centre = rng.uniform(-0.4, 0.4, len(shape))
    hill = np.exp(-sum((a - c) ** 2 for a, c in zip(axes, centre, strict=True)) / 1.6)
    slope = sum(a * s for a, s in zip(axes, rng.normal(0, 0.3, len(shape)), strict=True))
    return 1 + strength * (hill - hill.mean() + 0.5 * slope)


def _anatomy(rng: np.random.Generator, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> np.ndarray:
    """Tissue of each point.

    0 air, 1 fat, 2 muscle, 3 liver, 4 bowel, 5 left kidney, 6 right kidney, 7 spine, 8 cord, 9 renal pelvis.
    """
    wide, deep = rng.uniform(0.84, 0.94), rng.uniform(0.78, 0.88)
    body = np.sqrt((x / wide) ** 2 + (y / deep) ** 2) + 0.04 * np.cos(3 * z + rng.uniform(0, 6))
    tissue = np.where(body < 1, 1, 0)
    tissue[body < rng.uniform(0.82, 0.88)] = 2
    bend = rng.normal(0, 0.05, 2)
    liver = ((x - 0.38) / 0.42) ** 2 + ((y - 0.22) / 0.42) ** 2 + ((z - 0.55) / 0.75) ** 2
    tissue[(liver < 1) & (body < 0.8)] = 3
    for _ in range(7):
        centre = rng.uniform((-0.55, 0.12, -1), (0.35, 0.5, 1))
        loop = ((x - centre[0]) / 0.16) ** 2 + ((y - centre[1]) / 0.13) ** 2 + ((z - centre[2]) / 0.35) ** 2
        tissue[(loop < 1) & (body < 0.8) & (tissue == 2)] = 4
    for side, value in ((-1, 5), (1, 6)):
        kidney, pelvis = _kidney(rng, side, x, y, z)
        tissue[kidney] = value
        tissue[kidney & pelvis] = 9
    mid_x, mid_y = bend[0] * z, -0.42 + bend[1] * z
    column = (np.abs(x - mid_x) / 0.19) ** 2.4 + (np.abs(y - mid_y) / 0.17) ** 2.4
    disc = 0.06 * np.cos(z * rng.uniform(7, 9) + rng.uniform(0, 6))
    tissue[column < 1 + disc] = 7
    tissue[(x - mid_x) ** 2 + (y - mid_y + 0.23) ** 2 < 0.055**2] = 8
    return tissue


def _kidney(
    rng: np.random.Generator, side: int, x: np.ndarray, y: np.ndarray, z: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """A bean that opens towards the middle, and the hollow in it."""
    centre = np.array(
        [side * rng.uniform(0.44, 0.50), rng.uniform(-0.30, -0.20), rng.uniform(-0.15, 0.15) - 0.08 * side]
    )
    radius = np.array([0.20, 0.23, 0.66]) * rng.uniform(0.88, 1.15, 3)
    tilt = side * rng.uniform(0.04, 0.16)
    u = (x - centre[0] + tilt * (z - centre[2])) / radius[0]
    v, w = (y - centre[1]) / radius[1], (z - centre[2]) / radius[2]
    bean = (u + side * 0.35 * (1 - w**2)) ** 2 * 0.85 + v**2 + w**2
    bean = np.where(side * u > 0, np.minimum(bean, u**2 + v**2 + w**2), bean)
    hollow = (u + side * 0.75) ** 2 + (v / 0.8) ** 2 + (w / 0.5) ** 2
    return (u**2 + v**2 + w**2 < 1) & (hollow > 0.22), (hollow < 0.55)


def _tissue_values(rng: np.random.Generator) -> np.ndarray:
    means = np.array([0.0, 0.80, 0.32, 0.42, 0.55, 0.70, 0.70, 0.52, 0.9, 0.85])
    values = means * rng.normal(1, 0.06, means.size)
    values[6] = values[5]
    return values * rng.uniform(0.8, 1.25)


def _scanned(rng: np.random.Generator, anatomy: np.ndarray) -> np.ndarray:
    """What a scanner makes of the anatomy: partial volume, bias field and Rician noise, as int16."""
    texture = _blurred(rng.standard_normal(anatomy.shape, np.float32), 1.5)
    signal = _averaged(_tissue_values(rng)[anatomy] + np.float32(0.18) * texture * (anatomy > 0))
    signal = signal * _field(rng, signal.shape, 0.35)
    noise = rng.normal(0, 0.025, (2, *signal.shape))
    signal = np.hypot(signal + noise[0], noise[1])
    return np.clip(signal * 900, 0, 4000).astype(np.int16)


def _voxel_labels(anatomy: np.ndarray) -> np.ndarray:
    """The structure that fills most of each voxel."""
    shares = [_averaged((anatomy == part).astype(np.float32)) for part in (5, 6, 7)]
    return np.stack([1 - sum(shares), *shares]).argmax(0).astype(np.uint8)


def _averaged(array: np.ndarray) -> np.ndarray:
    """Mean of each block of fine points: the partial volume of a voxel."""
    shape = [side for n in array.shape for side in (n // _FINE, _FINE)]
    return array.reshape(shape).mean(axis=(1, 3, 5))


def _blurred(array: np.ndarray, sigma: float) -> np.ndarray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(array, sigma)
