"""What a common extent is worth for photographs of one thing in resolutions 1:8 without pixel sizes.

    python benchmarks/extent.py INTO [--cases 40] [--size 283] [--steps 200] [--seeds 0 1 2] [--json FILE]

Each seed trains twice on the same generated photographs, split alike, with the same steps on two patches and the net
that is planned for them: with the pixels of the files (`planning.extent=0`), and as the planner decides. Dice is the
mean of the validation cases, in pixels of the files.
"""

import argparse
import json
from pathlib import Path

from plainly import run_plainly

import hyoid
from hyoid.datasets.phantoms import write_phantoms

SAME = ("split_seed=0", "planning.batch=2", "threads=1")
"""Two patches, so that steps are cheap; all else is planned."""

WAYS = {"pixels of the files": ("planning.extent=0",), "as planned": ()}


def dice(data: Path, into: Path, seed: int, steps: int, changes: tuple[str, ...]) -> float:
    """Mean Dice of the validation cases of a run."""
    hyoid.plan(data, into=into, steps=steps, seed=seed, changes=(*SAME, *changes))
    hyoid.train(into)
    hyoid.predict(into)
    return hyoid.evaluate(into).summary("lesion", "dice").spread.mean


def main() -> None:
    """Print and keep the Dice of every run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("into", type=Path)
    parser.add_argument("--cases", type=int, default=40)
    parser.add_argument("--size", type=int, default=283, help="edge of a photograph of middle resolution, pixels")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--json", type=Path)
    args = parser.parse_args()
    data = write_phantoms(args.into / "data", "photographs", args.cases, args.size)
    found: dict[str, list[float]] = {way: [] for way in WAYS}
    for seed in args.seeds:
        for way, changes in WAYS.items():
            run = args.into / f"{way.replace(' ', '_')}_{seed}"
            found[way].append(dice(data, run, seed, args.steps, changes))
            print(f"seed {seed}, {way}: Dice {found[way][-1]:.3f}", flush=True)
    if args.json:
        args.json.write_text(json.dumps(vars(args) | {"dice": found}, default=str, indent=1) + "\n", "utf-8")


if __name__ == "__main__":
    run_plainly(main)
