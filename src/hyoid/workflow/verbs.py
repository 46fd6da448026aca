"""The verbs: what a person asks for, from a folder of annotated images to a report.

Each verb takes plain arguments and gives a path or a word of the design; none prints. A verb whose work is
already done with the same settings leaves it as it is, so a command that was stopped goes on where it was.
Heavy libraries are imported when a verb is called.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ..core.duration import duration
from ..core.errors import ConfigError, DataError
from ..core.progress import log
from .signatures import GOES_ON, verb

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..datasets.inspect import Inspection
    from ..experiment import Experiment
    from ..planning.plan import Plan
    from ..reporting.verdict import Verdict
    from ..run_folder import RunFolder

MORE = dict.fromkeys(("minutes", "steps"), "The same command without --minutes and --steps goes on where this one was.")
PREDICTED = {
    "images": "Answers that were finished are kept; the same command begins anew and makes them again.",
    **GOES_ON,
}


@verb()
def inspect(path: str | Path) -> Inspection:
    """Show what a data set or a file holds: layout, pairs, geometry, values, problems.

    Args:
        path: A data set (folder, dataset.json, manifest) or one image.
    """
    from ..datasets.inspect import inspect_path

    return inspect_path(path)


@verb()
def plan(
    data: str | Path,
    *,
    into: str | Path,
    minutes: float | None = None,
    steps: int | None = None,
    memory: float | None = None,
    threads: int | None = None,
    seed: int | None = None,
    changes: Sequence[str] = (),
) -> Plan:
    """Measure the data and this machine, and decide how to train; nothing is trained yet.

    Args:
        data: Folder of annotated images, dataset.json, or manifest (CSV or YAML).
        into: Folder for the run; made when it is missing.
        minutes: Wall time for training with its validation; 20 when neither minutes nor steps are given.
        steps: Number of training steps instead of minutes; then the same seed, machine and number of threads give the
            same weights.
        memory: Gigabytes that training may use; 70 % of what is free when not given.
        threads: Threads of the processor that may be used; all cores when not given.
        seed: Seed of the first weights and every random draw, 0 when not given; `split_seed` is that of the split.
        changes: A setting to change, such as planning.preset=nnunet; may be given many times.

    Returns:
        The plan, also written to experiment.yaml, where it may be edited before training.
    """
    from ..run_folder import RunFolder
    from .question import ask, check_place, is_answered, with_options
    from .sources import refuse_changes, refuse_other_cases

    folder = RunFolder(Path(into))
    check_place(folder, Path(data))
    options = {"minutes": minutes, "steps": steps, "seed": seed, "memory": memory, "threads": threads}
    asked = ask(data, options, changes)
    changes = with_options(changes, memory=memory, threads=threads)
    with folder.alone():
        if is_answered(folder, asked, changes):
            refuse_other_cases(folder)
            if (folder.weights / "last.safetensors").is_file():
                refuse_changes(folder)
            return folder.plan
        return _planned(folder, asked, data, changes)


def _planned(folder: RunFolder, asked: Experiment, data: str | Path, changes: Sequence[str]) -> Plan:
    """Measure and decide, and write both into the run."""
    from ..core.sources import stamps_of
    from ..planning.fingerprint import measure_dataset
    from ..planning.planner import make_plan
    from .beginning import check_parts, earlier_plan, split_of
    from .forecast import forecast
    from .own_cases import before_of, with_before
    from .purpose import check_loss, metrics_of, task_of
    from .question import check_structures, plan_changes
    from .sources import remember

    with folder.timed("plan"):
        dataset = _opened(data, asked.patients_on_both_sides)
        task = task_of(asked, dataset)
        check_structures(asked, task.labels)
        check_loss(asked.training, task)
        with folder.timed("measure"):
            stamps: dict[str, Any] = {}
            note = lambda case_id: stamps.update({case_id: stamps_of(dataset.entry(case_id))})  # noqa: E731
            fingerprint = measure_dataset(dataset, asked.seed, asked.threads, note)
        split = split_of(asked, dataset, fingerprint)
        before = before_of(asked, fingerprint)
        budget, device = asked.training, asked.device
        earlier = earlier_plan(budget.start_from) if budget.start_from else None
        decided = make_plan(
            fingerprint, task, asked.planning, budget.seconds, budget.steps, device=device, earlier=earlier
        )
        decided = with_before(decided, before)
        decisions = {"labels": task.labels, "plan": decided.changed(plan_changes(changes), group="plan.")}
        finished = asked.model_copy(update=decisions | metrics_of(asked, task, changes))
        check_parts(finished, task)
        folder.write_json("dataset.json", dataset.to_dict())
        split.write(folder.path / "split.yaml")
        fingerprint.write(folder.path / "fingerprint.yaml")
        folder.write_json("asked.json", {"changes": list(changes), "experiment": asked.model_dump(mode="json")})
        finished.write(folder.experiment_file)
        remember(folder, stamps)
    for line in (*fingerprint.describe(), *forecast(folder)):
        log.info(line)
    return finished.decided


def _opened(data: str | Path, may_leak: bool) -> Dataset:
    """The data set, with what was decided and what may go wrong told; a split of patients is refused unless meant."""
    from ..datasets.dataset import open_dataset

    dataset = open_dataset(data)
    if dataset.grouping.leak and not may_leak:
        raise DataError(
            f"{data}: {dataset.grouping.leak} If this is meant, say --set patients_on_both_sides=true; scores will"
            " flatter."
        )
    for text in dataset.notes:
        log.info(text)
    for text in dataset.warnings:
        log.warning(text)
    return dataset


@verb(gives="folder", remains=GOES_ON)
def prepare(run: str | Path) -> Path:
    """Bring every case onto the plan's grid and intensities, and keep them where patches can be read quickly.

    Args:
        run: Folder of a planned run.

    Returns:
        The folder of prepared cases; runs that lie side by side share it.
    """
    from ..run_folder import RunFolder
    from .own_cases import prepare_cases
    from .sources import accept_changes, tell_changes

    folder = RunFolder.open(run)
    with folder.alone(), folder.timed("prepare"):
        if (folder.weights / "last.safetensors").is_file():
            tell_changes(folder, "the training that has begun does not go on with them")
        else:
            accept_changes(folder)
        return prepare_cases(folder).folder


@verb(gives="checkpoint", remains={**MORE, **GOES_ON})
def train(
    run: str | Path,
    *,
    minutes: float | None = None,
    steps: int | None = None,
    start_from: str | Path | None = None,
    resume: bool = True,
) -> Path:
    """Train the net of a planned run; goes on where an earlier training stopped.

    Args:
        run: Folder of a planned run.
        minutes: Minutes from now on, also for a training that is finished, which then goes on from its weights; what is
            left of the plan when not given.
        steps: Steps from now on, for a run that counts steps.
        start_from: A run, or a safetensors file, whose weights the net starts with, as far as they fit.
        resume: Go on from the last checkpoint, bit for bit; otherwise start anew.

    Returns:
        The checkpoint with the weights that predict.
    """
    from ..core.machine import machine
    from ..run_folder import RunFolder
    from ..training.checkpoint import read_checkpoint
    from ..training.clock import is_over
    from ..training.loop import fit
    from .beginning import check_ends, first_net, job_of, lengthened, started_from
    from .forecast import needed
    from .own_cases import prepare_cases
    from .question import check_device, check_edits
    from .sources import accept_changes, refuse_changes, tell_changes

    folder = RunFolder.open(run).ready()
    weights = folder.weights / "last.safetensors"
    with folder.alone():
        check_edits(folder)
        going_on = resume and weights.is_file()
        if start_from is not None:
            folder = started_from(folder, start_from, going_on).ready()
        if minutes is not None or steps is not None:
            folder = lengthened(folder, minutes, steps, going_on).ready()
        if going_on:
            refuse_changes(folder)
        else:
            accept_changes(folder)
        check_ends(folder)
        settings = folder.experiment.training
        if going_on and is_over(read_checkpoint(weights)[1], settings.steps or settings.seconds or 0):
            return weights
        check_device(folder.experiment.device, f"{folder.experiment_file}: ")
        with folder.timed("prepare"):
            store = prepare_cases(folder)
        with folder.timed("train"):
            outcome = fit(first_net(folder, going_on), job_of(folder, store, resume))
        training = asdict(outcome) | {"machine": machine()}
        folder.write_json("training.json", training)
        tell_changes(folder, "the net has learned from the former ones")
        log.info("Training took %d steps in %s; %s.", outcome.steps, duration(outcome.seconds), needed(training))
        return weights


@verb(gives="files", remains=PREDICTED, instead="`hyoid.load(run)` answers arrays and images in memory.")
def predict(
    run: str | Path,
    images: Sequence[str | Path] = (),
    *,
    into: str | Path | None = None,
    probabilities: bool = False,
    backend: Literal["torch", "auto", "compile", "onnx", "openvino", "openvino_int8"] | None = None,
    memory: float | None = None,
    format: str | None = None,
    changes: Sequence[str] = (),
) -> list[Path]:
    """Answer images with a trained run; each answer lies on exactly the grid of its image.

    Folders are searched with all that lie in them; the answer to FOLDER/ward/scan.nii.gz is INTO/ward/scan.nii.gz.
    INTO/answers.jsonl tells what made the answers.

    Args:
        run: Folder of a trained run.
        images: Files, folders or DICOM series; the validation cases of the run when none are given.
        into: Folder for the answers; needed when images are given.
        probabilities: Also write the probability of each structure.
        backend: What computes the net, torch when not given; auto measures whether another engine pays, and takes it if
            it agrees with torch.
        memory: Gigabytes that an image may take, else it is answered in parts; 70 % of what is free when not given,
            whatever training was allowed.
        format: File format of the answers, such as nii.gz, seg.nrrd, tif, png or ome.zarr; that of each image, or one
            that keeps its numbers exact, when not given.
        changes: A setting to change for these images, such as prediction.mirror=true; may be given many times. Those of
            the validation cases are changed in the run's experiment.yaml.

    Returns:
        The files that were written.
    """
    from ..datasets.dataset import find_images
    from ..planning.budget import available_gb
    from ..run_folder import open_run
    from .answers import predict_entries, predictor_of
    from .origin import origin_of
    from .own_cases import predict_validation
    from .question import check_no_run, check_prediction, with_options
    from .sources import tell_changes

    folder = open_run(run)
    if not images:
        given = (into, backend, memory, format)
        if changes or probabilities or any(one is not None for one in given):
            raise ConfigError(
                "Name the images that --into, --probabilities, --backend, --memory, --format and --set are for. To"
                f" answer the validation cases of the run anew, change {folder.experiment_file}, such as"
                " `refine: dense_crf` below `prediction:`;"
                f" then `hyoid predict {run}`, `hyoid evaluate {run}` and `hyoid report {run}`."
            )
        with folder.alone(), folder.timed("predict"):
            tell_changes(folder, "images are answered as they are now")
            return predict_validation(folder)
    if into is None:
        raise ConfigError("Say where the answers go: --into FOLDER.")
    check_prediction(memory, backend, changes, format)
    check_no_run(Path(into), "answers")
    changes = with_options(changes, backend=backend, format=format)
    entries = find_images(images, folder.dataset.channel_names)
    memory_gb = available_gb("cpu") if memory is None else memory
    predictor = predictor_of(folder, changes)
    origin = origin_of(folder, predictor)
    written = predict_entries(
        predictor, folder.dataset, entries, Path(into), probabilities, memory_gb=memory_gb, origin=origin
    )
    if predictor.settings.backend == "auto":
        log.info(predictor.engine.answered)
    return written


@verb(gives="page")
def report(run: str | Path) -> Path:
    """Write report.html: one page with figures, tables, cases and how they came about; and MODEL_CARD.md.

    Args:
        run: Folder of an evaluated run.
    """
    page, verdict = reported(run)
    verdict.tell()
    return page


def reported(run: str | Path) -> tuple[Path, Verdict]:
    """The page of an evaluated run, newly written, and what it says first."""
    from ..datasets.entry import listed
    from ..evaluation.report import Report
    from ..reporting.card import write_card
    from ..reporting.page import write_page
    from ..reporting.verdict import story, verdict_of
    from ..run_folder import EnsembleFolder, open_run
    from .answers import refuse_stale
    from .story import of_run

    folder = open_run(run, runs_code=False)
    if not (folder.path / "report.json").is_file():
        raise ConfigError(f"{run}: nothing was evaluated yet; `hyoid evaluate {run}` does it.")
    if not isinstance(folder, EnsembleFolder) and not folder.read_json("training.json"):
        raise ConfigError(
            f"{folder.path / 'training.json'}: this is missing, and tells what training took; put it back, or train in "
            "another folder."
        )
    with folder.alone(), folder.timed("report"):
        refuse_stale(folder, "predictions.json", "judged.json")
        found, told = Report.read(folder.path), of_run(folder)
        if other := sorted({*found.cases} - {*folder.split.validation}):
            raise ConfigError(
                f"{folder.path}: cases.csv judges {listed(other)}, but the split does not name these for validation;"
                f" `hyoid evaluate {folder.path}` judges anew."
            )
        found.write(folder.path, story(found, told))
        write_card(folder.path, found, told)
        return write_page(folder.path, found, told), verdict_of(found, told)


@verb(gives="bibtex")
def cite(run: str | Path) -> str:
    """Give the papers behind a run as BibTeX.

    Args:
        run: Folder of a planned run.
    """
    from ..core.citations import cite as bibtex
    from ..run_folder import open_run
    from .story import papers

    return bibtex(papers(open_run(run, runs_code=False)))
