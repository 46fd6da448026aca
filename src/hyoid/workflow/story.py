"""What the report page tells of a run: data, plan, times, environment, pictures."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import ConfigError
from ..evaluation.folders import Paired
from ..planning.learning import Candidate
from ..planning.plan import Plan
from ..reporting.facts import Overlay, RunFacts, Stage
from ..run_folder import EnsembleFolder, RunFolder
from .answers import read_answer, validation_answers
from .data_story import data_sheet, split_rule
from .forecast import expected_seconds, waited
from .lineage import doubts, seen_cases
from .model_story import environment, model, versions
from .outlook import remedy, scattered, shortfall, thin

STAGES = ("plan", "prepare", "train", "predict", "evaluate", "baseline")


def of_run(folder: RunFolder) -> RunFacts:
    """The story of a run or an ensemble with predicted and evaluated validation cases.

    Raises:
        ConfigError: When predictions are missing.
    """
    if isinstance(folder, EnsembleFolder):
        return _of_ensemble(folder)
    experiment, plan = folder.experiment, folder.plan
    answers = validation_answers(folder)
    times, expected = folder.read_json("timing.json"), dict[str, float]()
    with suppress(ConfigError):  # a net of somebody's own whose code was not run
        expected = expected_seconds(folder)
    training = folder.read_json("training.json")
    energy = folder.energy()
    stages = [Stage(name, times[name], expected.get(name), "", energy.get(name)) for name in STAGES if name in times]
    foreseen, memory = plan.expected, f"memory of {training.get('memory_of', 'training')}"
    ended = ", then a plateau of the validation score" if training.get("length", 1) < 1 else ""
    costs = {
        memory: (f"{foreseen.memory_gb:.1f} GB", f"{training['memory_gb']:.1f} GB"),
        "steps": (f"{foreseen.steps}", f"{training['steps']}{ended}"),
        "time of a step": (f"{foreseen.seconds_per_step:.3f} s", f"{training['step_seconds']:.3f} s"),
        "waiting for data": ("below 5 %", waited(training)),
    }
    return RunFacts(
        title=folder.path.resolve().name,
        what=_judged(folder),
        data=Path(experiment.data).name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        seconds=sum(stage.seconds for stage in stages),
        command=_command(folder),
        curves=folder.weights / "curves.csv",
        score=folder.task.decides.name,
        data_sheet=data_sheet(folder),
        plan=_plan(plan),
        candidates=[_row(candidate) for candidate in plan.candidates],
        chosen=0 if plan.candidates else None,
        stages=stages,
        costs=costs,
        environment=environment(folder, training),
        settings=experiment.to_yaml(),
        model=model(folder),
        refined=experiment.prediction.refine or "",
        split_rule=split_rule(folder),
        thin=thin(folder.fingerprint),
        scattered=scattered(folder.fingerprint),
        doubts=(*doubts(folder), *shortfall(folder)),
        remedy=remedy(folder),
        overlay=lambda case_id: _overlay(folder, case_id, answers[case_id]),
    )


def _of_ensemble(folder: EnsembleFolder) -> RunFacts:
    """The story of an ensemble: its members, and how each case was answered."""
    answers, split, ensemble = validation_answers(folder), folder.split, folder.ensemble
    times, energy = folder.read_json("timing.json"), folder.energy()
    stages = [Stage(name, times[name], None, "", energy.get(name)) for name in STAGES if name in times]
    members = list(zip(ensemble.members, folder.members, strict=True))
    flatters = len(set(split.training) & set(split.validation) | {*seen_cases(folder)})
    learned = f"; but members did learn from {flatters} of them, and the figures flatter" if flatters else ""
    nets = [run.plan for run in folder.members]
    return RunFacts(
        title=folder.path.resolve().name,
        what=f"{len(split.validation)} cases, each answered by members that did not learn from it{learned}",
        data=Path(folder.experiment.data).name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        seconds=sum(stage.seconds for stage in stages),
        data_sheet=replace(data_sheet(folder.members[0]), split={"judged": split.validation}),
        plan={member.run: _plan(run.plan)["net"] for member, run in members},
        stages=stages,
        environment={**versions(), "weights": f"sha256 {folder.digest[:16]}"},
        settings=ensemble.to_yaml(),
        model={
            "net": f"{len(nets)} nets ({', '.join(sorted({f'{plan.net_name} in {plan.net.dims}D' for plan in nets}))})",
            "ensemble": f"Mean of the {ensemble.unite} of {len(nets)} nets"
            + "".join(f"; {member.run} counts {member.weight:g}" for member, _ in members if member.weight != 1),
            "output": f"{folder.task.channels} channels: {', '.join(folder.task.structures or folder.task.outputs)}",
        },
        refined=folder.experiment.prediction.refine or "",
        split_rule=f"Each of {len(nets)} nets has its own cases to learn from",
        thin=thin(folder.fingerprint),
        scattered=scattered(folder.fingerprint),
        doubts=doubts(folder),
        overlay=lambda case_id: _overlay(folder, case_id, answers[case_id]),
    )


def of_test(folder: RunFolder, answers: Mapping[str, Path], known: int) -> RunFacts:
    """The story of the test cases of a run or an ensemble, with the number of those that it had met before."""
    unsure = "; what its first weights learned from is not known" if doubts(folder) else ""
    never = f"never used for planning, training or choosing{' here' * bool(unsure)}{unsure}"
    return RunFacts(
        title=f"{folder.path.resolve().name}: test",
        what=f"{len(answers)} test cases, "
        + (f"{known} of them seen before, in training or choosing" if known else never),
        data=Path(folder.experiment.data).name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        environment={**versions(), "weights": f"sha256 {folder.digest[:16]}"},
        refined=folder.experiment.prediction.refine or "",
        thin=thin(folder.fingerprint),
        scattered=scattered(folder.fingerprint),
        doubts=doubts(folder),
        overlay=lambda case_id: _overlay(folder, case_id, answers[case_id]),
    )


def of_folders(predictions: str | Path, references: str | Path, paired: Paired) -> RunFacts:
    """The story of two folders of label images."""
    cases = {one.case: one for one in paired.cases}

    def overlay(case_id: str) -> Overlay:
        prediction, reference = cases[case_id].read()
        truth = reference.array[0]
        guess = np.zeros_like(truth) if prediction is None else prediction.array[0]
        return Overlay(case_id, None, truth, guess, reference.grid, paired.labels)

    return RunFacts(
        title=Path(predictions).resolve().name,
        what=f"Predictions in {Path(predictions).name} against references in {Path(references).name}",
        data=Path(references).resolve().name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        environment=versions(),
        overlay=overlay,
    )


def papers(folder: RunFolder) -> list[str]:
    """Keys of the papers behind the parts that a run uses."""
    from ..augmentation.policies import policies
    from ..losses.shelf import shelf_of
    from ..nets import nets
    from ..nets.pyramids.catalogue import CATALOGUE, NON_COMMERCIAL
    from ..tasks import tasks
    from ..training.optim import optimisers, schedules

    if isinstance(folder, EnsembleFolder):
        return list(dict.fromkeys(key for run in folder.members for key in papers(run)))
    experiment = folder.experiment
    plan, training = experiment.decided, experiment.training
    loss = training.loss or folder.task.default_loss
    named: dict[Any, str | None] = {
        nets: plan.net_name,
        tasks: experiment.task,
        policies: plan.policy,
        optimisers: training.optimiser.name,
        schedules: training.optimiser.schedule,
    }
    with suppress(ConfigError):
        named[shelf_of(loss)] = loss
    entries = [shelf[name] for shelf, name in named.items() if name in shelf]  # but for parts whose code was not run
    source = CATALOGUE.get((training.encoder_weights or "").removeprefix(NON_COMMERCIAL))
    borrowed = source.papers if source else ()
    return list(dict.fromkeys(["isensee2021nnunet", *borrowed, *(key for entry in entries for key in entry.papers)]))


def _judged(folder: RunFolder) -> str:
    split = folder.split
    if set(split.training) & set(split.validation):
        return "The cases it learned from: there are no others, and the figures flatter"
    if seen := seen_cases(folder):
        return f"Validation cases, {len(seen)} of {len(split.validation)} of which an earlier training had learned from"
    which = "" if split.inherited else f" of fold {folder.experiment.fold}"
    unsure = " by this training; its first weights are of unknown origin" if doubts(folder) else ""
    return f"Validation cases{which}, never learned from{unsure}"


def _command(folder: RunFolder) -> str:
    experiment, training = folder.experiment, folder.experiment.training
    budget = f"--steps {training.steps}" if training.steps else f"--minutes {training.minutes:g}"
    changes = folder.read_json("asked.json").get("changes", [])
    words = ["hyoid", "run", experiment.data, "--into", str(folder.path), *budget.split()]
    words += ["--seed", str(experiment.seed)]
    if experiment.split_seed and not any(change.startswith("split_seed") for change in changes):
        changes = [f"split_seed={experiment.split_seed}", *changes]
    rivals = folder.read_json("report.json").get("baselines") or {}
    words += ["--baseline"] if len([*rivals.get("methods", ()), *rivals.get("failed", ())]) > 1 else []
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])


def _plan(plan: Plan) -> dict[str, str]:
    lines = plan.describe()[: 3 + len(plan.reasons)]
    told = dict(zip(("net", "patches", "expected"), lines, strict=False))
    return told | {f"reason {i + 1}": text.removeprefix("- ") for i, text in enumerate(lines[3:])}


def _row(candidate: Candidate) -> dict[str, object]:
    return {
        "patch": "×".join(map(str, candidate.patch)),
        "batch": candidate.batch,
        "widths": " ".join(map(str, candidate.channels)),
        "precision": candidate.precision,
        "seconds per step": round(candidate.seconds_per_step, 3),
        "steps": candidate.steps,
        "memory (GB)": round(candidate.memory_gb, 2),
        "expected learning": round(candidate.learning, 3),
    }


def _overlay(folder: RunFolder, case_id: str, answer_file: Path) -> Overlay:
    case = folder.dataset.read(case_id)
    assert case.truth is not None
    labels = folder.experiment.task_labels
    reference, answer = (labels.classed(one.array[0]) for one in (case.truth, read_answer(folder, answer_file)))
    return Overlay(case_id, np.asarray(case.image.array), reference, answer, case.image.grid, labels)
