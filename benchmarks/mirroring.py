"""What mirroring costs where only their side tells structures apart, and what planning by the data saves.

    python benchmarks/mirroring.py [--steps 300] [--num-cases 40] [--kinds twins lateral ...] [--json FILE]

Generated sets (`hyoid.datasets.phantoms`) are trained with the same steps and seed: mirrored as
before planning looked at the data, and by the data; `twins` with their names and without. Figures are the mean Dice of
the validation cases.
"""

import argparse
import json
import logging
import tempfile
from pathlib import Path

import hyoid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.evaluation.report import Report

KINDS = ("twins", "twins_3d", "lateral", "lateral_3d")
NAMELESS = "1: label_1\n2: label_2\n"


def dice(data: Path, into: Path, steps: int, changes: tuple[str, ...] = ()) -> tuple[float, tuple[int, ...]]:
    """Mean Dice of a run on one thread, and the axes that were mirrored."""
    hyoid.run(data, into=into, steps=steps, threads=1, changes=changes)
    spread = Report.read(into).summary("mean", "dice").spread
    return round(spread.mean, 3), hyoid.load(into).predictor.plan.mirror_axes


def measure(folder: Path, kind: str, steps: int, num_cases: int) -> dict[str, object]:
    """The figures of one set."""
    data = write_phantoms(folder / kind / "data", kind, num_cases)
    found: dict[str, object] = {"kind": kind}
    if "twins" in kind:
        found["with names"], found["axes with names"] = dice(data, folder / kind / "named", steps)
        (data / "labels.yaml").write_text(NAMELESS)
    found["by the data"], found["axes by the data"] = dice(data, folder / kind / "data_decides", steps)
    # Compact structures are mirrored across left and right only; 3D axes are prepared in the order of the files.
    before = f"planning.mirror_axes=[{0 if '3d' in kind else 1}]"
    found["mirrored"], found["axes mirrored"] = dice(data, folder / kind / "mirrored", steps, (before,))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--num-cases", type=int, default=40)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    logging.getLogger("hyoid").setLevel(logging.WARNING)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for kind in asked.kinds:
            rows.append(measure(Path(folder), kind, asked.steps, asked.num_cases))
            print(json.dumps(rows[-1]), flush=True)
    if asked.json:
        asked.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
