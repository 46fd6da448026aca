"""What averaging logits over tiles costs beside averaging probabilities, with trained nets.

    OMP_NUM_THREADS=1 python benchmarks/blending.py RUN [RUN ...] [--into benchmarks/results/blending.json]

RUN is the folder of a training, as `hyoid run DATA --into RUN --minutes 3 --threads 1` leaves it. Each net answers its
prepared validation cases, without mirrored tiles and, where that is its way, with them: once with probabilities
averaged over tiles and mirrors, as nets of few classes do, once with logits, as nets of many classes do.
"""

import argparse
import json
import warnings
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plainly import run_plainly

FIRST = 4
"""Cases whose probabilities are looked at."""


def averaging_logits(predictor: Any) -> None:
    """Make a predictor average logits; one that averages features does so already."""
    from hyoid.engines.evidence import Evidence

    if predictor.evidence.head is None:
        task = copy(predictor.task)
        task.averages = "logits"
        predictor.evidence = Evidence(task.channels, None, task)


def surprise(maps: np.ndarray, target: torch.Tensor) -> float:
    """Mean of -log p of the annotated class over the voxels that are annotated: maps (K, *S), class indices (*S)."""
    known = target >= 0
    right = torch.from_numpy(maps).gather(0, target.clamp(min=0)[None])[0][known]
    return float(-right.clamp(min=1e-6).log().mean())


def measured(run: Path, mirror: bool) -> dict[str, Any]:
    """Mean Dice of the structures and mean surprise each way; of the first cases the share of equal labels."""
    from hyoid.preparation.store import Store
    from hyoid.run_folder import RunFolder
    from hyoid.training.validation import case_score, mean_scores
    from hyoid.workflow import verbs
    from hyoid.workflow.answers import predictor_of

    folder = RunFolder.open(run)
    store = Store.open(verbs.prepare(run), folder.split.validation)
    found: dict[str, Any] = {}
    answers: list[list[np.ndarray]] = []
    for way in ("probabilities", "logits"):
        predictor = predictor_of(folder, [f"prediction.mirror={str(mirror).lower()}"])
        if way == "logits":
            averaging_logits(predictor)
        scores = {case: case_score(predictor, store, case) for case in store.ids}
        maps = [predictor.predict_prepared(np.asarray(store.image(case))) for case in store.ids[:FIRST]]
        targets = [predictor.task.encode(torch.tensor(np.array(store.labels(case))))[0] for case in store.ids[:FIRST]]
        found[way] = {
            "dice": round(predictor.task.decides.of(mean_scores(scores)), 5),
            "surprise": round(float(np.mean([surprise(*pair) for pair in zip(maps, targets, strict=True)])), 5),
        }
        answers.append([predictor.task.decode(some) for some in maps])
    found["alike"] = round(float(np.mean([(a == b).mean() for a, b in zip(*answers, strict=True)])), 6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    from hyoid.run_folder import RunFolder

    found: dict[str, dict[str, Any]] = {}
    print("| run | mirrored | Dice, probabilities | logits | surprise, probabilities | logits | labels alike, % |")
    print("|---" * 7 + "|")
    for run in options.runs:
        flat = RunFolder.open(run).experiment.decided.dims == 2
        found[run.name] = {str(mirror): measured(run, mirror) for mirror in ((False, True) if flat else (False,))}
        for mirror, row in found[run.name].items():
            one, two = row["probabilities"], row["logits"]
            print(
                f"| {run.name} | {'yes' if mirror == 'True' else 'no'} | {one['dice']:.4f} | {two['dice']:.4f} "
                f"| {one['surprise']:.4f} | {two['surprise']:.4f} | {100 * row['alike']:.2f} |",
                flush=True,
            )
    if options.into:
        options.into.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
