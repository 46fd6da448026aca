"""Classical methods beside a net that learned for a moment, on the same validation cases.

    OMP_NUM_THREADS=1 python benchmarks/classical.py DATA... --into FOLDER [--steps 100] [--seed 1]

Runs `hyoid run DATA --into FOLDER/NAME --steps 100 --seed 1 --baseline` for each data set (what is done already stays)
and prints the mean Dice over structures and cases; the file results.json in FOLDER has the same numbers.
"""

import argparse
import json
from pathlib import Path
from typing import Any

from plainly import run_plainly

from hyoid.workflow import run


def mean_dice(summary: list[dict[str, Any]]) -> float:
    """Over structures."""
    found = [row["mean"] for row in summary if row["metric"] == "dice"]
    return round(sum(found) / len(found), 3)


def judged(folder: Path) -> dict[str, float]:
    """The Dice of the net and of every method, by name."""
    told = json.loads((folder / "report.json").read_text(encoding="utf-8"))
    methods = told["baselines"]["methods"]
    return {"the net": mean_dice(told["summary"])} | {one["name"]: mean_dice(one["summary"]) for one in methods}


def table(results: dict[str, dict[str, float]]) -> list[str]:
    """A row for each method, the best one on average first, a column for each data set."""
    names = sorted(next(iter(results.values())), key=lambda name: -sum(found[name] for found in results.values()))
    lines = [f"| method | {' | '.join(results)} |", "|---" * (len(results) + 1) + "|"]
    return lines + [f"| {name} | {' | '.join(f'{found[name]:.3f}' for found in results.values())} |" for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", nargs="+", type=Path)
    parser.add_argument("--into", type=Path, required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    results = {}
    for data in options.data:
        run(data, into=options.into / data.name, steps=options.steps, seed=options.seed, baseline=True)
        results[data.name] = judged(options.into / data.name)
    (options.into / "results.json").write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print("\n".join(table(results)))


if __name__ == "__main__":
    run_plainly(main)
