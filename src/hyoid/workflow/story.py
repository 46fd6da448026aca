"""What the report page tells of a run: data, plan, times, environment, pictures."""

from __future__ import annotations

import math
import platform
import shlex
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import numpy as np

from .. import __version__
from ..evaluation.evaluate import SIZE_UNITS
from ..experiment import Experiment, RunFolder
from ..io.formats import read_image
from ..planning.fingerprint import Fingerprint
from ..planning.plan import Plan
from ..reporting.data_sheet import DataSheet, Intensities
from ..reporting.facts import Overlay, RunFacts, Stage
from ..reporting.wording import shortly
from .answers import answers_of
from .forecast import expected_seconds

STAGES = ("plan", "prepare", "train", "predict", "evaluate")


def of_run(folder: RunFolder) -> RunFacts:
    """The story of a run with predicted and evaluated validation cases."""
    experiment, plan = folder.experiment, folder.experiment.decided
    times, expected = folder.read_json("timing.json"), expected_seconds(folder)
    training = folder.read_json("training.json")
    stages = [Stage(name, times[name], expected.get(name)) for name in STAGES if name in times]
    costs = {"memory of training": (f"{plan.expected.memory_gb:.1f} GB", f"{training['memory_gb']:.1f} GB")}
    costs["steps"] = (f"{plan.expected.steps}", f"{training['steps']}")
    costs["time of a step"] = (f"{plan.expected.seconds_per_step:.3f} s", f"{training['step_seconds']:.3f} s")
    return RunFacts(
        title=folder.path.resolve().name,
        what=_judged(folder),
        data=Path(experiment.data).name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        seconds=sum(stage.seconds for stage in stages),
        command=_command(folder),
        curves=folder.weights / "curves.csv",
        data_sheet=_data_sheet(folder),
        plan=_plan(plan),
        candidates=[_row(candidate) for candidate in plan.candidates],
        chosen=0 if plan.candidates else None,
        stages=stages,
        costs=costs,
        environment=environment(experiment, training),
        settings=experiment.to_yaml(),
        overlay=lambda case_id: _overlay(folder, case_id),
    )


def of_folders(predictions: str | Path, references: str | Path) -> RunFacts:
    """The story of two folders of label images."""
    return RunFacts(
        title=Path(predictions).resolve().name,
        what=f"Predictions in {Path(predictions).name} against references in {Path(references).name}",
        data=Path(references).resolve().parent.name,
        date=datetime.now().astimezone().strftime("%Y-%m-%d %H:%M"),
        environment={"hyoid": __version__, "python": platform.python_version()},
    )


def environment(experiment: Experiment, training: dict[str, object]) -> dict[str, str]:
    """Versions, machine and seed."""
    import os

    import torch

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"{os.cpu_count()} CPU cores"
    names = ("torch", "numpy", "nibabel", "SimpleITK", "lightning-fabric")
    return {
        "hyoid": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in names},
        "system": f"{platform.system()} {platform.machine()}",
        "device": device,
        "seed": str(experiment.seed),
        "waiting for data": f"{100 * float(str(training.get('waiting', 0))):.1f} % of training",
    }


def papers(experiment: Experiment) -> list[str]:
    """Keys of the papers behind the parts that a run uses."""
    from ..augmentation.policies import policies
    from ..losses import losses
    from ..nets import nets
    from ..nets.pyramids.catalogue import CATALOGUE, NON_COMMERCIAL
    from ..tasks import task_for
    from ..training.optim import optimisers, schedules

    plan, training = experiment.decided, experiment.training
    loss = training.loss or task_for(experiment.task_labels).default_loss
    entries = [
        nets[plan.net_name],
        losses[loss],
        policies[plan.policy],
        optimisers[training.optimiser.name],
        schedules[training.optimiser.schedule],
    ]
    source = CATALOGUE.get((training.encoder_weights or "").removeprefix(NON_COMMERCIAL))
    borrowed = source.papers if source else ()
    return list(dict.fromkeys(["isensee2021nnunet", *borrowed, *(key for entry in entries for key in entry.papers)]))


def _judged(folder: RunFolder) -> str:
    split = folder.split
    if set(split.training) & set(split.validation):
        return "The cases it learned from: there are no others, and the figures flatter"
    return f"Validation cases of fold {folder.experiment.fold}, never learned from"


def _command(folder: RunFolder) -> str:
    """The command that made the run."""
    experiment, training = folder.experiment, folder.experiment.training
    budget = f"--steps {training.steps}" if training.steps else f"--minutes {training.minutes:g}"
    changes = folder.read_json("asked.json").get("changes", [])
    words = [
        "hyoid",
        "run",
        experiment.data,
        "--into",
        str(folder.path),
        *budget.split(),
        "--seed",
        str(experiment.seed),
    ]
    return shlex.join([*words, *(word for change in changes for word in ("--set", change))])


