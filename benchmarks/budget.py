"""Dice after equal time: hyoid with its own plan, nnU-Net with its own plan, and MONAI's BasicUNet recipe.

    OMP_NUM_THREADS=1 python benchmarks/budget.py DATA [--minutes 3 10] [--into benchmarks/results/budget.json]
    OMP_NUM_THREADS=1 python benchmarks/budget.py DATA --study --minutes 1 3 --into benchmarks/results/budget_study.json

DATA holds msd_hippocampus (3D), dsb2018_nuclei and hc18_fetal_head (2D), each with images/, labels/ and cases.csv.
Three tenths of the patients (of the sorted ids those with index % 10 in 2, 5, 8) are seen by nobody during training;
everyone answers them as whole images without mirrored tiles, and is judged by the mean Dice of the structures.
Everyone trains on one core for as many minutes; planning, preparing and answering do not count. Time is that of the
processor with all threads of the process, so that a busy machine does not matter. hyoid keeps a fifth of the training
cases for its own validation, which counts as training time; its rivals learn from all of them.

With --study hyoid alone learns by its own plan and by plans of which one number was changed: what is lost against the
best choice in hindsight. What is in the file already is not run again.
"""

import argparse
import csv
import json
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from plainly import run_plainly


class Material(NamedTuple):
    """A data set of the comparison: its place, what a patient is called in cases.csv, and its structures."""

    folder: str
    group: str
    structures: tuple[str, ...]
    ending: str


SETS = {
    "hippocampus": Material("msd_hippocampus", "pair", ("anterior", "posterior"), ".nii.gz"),
    "nuclei": Material("dsb2018_nuclei", "case", ("nucleus",), ".png"),
    "hc18": Material("hc18_fetal_head", "patient", ("head",), ".png"),
}
WHO = ("hyoid", "nnU-Net", "MONAI")
CHANGES = ("auto", "narrow", "wide", "small batch", "large batch", "small patch", "large patch", "coarse")


class Run(NamedTuple):
    """Who learns what for how long, by the plan of the planner or by a changed one."""

    who: str
    set: str
    minutes: float
    change: str


