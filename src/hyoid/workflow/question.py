"""What was asked of a run, whether it is asked again."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ..core.errors import ConfigError, closest
from ..core.extensions import load_extensions
from ..core.files import readable, regular
from ..core.labels import Labels
from ..core.machine import use_threads
from ..core.progress import log
from ..core.settings import split_change
from ..core.trees import load_json
from ..experiment import Experiment
from ..planning.plan import Plan
from ..run_folder import RunFolder
from .beginning import check_beginning
from .voxel_weights import MAPS

DEFAULT_MINUTES = 20.0
_PLAN = "plan."

OPTIONS = {
    "minutes": "training.minutes",
    "steps": "training.steps",
    "seed": "seed",
    "memory": "planning.memory_gb",
    "threads": "threads",
    "start_from": "training.start_from",
    "backend": "prediction.backend",
    "format": "prediction.format",
}
"""Options of the command line that are settings too."""


def ask(data: str | Path, options: Mapping[str, Any], changes: Sequence[str]) -> Experiment:
    """The experiment that these arguments describe, without labels and plan; options that were not given are None.

    Raises:
        ConfigError: When both minutes and steps are given, something is given twice, or does not fit.
    """
    given = {name: value for name, value in options.items() if value is not None}
    if {"minutes", "steps"} <= set(given):
        raise ConfigError("Give either --minutes or --steps, not both.")
    refuse_twice(options, changes)
    asked = Experiment(data=str(Path(data).resolve()))
    for name, value in given.items():
        asked = asked.changed({OPTIONS[name]: value}, f"--{name} {value}")
    asked = asked.changed([change for change in changes if not change.strip().startswith(_PLAN)])
    if asked.training.minutes is not None and asked.training.steps is not None:
        raise ConfigError("Set either training.minutes or training.steps, not both.")
    if asked.training.minutes is None and asked.training.steps is None:
        asked = asked.changed({"training.minutes": DEFAULT_MINUTES})
    extensions = tuple(str(Path(path).expanduser().resolve()) for path in asked.extensions)
    load_extensions(extensions)
    use_threads(asked.threads)
    _check_names(asked)
    before = asked.planning.before and str(Path(asked.planning.before).resolve())
    return asked.changed({"extensions": list(extensions), "planning.before": before})


def with_options(changes: Sequence[str], **options: Any) -> tuple[str, ...]:
    """The changes with those that options stand for, as far as these were given."""
    given = {name: value for name, value in options.items() if value is not None}
    return (*changes, *(f"{OPTIONS[name]}={value}" for name, value in given.items()))


def refuse_twice(options: Mapping[str, Any], changes: Sequence[str]) -> None:
    """Refuse two values (None: not given) for one setting, and a change of a group that would undo one inside."""
    given = {name: value for name, value in options.items() if value is not None}
    said = [(OPTIONS[name], value, f"--{name.replace('_', '-')} {value}") for name, value in given.items()]
    said += [(*split_change(change), f"--set {change}") for change in changes]
    for number, (key, value, words) in enumerate(said):
        for earlier, its_value, its_words in said[:number]:
            if earlier.startswith(f"{key}.") or (earlier == key and value != its_value):
                raise ConfigError(f"{its_words} and {words} both set {earlier}; give one of them.")


def _check_names(asked: Experiment) -> None:
    """Look up every part that settings name, so that a wrong name fails before any work is done."""
    from ..losses.shelf import shelf_of
    from ..planning.check import check_settings
    from ..tasks.choose import Classes, Regions, tasks
    from ..training.optim import schedules
    from ..training.regimes import check_regime

    asked.evaluation.build()
    check_settings(asked.planning)
    training = asked.training
    check_beginning(asked)
    if asked.task is not None:
        tasks[asked.task]
    usual = sorted({Classes.default_loss, Regions.default_loss}) if asked.task is None else []
    for loss in [training.loss] if training.loss else usual:
        shelf_of(loss).build(loss, **training.loss_options)
    if training.voxel_weights is not None and training.voxel_weights not in MAPS:
        raise ConfigError(
            f"training.voxel_weights = {training.voxel_weights!r}: there is no such map."
            f"{closest(training.voxel_weights, MAPS)} Known: {', '.join(MAPS)}."
        )
    check_device(asked.device)
    schedules[training.optimiser.schedule]
    check_regime(training)


def check_device(name: str, where: str = "") -> None:
    """Refuse a device that this machine does not have; the message begins with where it was set."""
    import torch

    known = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
    known += ["cuda"] * torch.cuda.is_available() + ["mps"] * torch.backends.mps.is_available()
    if name not in ("auto", *known):
        raise ConfigError(f"{where}device = {name!r}: this machine has {', '.join(known)}; auto takes the fastest.")


def check_place(folder: RunFolder, data: Path) -> None:
    """Refuse a folder that is the data, lies around it or holds other files, which a run would cover."""
    if not data.exists():
        raise ConfigError(f"{data}: there is no such file or folder.")
    place, source = folder.path.resolve(), data.resolve()
    root = source if source.is_dir() else source.parent
    if place == root or place in root.parents:
        raise ConfigError(f"{folder.path}: a run would be mixed with its data there; choose another --into.")
    if place.is_file():
        raise ConfigError(f"{folder.path}: this is a file; a run needs a folder.")
    if readable(str(place)) != str(place):
        raise ConfigError(f"{folder.path}: a run needs a folder whose path is UTF-8; choose another --into.")
    own = {"log.txt", "timing.json", "energy.json", ".lock"}
    others = {path.name for path in place.iterdir()} - own if place.is_dir() else set()
    if others and not folder.experiment_file.is_file() and not (place / "asked.json").is_file():
        first = sorted(others)[0]
        raise ConfigError(f"{folder.path}: this folder holds other files, such as {first}; choose another --into.")


def check_structures(asked: Experiment, labels: Labels) -> None:
    """Refuse names of structures that the labels do not have."""
    if asked.prediction.largest_component and labels.objects:
        raise ConfigError(
            "prediction.largest_component keeps one piece of a structure, but every object of it is one; leave it out."
        )
    for name in asked.prediction.largest_component:
        if name not in labels.names:
            raise ConfigError(
                f"prediction.largest_component: there is no structure {name!r}.{closest(name, labels.names)} "
                f"Known: {', '.join(labels.names)}."
            )


def check_prediction(
    memory: float | None, backend: str | None, changes: Sequence[str], format: str | None = None
) -> None:
    """Refuse what predicting cannot follow: no memory, a setting given twice or that is not one of prediction."""
    if memory is not None and not memory > 0:
        raise ConfigError(f"--memory {memory:g}: expected gigabytes above 0.")
    for change in changes:
        name = change.partition("=")[0].strip()
        if name == "planning.memory_gb":
            raise ConfigError(
                "planning.memory_gb is the memory of training; that of predicting is --memory, such as --memory 3."
            )
        if name not in ("device", "threads") and not name.startswith("prediction."):
            raise ConfigError(
                f"--set {change}: a trained net can change settings under prediction., device and threads only."
            )
    refuse_twice({"backend": backend, "format": format}, changes)


def check_no_run(into: Path, what: str) -> None:
    """Refuse a file, a run, and the places of its weights and predictions, where something would be mixed in."""
    place = into.resolve()
    if place.is_file():
        raise ConfigError(f"{into}: this is a file; {what} need a folder.")
    for run in (RunFolder(one) for one in (place, *place.parents)):
        is_inside = any(place.is_relative_to(one) for one in (run.weights, run.predictions))
        if run.is_run and (place == run.path or is_inside):
            raise ConfigError(f"{into}: {what} would be mixed with the files of a run there; choose another --into.")


def check_report_place(into: Path, references: Path) -> None:
    """Refuse a folder in which cases.csv would cover another one, or be taken for one about patients."""
    near = references.resolve() if references.is_dir() else references.resolve().parent
    if into.resolve() in (near, near.parent):
        raise ConfigError(
            f"{into}: cases.csv of the report would be taken for what is known of patients there; choose another "
            f"--into, such as {into / 'report'}."
        )
    check_ours(into, "report.json", "cases.csv", "report.html")


def check_ours(into: Path, told_by: str, *others: str) -> None:
    """Refuse a folder where files of these names are not hyoid's; the first one tells, by its `format`."""
    there = [name for name in (*others, told_by) if (into / name).exists()]
    found = None
    with suppress(OSError, ValueError):
        found = load_json(regular(into / told_by).read_text(encoding="utf-8")) if there else None
    if there and not str(isinstance(found, dict) and found.get("format")).startswith("hyoid."):
        raise ConfigError(f"{into}: this would cover a {there[0]} that is none of hyoid's; choose another --into.")