def _data_sheet(folder: RunFolder) -> DataSheet:
    dataset, split = folder.dataset, folder.split
    fingerprint = Fingerprint.read(folder.path / "fingerprint.yaml")
    parts = {"training": split.training, "validation": split.validation}
    held_out = {"held out": tuple(entry.id for entry in dataset.held_out)} if dataset.held_out else {}
    unit = SIZE_UNITS[fingerprint.calibrated][fingerprint.dims]
    return DataSheet(
        facts={
            "source": Path(folder.experiment.data).name,
            "layout": dataset.layout,
            "cases": str(len(dataset)),
            "channels": ", ".join(dataset.channel_names),
            "structures": ", ".join(dataset.labels.names),
        },
        shapes=[seen.shape for seen in dataset.seen.values()],
        spacings_mm=[seen.spacing_mm for seen in dataset.seen.values() if seen.calibrated],
        split={**parts, **held_out},
        groups={case_id: dataset.group_of(case_id) for case_id in dataset.ids},
        groups_known=dataset.has_groups,
        warnings=dataset.warnings,
        notes=dataset.notes,
        digests={case.id: case.digest for case in fingerprint.cases},
        sizes=_sizes(fingerprint, unit),
        size_unit=unit,
        intensities=[Intensities(one.name, one.low, one.high, one.histogram) for one in fingerprint.channels],
        unlabelled=[case.id for case in fingerprint.cases if case.object_share is None],
        choices=_choices(fingerprint, folder.experiment.decided),
    )


def _sizes(fingerprint: Fingerprint, unit: str) -> dict[str, dict[str, float]]:
    """Size of each structure in each annotated case."""
    scale = {case.id: math.prod(case.spacing_mm) / (1000 if unit == "ml" else 1) for case in fingerprint.cases}
    names = [one.name for one in fingerprint.structures]
    return {
        name: {
            case.id: count * (1.0 if unit == "px" else scale[case.id])
            for case in fingerprint.cases
            for count in (case.voxels or ())[index : index + 1]
        }
        for index, name in enumerate(names)
    }


def _choices(fingerprint: Fingerprint, plan: Plan) -> list[tuple[str, str, str]]:
    """What was measured of the data, and what the plan made of it."""
    spacings, shapes = (np.median(np.asarray(rows), axis=0) for rows in fingerprint.geometry())
    unit, steps = "mm" if fingerprint.calibrated else "px", plan.preparation
    chosen = plan.spacing_mm or (None,) * len(spacings)
    kept = " × ".join("as it is" if step is None else f"{step:.3g}" for step in chosen)
    rows = [
        ("Spacing", f"median {' × '.join(f'{step:.3g}' for step in spacings)} {unit}", f"{kept} {unit}"),
        ("Size", f"median {' × '.join(f'{n:g}' for n in shapes)}", f"patch {' × '.join(map(str, plan.patch))}"),
        ("Orientation", fingerprint.axes or "–", steps.orientation or "as it is"),
        ("Content", f"{100 * fingerprint.content_share:.0f} % of the image", f"crop: {steps.crop}"),
        ("Structures", f"{100 * fingerprint.object_share:.3g} % of voxels", _share_of(plan)),
    ]
    for number, channel in enumerate(fingerprint.channels):
        scheme = steps.intensity[number].scheme if number < len(steps.intensity) else "zscore"
        rows.append(
            (
                f"Intensity, {channel.name}",
                f"{channel.modality}, {shortly(channel.low)} to {shortly(channel.high)}",
                scheme,
            )
        )
    return rows


def _share_of(plan: Plan) -> str:
    return f"{100 * plan.foreground_share:.0f} % of patches on a structure"


def _plan(plan: Plan) -> dict[str, str]:
    lines = plan.describe()[: 3 + len(plan.reasons)]
    told = {f"{name}": text for name, text in zip(("net", "patches", "expected"), lines, strict=False)}
    return told | {f"reason {i + 1}": text.removeprefix("- ") for i, text in enumerate(lines[3:])}


def _row(candidate: object) -> dict[str, object]:
    from ..planning.plan import Candidate

    assert isinstance(candidate, Candidate)
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


def _overlay(folder: RunFolder, case_id: str) -> Overlay:
    case = folder.dataset.read(case_id)
    assert case.labels is not None
    answer = read_image(answers_of(folder)[case_id], "labels")
    image, reference = np.asarray(case.image.array), case.labels.array[0]
    return Overlay(case_id, image, reference, answer.array[0], case.image.grid, folder.experiment.task_labels)
