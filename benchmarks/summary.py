"""Every goal of the benchmarks beside what was seen, from the JSON files that they write.

    python benchmarks/summary.py [FOLDER]

FOLDER is benchmarks/results when none is given. Goals whose file is not there are left out. The table of
docs/benchmarks/index.md is this one.
"""

import argparse
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plainly import run_plainly

RESULTS = Path(__file__).parent / "results"
Found = dict[str, Any]


@dataclass(frozen=True)
class Goal:
    """What a benchmark is to show.

    Attributes:
        page: Its page in docs/benchmarks, and its file of results.
        what: What is measured.
        bound: The goal.
        seen: The figure, of what the file holds.
        least: Whether the figure should be at least the bound, rather than below it.
        unit: After the figures.
        limits: What keeps it from being better; shares are those of a core's peaks.
    """

    page: str
    what: str
    bound: float
    seen: Callable[[Found], float]
    least: bool = True
    unit: str = "x"
    limits: str = ""

    def row(self, found: Found) -> str:
        """A line of the table."""
        figure = self.seen(found)
        reached = figure >= self.bound if self.least else figure < self.bound
        sign, unit = (">=" if self.least else "<"), f" {self.unit}".rstrip() if self.unit != "x" else "x"
        told = f"{figure:.3g}{unit}"
        return (
            f"| [{self.page}]({self.page}.md) | {self.what} | {sign} {self.bound:g}{unit} "
            f"| {told if reached else f'**{told}, missed**'} | {self.limits} |"
        )


def over(values: Found, ours: str, *theirs: str) -> float:
    """The best of the others over ours, of values or of their seconds."""
    plain = {who: one["seconds"] if isinstance(one, dict) else one for who, one in values.items()}
    return min(plain[who] for who in theirs) / plain[ours]


def augmented(found: Found) -> float:
    times = {who: one["all"] for who, one in found["milliseconds"].items()}
    return over(times, "hyoid", *(set(times) - {"hyoid"}))


AUTO, IN_PATCHES = "hyoid, auto, bf16-mixed", "hyoid, auto, bf16-mixed, tiles of a patch"


def inferred(found: Found, who: str = AUTO) -> float:
    return over(found["cases"], who, "MONAI, torch, 32-true", "nnU-Net, torch, 32-true")


def dice_apart(found: Found) -> float:
    """In equal tiles, from the peer whose Dice is further away."""
    ours = found["cases"][IN_PATCHES]["dice"]
    return float(max(abs(ours - one["dice"]) for who, one in found["cases"].items() if not who.startswith("hyoid")))


def by_run(found: list[Found]) -> dict[tuple[str, float], dict[str, float]]:
    """Mean Dice of everyone for each set and time."""
    table: dict[tuple[str, float], dict[str, float]] = {}
    for row in found:
        table.setdefault((row["set"], row["minutes"]), {})[row["who"]] = row["mean"]
    return table


def ahead(minutes: float) -> Callable[[Any], float]:
    """The least lead over the best of the others after a time, of the sets for which all were measured so long."""

    def lead(found: list[Found]) -> float:
        rows = [row for (_, time), row in by_run(found).items() if time == minutes and "hyoid" in row and len(row) > 1]
        return min(row["hyoid"] - max(mean for who, mean in row.items() if who != "hyoid") for row in rows)

    return lead


def sooner(found: list[Found]) -> float:
    """In how much less than the longest time of the others hyoid was above the best of them, at worst."""
    table, least = by_run(found), []
    for name in {name for name, _ in table}:
        rows = {minutes: row for (of, minutes), row in table.items() if of == name}
        longest = max(minutes for minutes, row in rows.items() if len(row) > 1 or "hyoid" not in row)
        best = max(mean for row in rows.values() for who, mean in row.items() if who != "hyoid")
        least.append(longest / min(minutes for minutes, row in rows.items() if row.get("hyoid", 0) >= best))
    return min(least)


def a_tile(found: Found) -> float:
    rows = [row for row in found["rows"] if row["work"] == "prediction" and row["classes"] == 2]
    rate = {row["edge"]: row["tiles_per_second"] for row in rows}
    return float(rate[128] / rate[256])


