"""The constants of the planner's rule, fitted to the runs of `budget.py --study`.

    python benchmarks/budget_fit.py DATA benchmarks/results/budget_study.json [--draws 4000]

For every set and time the study has a few plans and the Dice that each led to. Constants are sought with which the rule
ranks these plans as their Dice does: a pair in the wrong order costs as much as its difference in Dice (0.05 at most),
and constants cost something for leaving their present place, since the runs are few. Prints, for the present and the
fitted constants, how much Dice the plan that the rule likes best loses against the best one, and the same for constants
that were fitted without the set they are judged on.
"""

import argparse
import json
import tempfile
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from budget import SETS, spread_out
from plainly import run_plainly

from hyoid.datasets.dataset import open_dataset
from hyoid.planning import learning
from hyoid.planning.candidates import learning_facts
from hyoid.planning.fingerprint import measure_dataset
from hyoid.planning.frame import frame_of
from hyoid.planning.learning import Candidate, Facts, expected_learning
from hyoid.planning.settings import PlanningSettings

NAMES = ("STEPS", "WIDTH", "BATCH", "VIEW", "DETAIL")
Groups = dict[tuple[str, float], list[tuple[Candidate, float]]]
"""Plans and their Dice by set and minutes."""


def facts_of(name: str, data: Path) -> Facts:
    """What the planner knows of the training cases of a set."""
    with tempfile.TemporaryDirectory() as place:
        spread_out(SETS[name], data, Path(place))
        fingerprint = measure_dataset(open_dataset(Path(place) / "dev"), 0)
    return learning_facts(fingerprint, frame_of(fingerprint, PlanningSettings()))


def groups_of(rows: list[dict[str, Any]]) -> Groups:
    found: Groups = {}
    for row in rows:
        plan = row["plan"]
        fields = {key: plan[key] for key in ("spacing_mm", "patch", "batch", "channels", "precision")}
        candidate = Candidate(dims=len(plan["patch"]), net="unet", seconds_per_step=row["seconds_per_step"], **fields)
        found.setdefault((row["set"], row["minutes"]), []).append((candidate, row["mean"]))
    return found


def expected(constants: np.ndarray, groups: Groups, facts: dict[str, Facts]) -> dict[tuple[str, float], np.ndarray]:
    """Logarithm of what the rule expects of each plan."""
    for name, value in zip(NAMES, constants, strict=True):
        setattr(learning, name, float(value))
    return {
        (name, minutes): np.log([expected_learning(plan, facts[name], 60 * minutes) for plan, _ in group])
        for (name, minutes), group in groups.items()
    }


def disorder(constants: np.ndarray, start: np.ndarray, groups: Groups, facts: dict[str, Facts]) -> float:
    """What pairs in the wrong order cost, and the way from the present constants."""
    cost = 0.02 * float(np.square(np.log(constants / start)).sum())
    for key, hopes in expected(constants, groups, facts).items():
        dice = [mean for _, mean in groups[key]]
        for a, b in combinations(range(len(dice)), 2):
            better = np.sign(dice[a] - dice[b]) * (hopes[a] - hopes[b])
            cost += min(0.05, abs(dice[a] - dice[b])) * float(np.log1p(np.exp(-20 * better)))
    return cost


def fitted(groups: Groups, facts: dict[str, Facts], start: np.ndarray, draws: int) -> np.ndarray:
    """Constants by random steps that narrow."""
    draw, best = np.random.default_rng(0), start
    least = disorder(best, start, groups, facts)
    for index in range(draws):
        tried = best * np.exp(draw.normal(0, 0.5 * (1 - index / draws) + 0.02, len(best)))
        if (cost := disorder(tried, start, groups, facts)) < least:
            best, least = tried, cost
    return best


def lost(constants: np.ndarray, groups: Groups, facts: dict[str, Facts]) -> dict[tuple[str, float], float]:
    """Dice that the plan which the rule likes best loses against the best one."""
    hopes = expected(constants, groups, facts)
    dice = {key: [mean for _, mean in group] for key, group in groups.items()}
    return {key: max(dice[key]) - dice[key][int(np.argmax(hopes[key]))] for key in groups}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("study", type=Path)
    parser.add_argument("--draws", type=int, default=4000)
    options = parser.parse_args()
    groups = groups_of(json.loads(options.study.read_text()))
    facts = {name: facts_of(name, options.data) for name in {name for name, _ in groups}}
    start = np.array([getattr(learning, name) for name in NAMES])
    best = fitted(groups, facts, start, options.draws)
    found = {"present": lost(start, groups, facts), "fitted": lost(best, groups, facts), "others": {}}
    for name in facts:
        others = {key: group for key, group in groups.items() if key[0] != name}
        away = fitted(others, facts, start, options.draws)
        found["others"] |= lost(away, {key: group for key, group in groups.items() if key[0] == name}, facts)
    for told, constants in (("present", start), ("fitted", best)):
        print(told, ", ".join(f"{name} {value:.3g}" for name, value in zip(NAMES, constants, strict=True)))
    print(
        "\n| set | minutes | plans | lost now | lost, fitted | lost, fitted on the others |\n|---|---|---|---|---|---|"
    )
    for key in sorted(groups):
        cells = " | ".join(f"{found[told][key]:.3f}" for told in ("present", "fitted", "others"))
        print(f"| {key[0]} | {key[1]:g} | {len(groups[key])} | {cells} |")


if __name__ == "__main__":
    run_plainly(main)