def plan_changes(changes: Sequence[str]) -> list[str]:
    """Changes to the plan itself, which can only be made once there is one; facts of the plan are refused."""
    mine = [change.strip().removeprefix(_PLAN) for change in changes if change.strip().startswith(_PLAN)]
    for change in mine:
        if re.split("[.=]", change)[0].strip() in Plan.FACTS:
            raise ConfigError(f"--set {_PLAN}{change}: this is a fact of planning and no setting; leave it out.")
    return mine


PLANNED = ("data", "split_seed", "fold", "num_folds", "patients_on_both_sides", "planning")
"""Settings that planning reads and nothing after it."""


def check_edits(folder: RunFolder) -> None:
    """Refuse an edit of settings that only planning reads, in a run that is planned already."""
    now = folder.experiment.model_dump(mode="json")
    asked = folder.read_json("asked.json").get("experiment", {})
    before, known = _completed(asked), [name for name in PLANNED if name in asked]
    edits = [edit for name in known for edit in _differences(before[name], now[name], name)]
    if edits:
        raise ConfigError(
            f"{folder.experiment_file}: {edits[0]}, but only `hyoid plan` reads it, and this run is planned; put it "
            "back, and edit the settings below `plan:` or plan another run."
        )


def is_answered(folder: RunFolder, asked: Experiment, changes: Sequence[str]) -> bool:
    """Whether the run was planned for just this question.

    Raises:
        ConfigError: When the folder holds a run that was asked something else.
    """
    if not folder.experiment_file.is_file():
        return False
    before = folder.read_json("asked.json")
    earlier, now = _completed(before.get("experiment", {})), asked.model_dump(mode="json")
    if earlier == now and plan_changes(before.get("changes", [])) == plan_changes(changes):
        log.info("%s goes on where it was.", folder.path)
        own = folder.experiment.training
        for name in ("minutes", "steps"):
            if (set_to := getattr(own, name)) != (planned := getattr(asked.training, name)):
                log.info(
                    "Its training was set to %g %s instead of %g, in its settings or by `hyoid train`.",
                    set_to,
                    name,
                    planned,
                )
        return True
    other = _differences(earlier, now) or ["plan"]
    counted = [name for name in ("minutes", "steps") if all(one.startswith(f"training.{name} ") for one in other)]
    raise ConfigError(
        f"{folder.path} already holds a run with other settings ({', '.join(other[:4])}). "
        + "".join(f"`hyoid train {folder.path} --{name} N` goes on from its weights. " for name in counted)
        + "Choose another --into, or delete that folder."
    )


def _completed(before: dict[str, Any]) -> dict[str, Any]:
    """What was asked, with the defaults of settings that did not exist then."""
    try:
        return Experiment.parse(before).model_dump(mode="json")
    except ConfigError:
        return before


def _differences(before: Any, now: Any, place: str = "") -> list[str]:
    if isinstance(before, dict) and isinstance(now, dict):
        pairs = [(f"{place}.{key}".strip("."), before.get(key), now.get(key)) for key in sorted({*before, *now})]
        return [found for name, old, new in pairs for found in _differences(old, new, name)]
    return [] if before == now else [f"{place} was {before}, now {now}"]