GOALS = (
    Goal(
        "augmentation",
        "patches/s, best of MONAI, TorchIO, batchgeneratorsv2",
        5,
        augmented,
        limits="16 scattered reads a voxel; 2.8 % of bandwidth, 5 % of arithmetic",
    ),
    Goal(
        "resample",
        "cubic splines, scikit-image",
        7,
        lambda f: over(f["tasks"]["cubic"], "hyoid", "scikit-image"),
        limits="14 % of bandwidth, 9 % of arithmetic",
    ),
    Goal(
        "resample",
        "linear, torch",
        3,
        lambda f: over(f["tasks"]["linear"], "hyoid", "torch"),
        limits="26 % of bandwidth; a third of the time is new memory",
    ),
    Goal(
        "tiles",
        "time outside the net",
        1,
        lambda f: 100 * f["time"]["hyoid"]["outside"],
        least=False,
        unit="%",
        limits="exponentials of 12 million logits a tile",
    ),
    Goal(
        "tiles",
        "memory at 105 classes, of MONAI's",
        0.2,
        lambda f: over({who: one["105"]["megabytes"] for who, one in f["memory"].items()}, "MONAI", "hyoid"),
        least=False,
        limits="the maps inside the net: 0.07 of it",
    ),
    Goal(
        "infer",
        "file to file, `--backend auto`, MONAI and nnU-Net",
        4,
        inferred,
        limits="92 % of arithmetic in bfloat16",
    ),
    Goal(
        "infer",
        "the same in tiles of a patch, as theirs",
        4,
        lambda f: inferred(f, IN_PATCHES),
        limits="all of arithmetic in bfloat16",
    ),
    Goal(
        "infer",
        "Dice apart in these tiles, either way",
        0.001,
        dice_apart,
        least=False,
        unit="",
        limits="bfloat16, and how tiles are weighed",
    ),
    Goal(
        "train",
        "steps/s, nnU-Net",
        2,
        lambda f: over(f["runs"], "hyoid, bf16-mixed", "nnU-Net, 32-true"),
        limits="50 % of arithmetic in bfloat16",
    ),
    Goal(
        "train",
        "waiting for data",
        5,
        lambda f: 100 * f["runs"]["hyoid, bf16-mixed"]["waiting"],
        least=False,
        unit="%",
        limits="threads cut patches while the net computes",
    ),
    Goal(
        "budget",
        "least lead in Dice after 3 minutes, best of nnU-Net and MONAI",
        0,
        ahead(3),
        unit="",
        limits="few steps: arithmetic",
    ),
    Goal("budget", "the same after 10 minutes", 0, ahead(10), unit="", limits="few steps: arithmetic"),
    Goal("budget", "the same after 30 minutes", 0, ahead(30), unit="", limits="not known: one seed"),
    Goal(
        "budget",
        "the same Dice in less time",
        5,
        sooner,
        limits="the fetal heads: 0.956 after 3 minutes, 0.968 after 6; MONAI 0.958 after 30",
    ),
    Goal(
        "metrics",
        "HD95, NSD and ASSD of 13 organs, MONAI",
        3,
        lambda f: over(f["process_seconds"], "hyoid", "MONAI"),
        limits="3 % of bandwidth; a branch for each voxel",
    ),
    Goal(
        "metrics",
        "the same, surface-distance",
        1.5,
        lambda f: over(f["process_seconds"], "hyoid", "surface-distance"),
        limits="the same",
    ),
    Goal(
        "metrics",
        "memory, of MONAI's",
        0.1,
        lambda f: over(f["grown_mb"], "MONAI", "hyoid"),
        least=False,
        limits="the box of one structure",
    ),
    Goal(
        "metrics",
        "a folder, nnUNetv2_evaluate_folder",
        10,
        lambda f: over({who: one["process_seconds"] for who, one in f["folders"].items()}, "hyoid", "nnU-Net"),
        limits="unpacking of files",
    ),
    Goal(
        "start",
        "`hyoid --help`",
        0.5,
        lambda f: f["seconds"]["hyoid --help"],
        least=False,
        unit="s",
        limits="imports; not taken apart",
    ),
    Goal(
        "start",
        "one small image, outside the net",
        3,
        lambda f: f["seconds"]["the same but for the net"],
        least=False,
        unit="s",
        limits="importing torch, 1.13 s of it",
    ),
    Goal(
        "huge",
        "40,000 x 40,000 RGB, largest memory",
        3,
        lambda f: f["rows"][0]["memory_gb"],
        least=False,
        unit="GB",
        limits="a ring of one tile's thickness",
    ),
    Goal(
        "huge",
        "1024^3, largest memory",
        3,
        lambda f: f["rows"][1]["memory_gb"],
        least=False,
        unit="GB",
        limits="the same",
    ),
    Goal(
        "scale",
        "time a tile of 8 times the voxels",
        1.1,
        a_tile,
        least=False,
        limits="31 % of arithmetic with so narrow a net",
    ),
)


def table(folder: Path) -> Iterator[str]:
    """The lines of the table."""
    yield "| benchmark | what, beside whom | goal | seen | what limits it |"
    yield "|---|---|---|---|---|"
    for goal in GOALS:
        file = folder / f"{goal.page}.json"
        if file.is_file():
            try:
                yield goal.row(json.loads(file.read_text()))
            except (KeyError, ValueError):
                continue  # a run without that peer, time or size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, nargs="?", default=RESULTS)
    folder = parser.parse_args().folder
    if not any(folder.glob("*.json")):
        parser.error(f"{folder} has no results; `make bench` writes some to runs/bench.")
    print("\n".join(table(folder)))


if __name__ == "__main__":
    run_plainly(main)
