"""How much memory and time images take that are larger than memory.

    python benchmarks/huge.py [--only slide|volume] [--size 40000 1024] [--into benchmarks/results/huge.json]

Makes a tiled RGB TIFF (JPEG, as slides are) and an OME-Zarr volume (16 bits) of a known pattern in noise, tile by tile,
trains a small net for some steps on pieces of the same pattern, and segments both in a child process, whose largest
memory and time are told, and the share of voxels that are answered as the pattern is.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np
import tifffile
import zarr
from plainly import run_plainly

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.core.machine import machine
from hyoid.files.formats import open_image, read_header, write_image

LIMIT_GB = 3.0
PERIOD = 48
SPACING_MM = 0.002
NOISE = np.random.default_rng(0).normal(0, 12, 2**22).astype(np.float32)


def pattern(place: tuple[slice, ...]) -> np.ndarray:
    """Where the structure lies in a box: balls on a lattice."""
    waves = [np.cos(2 * np.pi * np.arange(part.start, part.stop, dtype=np.float32) / PERIOD) for part in place]
    total = sum(np.ix_(*waves))
    return np.asarray(total > 0.45 * len(place))


def picture(place: tuple[slice, ...], channels: int) -> np.ndarray:
    """The image of the pattern in a box, (C, *box) in 0 to 255."""
    structure = pattern(place)
    noise = np.resize(
        np.roll(NOISE, sum(7919 * part.start for part in place) % NOISE.size), (channels, *structure.shape)
    )
    return np.clip(90 + 70 * structure + noise, 0, 255)


def boxes(shape: tuple[int, ...], step: int) -> Iterator[tuple[slice, ...]]:
    """Boxes of this size that tile a shape; those at its ends are cut."""
    for start in product(*(range(0, n, step) for n in shape)):
        yield tuple(slice(a, min(a + step, n)) for a, n in zip(start, shape, strict=True))


def write_slide(path: Path, size: int) -> None:
    """A tiled BigTIFF of colours."""
    tiles = (np.moveaxis(picture(place, 3), 0, -1).astype(np.uint8) for place in boxes((size, size), 512))
    tifffile.imwrite(
        path, tiles, shape=(size, size, 3), dtype=np.uint8, tile=(512, 512), bigtiff=True, photometric="rgb",
        compression="jpeg", compressionargs={"level": 85}, ome=True,
        metadata={"axes": "YXS", "PhysicalSizeX": 1000 * SPACING_MM, "PhysicalSizeY": 1000 * SPACING_MM},
    )  # fmt: skip


def write_volume(path: Path, size: int) -> None:
    """An OME-Zarr of 16 bits."""
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "zyx"]
    steps = [{"type": "scale", "scale": [SPACING_MM] * 3}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    group = zarr.create_group(path, attributes={"ome": {"version": "0.5", "multiscales": [image]}})
    array = group.create_array("0", shape=(size,) * 3, chunks=(128,) * 3, dtype=np.uint16)
    for place in boxes((size,) * 3, 128):
        array[place] = picture(place, 1)[0] * 100


def train(folder: Path, dims: int, patch: int, steps: int) -> Path:
    """A small net that has seen the pattern."""
    for index in range(5):
        place = (slice(index * 7, index * 7 + patch),) * dims
        array = picture(place, 3 if dims == 2 else 1)
        grid = Grid.plain((patch,) * dims, (SPACING_MM,) * 3 if dims == 3 else None)
        array = array.astype(np.uint8) if dims == 2 else (array * 100).astype(np.uint16)
        name = f"case_{index}.{'png' if dims == 2 else 'nii.gz'}"
        write_image(folder / "data" / "images" / name, Image(array, grid))
        write_image(folder / "data" / "labels" / name, Image(pattern(place)[None].astype(np.uint8), grid, "labels"))
    settings = [
        f"planning.patch={[patch] * dims}",
        "planning.channels=[4, 8]",
        f"planning.batch={2 if dims == 2 else 1}",
    ]
    settings += ["planning.policy=none", "training.validation=0.01"]
    hyoid("plan", folder / "data", "--into", folder / "run", "--steps", steps, *sets(settings))
    hyoid("train", folder / "run")
    return folder / "run"


def sets(settings: list[str]) -> list[str]:
    """Settings as words of a command."""
    return [word for one in settings for word in ("--set", one)]


def hyoid(*words: object) -> tuple[float, float]:
    """Run a command in a child; gives its seconds and its largest memory in GB."""
    began = time.perf_counter()
    child = subprocess.Popen([sys.executable, "-m", "hyoid", *map(str, words)])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode:
        sys.exit(f"hyoid {words[0]} failed")
    return time.perf_counter() - began, usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9


def share_right(answer: Path, seed: int = 0) -> float:
    """Share of voxels that are answered as the pattern is, in boxes here and there and at the far corner."""
    labels = open_image(answer)
    assert labels is not None
    shape, rng = labels.shape[1:], np.random.default_rng(seed)
    side = min(256 if len(shape) == 2 else 64, *shape)
    starts = [[int(rng.integers(0, n - side + 1)) for n in shape] for _ in range(20)] + [[n - side for n in shape]]
    right = []
    for start in starts:
        place = tuple(slice(a, a + side) for a in start)
        right.append(np.mean((labels[(slice(None), *place)][0] > 0) == pattern(place)))
    return float(np.mean(right))


def measure(kind: str, size: int, patch: int, steps: int, folder: Path) -> dict[str, object]:
    """Make an image and segment it."""
    dims = 2 if kind == "slide" else 3
    image = folder / ("slide.ome.tif" if dims == 2 else "volume.ome.zarr")
    began = time.perf_counter()
    (write_slide if dims == 2 else write_volume)(image, size)
    print(f"{kind}: written in {time.perf_counter() - began:.0f} s", flush=True)
    run = train(folder / kind, dims, patch, steps)
    overlap = 0.25 if dims == 2 else 0.125
    chosen = [f"prediction.overlap={overlap}", "prediction.mirror=false"]
    limit = ("--memory", str(LIMIT_GB))
    seconds, memory_gb = hyoid("predict", run, image, "--into", folder / "answers", *limit, *sets(chosen))
    answer = folder / "answers" / image.name
    assert read_header(answer).grid == read_header(image).grid
    files = [file for file in [image, *image.rglob("*")] if file.is_file()]
    return {
        "image": kind,
        "shape": list(read_header(image).shape),
        "voxel_bytes": 3 if dims == 2 else 2,
        "file_gb": round(sum(file.stat().st_size for file in files) / 1e9, 3),
        "tile": [patch] * dims,
        "memory_gb": round(memory_gb, 2),
        "below_limit": memory_gb < LIMIT_GB,
        "seconds": round(seconds),
        "share_right": round(share_right(answer), 4),
        "settings": chosen,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=["slide", "volume"])
    parser.add_argument("--size", type=int, nargs=2, default=(40_000, 1024), help="sides of slide and volume")
    parser.add_argument("--patch", type=int, nargs=2, default=(512, 128), help="sides of the tiles of both")
    parser.add_argument("--steps", type=int, nargs=2, default=(300, 30), help="training steps of both")
    parser.add_argument("--into", type=Path, help="where the numbers go; those of the other image stay there")
    options = parser.parse_args()
    for kind, *sides in zip(("slide", "volume"), options.size, options.patch, options.steps, strict=True):
        if options.only not in (None, kind):
            continue
        with tempfile.TemporaryDirectory() as folder:
            row = measure(kind, *sides, Path(folder))
        print(json.dumps(row), flush=True)
        if options.into is not None:
            before = json.loads(options.into.read_text())["rows"] if options.into.exists() else []
            rows = sorted([row, *(one for one in before if one["image"] != kind)], key=lambda one: one["image"])
            found = {"limit_gb": LIMIT_GB, "machine": machine(), "rows": rows}
            options.into.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
