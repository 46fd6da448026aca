"""The verbs that do everything: from data to report, on one's own images or on generated ones."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.progress import log
from .judging import evaluate
from .signatures import GOES_ON, verb
from .verbs import plan, predict, prepare, reported, train


@verb(gives="page", remains=GOES_ON)
def run(
    data: str | Path,
    *,
    into: str | Path,
    minutes: float | None = None,
    steps: int | None = None,
    memory: float | None = None,
    threads: int | None = None,
    seed: int | None = None,
    start_from: str | Path | None = None,
    baseline: bool = False,
    changes: Sequence[str] = (),
) -> Path:
    """Do everything: plan, prepare, train, predict the validation cases, evaluate, report.

    Stopped at any moment, the same command goes on where it was.

    Args:
        data: Folder of annotated images, dataset.json, or manifest (CSV or YAML).
        into: Folder for the run; made when it is missing.
        minutes: Wall time for training with its validation; 20 when neither minutes nor steps are given.
        steps: Number of training steps instead of minutes; then the same seed, machine and number of threads give the
            same weights.
        memory: Gigabytes that training may use; 70 % of what is free when not given.
        threads: Threads of the processor that may be used; all cores when not given.
        seed: Seed of the first weights and every random draw, 0 when not given; `split_seed` is that of the split.
        start_from: A run, or a safetensors file, whose weights the net starts with; that of a run is taken as it is.
        baseline: Also judge classical methods on the validation cases; the net must beat them.
        changes: A setting to change, such as training.optimiser.name=sgd; may be given many times.

    Returns:
        The path of report.html.
    """
    from ..run_folder import RunFolder
    from .forecast import comparison
    from .question import check_place, refuse_twice, with_options

    folder = RunFolder(Path(into))
    check_place(folder, Path(data))
    refuse_twice({"start_from": start_from}, changes)
    changes = with_options(changes, start_from=None if start_from is None else Path(start_from).resolve())
    with folder.logged():
        limits = {"minutes": minutes, "steps": steps, "memory": memory, "threads": threads}
        for line in plan(data, into=into, **limits, seed=seed, changes=changes).describe():  # type: ignore[arg-type]
            log.info(line)
        prepare(into)
        train(into)
        predict(into)
        evaluate(into, baseline=baseline)
        page, verdict = reported(into)
        log.info(comparison(folder))
        verdict.tell()
    return page


@verb(gives="lines")
def demo(*, into: str | Path = Path("runs/demo"), minutes: float = 1.0, seed: int = 0) -> list[str]:
    """Run everything on two generated data sets: touching cells in 2D and organs in 3D.

    Args:
        into: Folder for the data and the runs.
        minutes: Training time for each of the two.
        seed: Seed of the data and the runs.

    Returns:
        The Dice of each structure and the path of each report.
    """
    from ..datasets.phantoms import write_phantoms
    from ..evaluation.report import Report

    told = []
    for kind in ("cells", "organs"):
        data = write_phantoms(Path(into) / "data" / kind, kind, num_cases=20, seed=seed)
        page = run(data, into=Path(into) / kind, minutes=minutes, seed=seed)
        found = Report.read(page.parent)
        scores = [f"{one.structure} {one.spread.mean:.3f}" for one in found.summaries if one.metric == "dice"]
        told.append(f"{kind}: Dice {', '.join(scores)}  {page.resolve()}")
    return told
