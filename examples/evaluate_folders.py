"""Measure any folder of label images against references, whoever made them.

python examples/evaluate_folders.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np

import hyoid
from hyoid.datasets.phantoms import write_phantoms


def main(folder: Path, num_cases: int = 4, size: int = 40) -> hyoid.Report:
    """Evaluate references that were shifted by one voxel, one of them with a structure missing."""
    references = write_phantoms(folder / "organs", "organs", num_cases, size) / "labels"
    predictions = folder / "predictions"
    for number, path in enumerate(sorted(references.iterdir())):
        labels = hyoid.read_image(path, kind="labels")
        shifted = np.roll(labels.array, 1, axis=1)
        if number == 0:
            shifted[shifted == 2] = 0
        hyoid.write_image(predictions / path.name, labels.with_array(shifted), like=path)

    report = hyoid.evaluate(predictions, references, into=folder / "measured")
    for structure in report.structures:
        dice, distance = report.summary(structure, "dice"), report.summary(structure, "hd95")
        missed = f"{dice.num_missed} of {dice.num_present} missed"
        print(
            f"{structure}: Dice {dice.spread.mean:.3f}, HD95 {distance.spread.mean:.1f} {report.unit('hd95')}, {missed}"
        )
    print("worst case:", report.ranked()[0])
    return report


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/evaluate_folders"))
