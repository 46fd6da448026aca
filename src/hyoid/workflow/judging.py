"""The verbs that judge: evaluate answers, compare runs."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from ..core.errors import ConfigError
from ..core.machine import cores
from ..core.progress import log
from .signatures import verb

if TYPE_CHECKING:
    from ..evaluation.comparison import Comparison
    from ..evaluation.report import Report


@verb(instead="`hyoid.metrics.measure` compares arrays.")
def evaluate(
    predictions: str | Path,
    references: str | Path | None = None,
    *,
    into: str | Path | None = None,
    missing: Literal["error", "worst"] = "error",
    baseline: bool = False,
    test: bool = False,
    changes: Sequence[str] = (),
) -> Report:
    """Measure predictions against references, with intervals by patient.

    Args:
        predictions: A run whose validation cases are predicted, or a folder of label images.
        references: Folder of reference label images, paired by name; not needed for a run.
        into: Folder for cases.csv, report.json and report.html; the run itself when none. With another folder
            nothing is written into the run.
        missing: What a reference without prediction is: an error, or the worst case, as if nothing had been found.
        baseline: Also judge classical methods on the validation cases of the run.
        test: Predict and judge the cases that the data set marks as test, which nothing has seen so far. The report
            goes to RUN/test, and the run remembers each use: who chooses by these cases makes them validation cases.
        changes: A setting to change for this once, such as evaluation.metrics=[dice,aji]; may be given many times.

    Returns:
        The report.
    """
    from ..evaluation.folders import pair_folders
    from ..experiment import Experiment
    from ..reporting.page import write_page
    from ..reporting.verdict import story, verdict_of
    from ..run_folder import EnsembleFolder, RunFolder, open_run
    from .answers import fingerprint_of, judge_validation, refuse_stale
    from .own_cases import prepare_cases
    from .question import check_no_run, check_report_place, refuse_twice
    from .rivals import judge_baselines
    from .sources import tell_changes
    from .story import of_folders
    from .testing import judge_test

    other = [change for change in changes if not change.startswith("evaluation.")]
    if other:
        raise ConfigError(f"{other[0]}: an evaluation can change settings under evaluation. only.")
    refuse_twice({}, changes)
    if references is not None and RunFolder(Path(predictions)).is_run:
        raise ConfigError(
            f"{predictions}: `hyoid evaluate {predictions}` alone judges a run; to judge its answers by other "
            f"references, name {Path(predictions) / 'predictions'}."
        )
    elsewhere = into is not None and Path(into).resolve() != Path(predictions).resolve()
    if into is not None and elsewhere:
        check_no_run(Path(into), "the files of the report")
        described = open_run(predictions).dataset.root if references is None else Path(references)
        check_report_place(Path(into), described)
    if baseline and (references is not None or isinstance(open_run(predictions), EnsembleFolder)):
        raise ConfigError("--baseline is for a run: classical methods learn from its training cases.")
    if test:
        if references is not None or baseline or missing == "worst":
            raise ConfigError("--test judges a run alone: leave out references, --baseline and --missing.")
        return judge_test(open_run(predictions), None if into is None else Path(into), changes)
    if references is not None:
        settings = Experiment(data=str(references)).changed(tuple(changes)).evaluation
        workers = cores()
        paired = pair_folders(predictions, references, missing=missing, workers=workers)
        found = paired.judged(settings, workers)
        if into is not None:
            told = of_folders(predictions, references, paired)
            found.write(into, story(found, told))
            write_page(into, found, told)
            verdict_of(found, told).tell()
        return found
    if missing == "worst":
        raise ConfigError(
            f"--missing worst is for two folders; `hyoid predict {predictions}` answers what a run lacks."
        )
    folder = open_run(predictions)
    if baseline and folder.task.kind != "labels":
        raise ConfigError(f"{folder.path}: --baseline is for labels; classical methods give no images or fields.")

    def timed(stage: str) -> AbstractContextManager[None]:
        return nullcontext() if elsewhere else folder.timed(stage)

    with nullcontext() if elsewhere else folder.alone():
        tell_changes(folder, "cases are judged as they are now")
        refuse_stale(folder, "predictions.json")
        with timed("evaluate"):
            found = judge_validation(folder, folder.workers, changes)
        store = None
        if baseline:
            with timed("prepare"):
                store = prepare_cases(folder)
        if folder.task.kind == "labels" and not isinstance(folder, EnsembleFolder):
            with timed("baseline" if baseline else "evaluate"):
                rivals = judge_baselines(folder, found.cases, found, folder.workers, store)
                found = replace(found, baselines=rivals)
        found.write(Path(into or folder.path))
        if not elsewhere:
            folder.write_json("judged.json", {"made_by": fingerprint_of(folder)})
    return found


@verb()
def compare(runs: Sequence[str | Path], *, into: str | Path | None = None) -> Comparison:
    """Say which of several evaluated runs is better, by how much, and how sure that is.

    The cases, structures and metrics that all have are compared, patient by patient. Runs that differ by their seed
    alone are pooled: a case gets the mean over seeds, and the spread of seeds is shown beside the interval.

    Args:
        runs: Two or more folders that `hyoid evaluate` or `hyoid run` wrote; differences are from the earlier one.
        into: Folder for comparison.html and comparison.json.

    Returns:
        The comparison.
    """
    from ..evaluation.comparison import Comparison
    from ..evaluation.report import Report
    from ..reporting.comparison_page import write_comparison
    from .question import check_ours
    from .seeds import pools_of

    if into is not None:
        check_ours(Path(into), "comparison.json", "comparison.html")
    folders = [Path(run) for run in runs]
    names = [folder.absolute().name for folder in folders]
    if len(set(names)) < len(names):
        names = ["/".join(folder.absolute().parts[-2:]) for folder in folders]
    if len(set(names)) < len(names):
        raise ConfigError(f"Each run is named once; got {', '.join(names)}.")
    by_name = dict(zip(names, folders, strict=True))
    pools, notes = pools_of(by_name)
    for note in notes:
        log.warning(note)
    if len(pools) == 1 and len(folders) > 1:
        log.info("%s differ by their seed alone: what differs is chance.", " and ".join(names))
        pools = {name: (name,) for name in names}
    found = Comparison.of_pools(
        {name: {run: Report.read(by_name[run]) for run in runs} for name, runs in pools.items()}
    )
    found = replace(found, notes=(*found.notes, *notes))
    if into is not None:
        found.write(into)
        write_comparison(into, found)
    return found
