"""The stages of `hyoid run`, one by one: generated cells become a trained net, answers and a report.

python examples/walk_through.py [FOLDER]
"""

import sys
from pathlib import Path

import hyoid
from hyoid.datasets.phantoms import write_phantoms


def main(folder: Path, num_cases: int = 10, size: int = 96, steps: int = 150) -> float:
    """Train on generated pictures of cells and give the mean Dice of cases the net has never seen."""
    data = write_phantoms(folder / "cells", "cells", num_cases, size)
    print(hyoid.open_dataset(data).labels)

    run = folder / "run"
    plan = hyoid.plan(data, into=run, steps=steps, seed=1)  # experiment.yaml may be edited now
    print(*plan.describe(), sep="\n")
    hyoid.prepare(run)
    hyoid.train(run)

    hyoid.predict(run)  # the validation cases of the run
    report = hyoid.evaluate(run)
    for structure in report.structures:
        dice = report.summary(structure, "dice").spread
        print(f"{structure}: Dice {dice.mean:.3f} ({dice.low:.3f} to {dice.high:.3f})")
    print(hyoid.report(run))

    write_phantoms(folder / "new", "cells", 1, size, seed=7)
    print(hyoid.predict(run, [folder / "new" / "images"], into=folder / "answers"))
    return report.summary("mean", "dice").spread.mean


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/walk_through"))
