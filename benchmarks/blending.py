"""What blending logits costs beside blending probabilities: Dice of validation cases and seconds, with trained nets.

    OMP_NUM_THREADS=1 python benchmarks/blending.py RUN [RUN ...] [--into benchmarks/results/blending.json]

RUN is the folder of a training, as `hyoid run DATA --into RUN --minutes 3 --threads 1` leaves it. Each net answers its
prepared validation cases as it does of itself (2D nets average mirrored tiles) and without mirrored tiles; once what is
averaged over tiles and mirrors is logits, once probabilities. Time is that of the processor.
"""

import argparse
import json
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from plainly import run_plainly
from torch import nn


class Activated(nn.Module):
    """A net that gives probabilities."""

    def __init__(self, net: nn.Module, task: Any) -> None:
        super().__init__()
        self.net, self.task = net, task

    def forward(self, tiles: torch.Tensor) -> tuple[torch.Tensor]:
        return (self.task.activate(self.net(tiles)[0]),)


@dataclass
class AsTheyAre:
    """A task whose net gives probabilities already."""

    channels: int

    def activate(self, probabilities: torch.Tensor) -> torch.Tensor:
        return probabilities


FIRST = 4
"""Cases whose probabilities are looked at."""


def surprised(maps: np.ndarray, target: torch.Tensor) -> float:
    """Mean of -log p of the annotated class over the voxels that are annotated: maps (K, *S), class indices (*S)."""
    known = target >= 0
    right = torch.from_numpy(maps).gather(0, target.clamp(min=0)[None])[0][known]
    return float(-right.clamp(min=1e-6).log().mean())


def measured(run: Path, mirror: bool) -> dict[str, Any]:
    """Mean Dice of the structures, surprise (mean of -log of the annotated class's probability) and seconds each way.

    Surprise and the share of voxels that are decided alike are those of the first cases.
    """
    from hyoid.experiment import RunFolder
    from hyoid.prediction.backends import Backend
    from hyoid.prediction.evidence import Evidence
    from hyoid.preparation.store import Store
    from hyoid.training.validation import case_dice, mean_dice, overall
    from hyoid.workflow import verbs
    from hyoid.workflow.answers import predictor_of

    folder = RunFolder.open(run)
    store = Store.open(verbs.prepare(run), folder.split.validation)
    found: dict[str, Any] = {"cut": False}
    answers: dict[str, list[np.ndarray]] = {}
    for way in ("probabilities", "logits"):
        predictor = predictor_of(folder, [] if mirror else ["prediction.mirror=false"])
        if way == "probabilities":
            net, count = Activated(predictor.net, predictor.task), predictor.task.channels
            predictor.evidence = Evidence(net, count, None, AsTheyAre(count))  # type: ignore[arg-type]
            predictor.backend = Backend(predictor.evidence)
        begin = time.process_time()
        scores = {case: case_dice(predictor, store, case) for case in store.ids}
        seconds = time.process_time() - begin
        found[way] = {"dice": round(overall(mean_dice(scores)), 5), "seconds": round(seconds, 2)}
        maps = {case: predictor.predict_prepared(np.asarray(store.image(case))) for case in store.ids[:FIRST]}
        task = predictor_of(folder).task
        answers[way] = [task.decode(some) for some in maps.values()]
        surprise = [
            surprised(some, task.encode(torch.from_numpy(np.array(store.labels(case))))[0])
            for case, some in maps.items()
        ]
        found[way]["surprise"] = round(float(np.mean(surprise)), 5)
        found["cut"] |= any(
            predictor.tiling(np.asarray(store.image(case)).shape[1:]).num_tiles > 1 for case in store.ids
        )
    pairs = zip(answers["probabilities"], answers["logits"], strict=True)
    found["alike"] = round(float(np.mean([(a == b).mean() for a, b in pairs])), 6)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", type=Path, nargs="+")
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    found = {}
    print(
        "| run | mirrored | Dice, probabilities | Dice, logits | surprise | surprise | s | s | alike, % |\n|"
        + "---|" * 9
    )
    for run in options.runs:
        found[run.name] = {str(mirror): measured(run, mirror) for mirror in (False, True)}
        for mirror, row in found[run.name].items():
            one, two = row["probabilities"], row["logits"]
            print(
                f"| {run.name} | {mirror} | {one['dice']:.4f} | {two['dice']:.4f} | "
                f"{one['surprise']:.4f} | {two['surprise']:.4f} | {one['seconds']:.1f} | "
                f"{two['seconds']:.1f} | {100 * row['alike']:.2f} |",
                flush=True,
            )
    if options.into:
        options.into.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    run_plainly(main)
