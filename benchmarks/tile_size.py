"""What larger tiles and less overlap save and cost: Dice of validation cases and seconds, with one trained net.

    OMP_NUM_THREADS=1 python benchmarks/tile_size.py DATA [--sets isbi2012_em ...] [--minutes 3]
        [--into benchmarks/results/tile_size.json]

DATA holds sets with images/ and labels/. For each set hyoid plans and learns for some minutes of one core, then answers
the prepared validation cases without mirrored tiles: in patches with half overlap, in tiles that grow up to two patches
(the default) or four, and both with a quarter of a patch as overlap. Time is that of the processor.
"""

import argparse
import json
import math
import tempfile
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from plainly import run_plainly

WAYS = {
    "patches": {"whole": 1, "overlap": 0.5},
    "two patches": {"whole": 2, "overlap": 0.5},
    "four patches": {"whole": 4, "overlap": 0.5},
    "patches, a quarter": {"whole": 1, "overlap": 0.25},
    "two patches, a quarter": {"whole": 2, "overlap": 0.25},
}
SETS = ("isbi2012_em", "vnc_sstem", "stare_vessels", "ms_lesions")


def answered(data: Path, minutes: float) -> dict[str, dict[str, Any]]:
    """Mean Dice of the structures, seconds, and the tile of the first case, each way."""
    from hyoid.preparation.store import Store
    from hyoid.run_folder import RunFolder
    from hyoid.training.validation import case_score, mean_scores
    from hyoid.workflow import verbs
    from hyoid.workflow.answers import predictor_of

    found = {}
    with tempfile.TemporaryDirectory() as place:
        run = Path(place) / "run"
        verbs.plan(data, into=run, minutes=minutes, threads=1)
        store = Store.open(verbs.prepare(run), RunFolder.open(run).split.validation)
        verbs.train(run)
        for way, settings in WAYS.items():
            changes = [f"prediction.{name}={value}" for name, value in settings.items()]
            predictor = predictor_of(RunFolder.open(run), [*changes, "prediction.mirror=false"])
            begin = time.process_time()
            scores = {case: case_score(predictor, store, case) for case in store.ids}
            seconds = time.process_time() - begin
            shapes = [np.asarray(store.image(case)).shape[1:] for case in store.ids]
            tilings = [predictor.tiling(shape) for shape in shapes]
            found[way] = {
                "dice": round(predictor.task.decides.of(mean_scores(scores)), 4),
                "seconds": round(seconds, 2),
                "seen": round(sum(t.seen * t.num_tiles for t in tilings) / sum(map(math.prod, shapes)), 2),
                "tile": list(tilings[0].tile),
            }
    return found


def table(found: dict[str, dict[str, dict[str, Any]]]) -> Iterator[str]:
    """A line for each set: Dice and seconds of each way."""
    yield f"| set | {' | '.join(WAYS)} |"
    yield "|---" * (1 + len(WAYS)) + "|"
    for name, ways in found.items():
        yield (
            f"| {name} | " + " | ".join(f"{ways[way]['dice']:.3f}, {ways[way]['seconds']:.1f} s" for way in WAYS) + " |"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--sets", nargs="+", default=list(SETS))
    parser.add_argument("--minutes", type=float, default=3)
    parser.add_argument("--into", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    time.perf_counter = time.process_time  # the clock of training counts work, not waiting
    found = json.loads(options.into.read_text()) if options.into and options.into.exists() else {}
    for name in options.sets:
        if name not in found:
            found[name] = answered(options.data / name, options.minutes)
            if options.into:
                options.into.write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(table(found)))


if __name__ == "__main__":
    run_plainly(main)