def spread_out(material: Material, data: Path, folder: Path) -> None:
    """Write dev/ and holdout/ with images/ and labels/: class indices, and colours where one image has them."""
    import nibabel
    from PIL import Image

    source = data / material.folder
    with (source / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    groups = sorted({row[material.group] for row in rows})
    apart = {group for index, group in enumerate(groups) if index % 10 in (2, 5, 8)}
    for part, kept in (
        ("dev", [r for r in rows if r[material.group] not in apart]),
        ("holdout", [r for r in rows if r[material.group] in apart]),
    ):
        for name in ("images", "labels"):
            (folder / part / name).mkdir(parents=True)
        with (folder / part / "cases.csv").open("w", newline="") as file:
            table = csv.writer(file)
            table.writerows([("case", "patient"), *((row["case"], f"p{row[material.group]}") for row in kept)])
        for row in kept:
            for name in ("images", "labels"):
                path = source / name / (row["case"] + material.ending)
                target = folder / part / name / path.name
                if material.ending != ".png":
                    image = nibabel.load(path)
                    kind = np.float32 if name == "images" else np.uint8
                    nibabel.save(nibabel.Nifti1Image(np.asarray(image.dataobj, kind), image.affine), target)
                elif name == "images":
                    Image.open(path).convert("RGB" if material.folder == "dsb2018_nuclei" else "L").save(target)
                else:
                    Image.fromarray((np.asarray(Image.open(path)) > 0).astype(np.uint8)).save(target)


def read(path: Path) -> np.ndarray:
    """An image or a label map as an array."""
    import nibabel
    from PIL import Image

    return np.asarray(Image.open(path) if path.suffix == ".png" else nibabel.load(path).dataobj)


def judged(answers: Path, references: Path, structures: int) -> list[float]:
    """Mean Dice of each structure; a missed structure counts 0, one rightly absent 1."""
    scores = []
    for path in sorted(references.iterdir()):
        found, reference = read(answers / path.name), read(path)
        pairs = [(found == value, reference == value) for value in range(1, structures + 1)]
        scores.append([2 * (a & b).sum() / total if (total := a.sum() + b.sum()) else 1.0 for a, b in pairs])
    return [round(float(mean), 4) for mean in np.mean(scores, 0)]


def with_hyoid(material: Material, folder: Path, minutes: float, held: dict[str, Any]) -> dict[str, Any]:
    """`hyoid plan`, `prepare`, `train` and `predict`, with defaults but for mirrored tiles and what is held."""
    from hyoid.run_folder import RunFolder
    from hyoid.workflow import verbs

    named = "".join(f"{index}: {name}\n" for index, name in enumerate(material.structures, 1))
    (folder / "dev" / "labels.yaml").write_text(named)
    fixed = [f"planning.{name}={json.dumps(value)}" for name, value in held.items()]
    run = folder / "run"
    plan = verbs.plan(folder / "dev", into=run, minutes=minutes, threads=1, changes=["prediction.mirror=false", *fixed])
    verbs.prepare(run)
    verbs.train(run)
    with (run / "weights" / "curves.csv").open() as file:
        steps = int(list(csv.DictReader(file))[-1]["step"])
    verbs.predict(run, [folder / "holdout" / "images"], into=folder / "answers")
    chosen = plan.candidates[0]
    return {
        "steps": steps,
        "training_cases": len(RunFolder.open(run).split.training),
        "plan": {
            "patch": list(plan.patch),
            "batch": plan.batch,
            "channels": list(chosen.channels),
            "spacing_mm": list(chosen.spacing_mm),
            "precision": plan.precision,
        },
        "seconds_per_step": round(chosen.seconds_per_step, 4),
        "factors": {name: round(value, 4) for name, value in chosen.factors.items()},
    }


def changed(plan: dict[str, Any], change: str) -> dict[str, Any]:
    """A plan with one number twice or half as large; as many levels as the patch allows."""
    held = dict(plan)
    scale = {"small patch": 0.5, "large patch": 1.5, "coarse": 1 / 1.5}.get(change, 1.0)
    if change in ("narrow", "wide"):
        held["channels"] = [round(width * (2 if change == "wide" else 0.5)) for width in plan["channels"]]
    elif change in ("small batch", "large batch"):
        held["batch"] = 2 * plan["batch"] if change == "large batch" else max(1, plan["batch"] // 2)
    elif scale != 1:
        levels = len(plan["channels"])
        while scale * min(plan["patch"]) < 4 * 2 ** (levels - 1):
            levels -= 1
        divisor = 2 ** (levels - 1)
        held["channels"] = plan["channels"][:levels]
        held["patch"] = [round(scale * n / divisor) * divisor for n in plan["patch"]]
    if change == "coarse":
        held["spacing_mm"] = [1.5 * size for size in plan["spacing_mm"]]
    return held


def learn(who: str, name: str, minutes: float, held: dict[str, Any], data: Path) -> None:
    """Print the figures of one run as JSON."""
    import torch
    from budget_peers import with_monai, with_nnunet

    torch.set_num_threads(1)
    ways: dict[str, Callable[..., dict[str, Any]]] = {"hyoid": with_hyoid, "nnU-Net": with_nnunet, "MONAI": with_monai}
    material = SETS[name]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        spread_out(material, data, folder)
        begin = time.process_time()
        found = ways[who](material, folder, minutes, held)
        found["total_seconds"] = round(time.process_time() - begin, 1)
        dice = judged(folder / "answers", folder / "holdout" / "labels", len(material.structures))
        found |= {"dice": dice, "mean": round(float(np.mean(dice)), 4)}
    print("\n" + json.dumps(found))


def attempt(run: Run, held: dict[str, Any], data: Path) -> dict[str, Any]:
    """One run in a process of its own."""
    command = [sys.executable, __file__, str(data), "--learn", run.who, run.set, str(run.minutes), json.dumps(held)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{run}: {done.stderr[-2000:].strip()}")
    return {**run._asdict(), **json.loads(done.stdout.splitlines()[-1])}


def runs(options: argparse.Namespace) -> Iterator[Run]:
    """Who learns what for how long; in a study the planner's own choice first."""
    for minutes, name in product(options.minutes, options.sets):
        if options.study:
            yield from (Run("hyoid", name, minutes, change) for change in options.changes)
        else:
            yield from (Run(who, name, minutes, "auto") for who in options.who)


def table(rows: list[dict[str, Any]], study: bool) -> Iterator[str]:
    """Mean Dice, a line for each set and time."""
    columns, key = (CHANGES, "change") if study else (WHO, "who")
    found = {(row["set"], row["minutes"], row[key]): row for row in rows}
    yield f"| set | minutes | {' | '.join(columns)} |{' lost |' if study else ''}"
    yield f"|---|---|{'---|' * (len(columns) + study)}"
    for name, minutes in sorted({(row["set"], row["minutes"]) for row in rows}):
        here = [found.get((name, minutes, column)) for column in columns]
        cells = [f"{row['mean']:.3f}" if row else "" for row in here]
        if study and here[0]:
            cells.append(f"{max(row['mean'] for row in here if row) - here[0]['mean']:.3f}")
        yield f"| {name} | {minutes:g} | {' | '.join(cells)} |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--minutes", type=float, nargs="+", default=[3, 10])
    parser.add_argument("--sets", nargs="+", default=list(SETS), choices=SETS)
    parser.add_argument("--who", nargs="+", default=list(WHO), choices=WHO)
    parser.add_argument("--study", action="store_true")
    parser.add_argument("--changes", nargs="+", default=list(CHANGES), choices=CHANGES)
    parser.add_argument("--into", type=Path)
    parser.add_argument("--learn", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.learn:
        time.perf_counter = time.process_time  # every clock of the process counts work, not waiting
        who, name, minutes, held = options.learn
        learn(who, name, float(minutes), json.loads(held), options.data)
        return
    rows = json.loads(options.into.read_text()) if options.into and options.into.exists() else []
    for run in runs(options):
        found = {Run(*(row[field] for field in Run._fields)): row for row in rows}
        if run in found:
            continue
        held = {} if run.change == "auto" else changed(found[run._replace(change="auto")]["plan"], run.change)
        rows.append(attempt(run, held, options.data))
        print({key: rows[-1][key] for key in (*Run._fields, "mean", "steps")}, flush=True)
        if options.into:
            options.into.write_text(json.dumps(rows, indent=1) + "\n")
    print("\n".join(table(rows, options.study)))


if __name__ == "__main__":
    run_plainly(main)
