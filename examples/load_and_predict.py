"""A trained run answers arrays in memory, as in a notebook or a server; nothing is written.

python examples/load_and_predict.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import hyoid
from hyoid.datasets.phantoms import write_phantoms


def main(folder: Path, num_cases: int = 10, size: int = 48, steps: int = 150) -> np.ndarray:
    """Train on generated organs, and give the labels (*S) of a volume that is in no file."""
    data = write_phantoms(folder / "organs", "organs", num_cases, size)
    hyoid.plan(data, into=folder / "run", steps=steps)
    hyoid.train(folder / "run")

    model = hyoid.load(folder / "run")
    print(model.channel_names, model.structures)

    image = hyoid.read_image(data / "images" / "organs_000.nii.gz")
    array, spacing_mm = image.array[0], image.grid.spacing_mm  # from a scanner, a simulation, another library
    labels = model(array, spacing_mm)
    for name, values in model.structures.items():
        print(f"{name}: {np.isin(labels, values).sum() * image.grid.voxel_mm3 / 1000:.1f} ml")

    chances = model.probabilities(array, spacing_mm).array
    print(dict(zip(model.outputs, chances[:, size // 2, size // 4, 4].round(2).tolist(), strict=True)))

    assert np.array_equal(model.predict(image).array[0], labels)  # an image knows its grid
    return labels


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/load_and_predict"))
