"""Where voxels lie: read a volume, orient, crop and resample it, and put an answer back onto the file's grid.

python examples/geometry.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import hyoid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.ops.resample import onto


def main(folder: Path, size: int = 40) -> bool:
    """Give whether the way there and back by whole voxels changed nothing."""
    data = write_phantoms(folder / "organs", "organs", 2, size)
    source = data / "labels" / "organs_001.nii.gz"
    labels = hyoid.read_image(source, kind="labels")
    grid = labels.grid
    print(f"on disk:   {grid}, voxel 0 at {np.round(grid.origin_mm, 1)} mm")

    # Grids first, voxels afterwards: what is wanted is said in words of geometry ...
    upright = grid.oriented("SRA")
    cropped = upright.padded(before=(-1, -2, -2), after=(-1, -2, -2))
    even = cropped.with_spacing((2.0, 2.0, 2.0))
    for name, wanted in {"oriented": upright, "cropped": cropped, "resampled": even}.items():
        print(f"{name + ':':10} {wanted}, {np.count_nonzero(onto(labels, wanted).array)} voxels labelled")

    # ... and the way back is one call, exact where the grids share voxels.
    there = onto(labels, upright)
    back = onto(there, grid)
    hyoid.write_image(folder / "back.nii.gz", back, like=source)
    return np.array_equal(hyoid.read_image(folder / "back.nii.gz", kind="labels").array, labels.array)


if __name__ == "__main__":
    print("unchanged:", main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/geometry")))
