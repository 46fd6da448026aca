"""What a net begins with: random weights, public ones in its encoder, or those of an earlier run."""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.progress import log
from ..datasets.groups import inherited, undecided
from ..experiment import Experiment
from ..run_folder import RunFolder, Split
from .lineage import past_of, remember, run_of
from .prepared import unlabelled_of
from .purpose import check_loss

if TYPE_CHECKING:
    from ..datasets.dataset import Dataset
    from ..nets.net import Net
    from ..planning.fingerprint import Fingerprint
    from ..planning.plan import Plan
    from ..preparation.store import Store
    from ..tasks.task import Task
    from ..training.job import Job


def check_beginning(asked: Experiment) -> None:
    """Refuse weights that are missing, given twice or for another encoder, before any work is done."""
    from ..nets import build_spec
    from ..nets.cost import without_numbers
    from ..nets.pyramids.catalogue import CATALOGUE
    from ..nets.pyramids.weights import check_weights

    training, planning = asked.training, asked.planning
    if training.encoder_weights is not None and training.start_from is not None:
        raise ConfigError(
            "Set either training.encoder_weights or training.start_from: both would be the first weights."
        )
    if training.encoder_weights is not None:
        net = without_numbers(build_spec(planning.net or "unet", planning.dims or 2, 1, 2))
        check_weights(net, training.encoder_weights)
        fits = CATALOGUE.get(training.encoder_weights)
        if fits is not None and planning.net in {one.net for one in CATALOGUE.values()} - {fits.net}:
            raise ConfigError(
                f"training.encoder_weights: {training.encoder_weights} are weights of {fits.net}; for {planning.net} "
                f"ask for {planning.net.removeprefix('unet_')}."
            )
    if training.start_from is not None:
        weights_of(training.start_from)


def check_ends(folder: RunFolder) -> None:
    """Refuse a net or a loss whose channels are not those of the data, as after a slip in an edited plan."""
    net, before = folder.plan.net, folder.plan.preparation.before
    check_loss(folder.experiment.training, folder.task, net.dims)
    channels = len(folder.dataset.channel_names) + len(before.structures if before else ())
    facts = ("out_channels", net.out_channels, "the task needs", folder.task.channels)
    for name, mine, who, wanted in (facts, ("in_channels", net.in_channels, "the images have", channels)):
        if mine != wanted:
            raise ConfigError(f"{folder.experiment_file}: plan.net.{name} is {mine}, but {who} {wanted}.")


def weights_of(start: str | Path) -> Path:
    """The file of weights that a run left, or the file itself; refused when there is none."""
    path = Path(start)
    file = RunFolder.open(path).weights / "last.safetensors" if path.is_dir() else path
    if not file.is_file():
        what = "this run was not trained yet" if path.is_dir() else "there is no such run or file"
        raise ConfigError(f"training.start_from: {start}: {what}.")
    return file


def earlier_plan(start: str | Path) -> Plan | None:
    """The plan of the run that the weights belong to; None for a file that lies in no run."""
    run = run_of(start)
    return None if run is None else run.plan


def split_of(asked: Experiment, dataset: Dataset, fingerprint: Fingerprint) -> Split:
    """Who learns and who judges; cases of the run that the net starts from keep their part."""
    dealing = asked.fold, asked.num_folds, asked.split_seed
    earlier = past_of(asked.training.start_from)
    parts = earlier.parts(fingerprint)
    validation = inherited(dataset.grouping, parts, *dealing)
    training, judging, unlabelled = dataset.split(*dealing, validation)
    if validation is not None:
        kept, new = Counter(parts.values()), len(undecided(dataset.grouping, parts))
        beside = len(dataset.grouping.groups) - len(parts) - new
        log.info(
            f"Cases of {earlier.name} keep their part, since the net starts from it: {kept['training']} learn,"
            f" {kept['validation']} judge"
            + f"; {beside} new ones go with the others of their group" * bool(beside)
            + f"; {new} new ones are dealt as usual" * bool(new)
            + "."
        )
        if asked.fold and not new:
            log.warning(f"fold {asked.fold} has no effect: all cases keep their part.")
    elif earlier.name:
        log.info(f"The split of {earlier.name} could not be kept, since {_why_not(dataset, parts)}.")
    name = "" if validation is None else earlier.name
    return Split(training=training, validation=judging, unlabelled=unlabelled, inherited=name)


def _why_not(dataset: Dataset, parts: dict[str, str]) -> str:
    """Why cases do not keep the part that they had."""
    if not parts:
        return "none of its cases is here"
    if dataset.grouping.rule == "split":
        return "the data set has a split of its own"
    return f"nothing would be left to {'judge' if 'training' in parts.values() else 'learn from'}"


def started_from(folder: RunFolder, start: str | Path, going_on: bool) -> RunFolder:
    """The run, whose settings now name the first weights; refused where its training goes on with its own."""
    if going_on:
        raise ConfigError(
            f"{folder.path}: its training has begun; --start-from is for a new one, which --no-resume asks for."
        )
    weights_of(start)
    changes = {"training.start_from": str(Path(start).resolve())}
    folder.experiment.changed(changes).write(folder.experiment_file)
    return RunFolder.open(folder.path)


def lengthened(folder: RunFolder, minutes: float | None, steps: int | None, going_on: bool) -> RunFolder:
    """The run, whose settings now give its training these minutes or steps from where it stands.

    Raises:
        ConfigError: When both are given, one is not above 0, or the run counts the other.
    """
    from ..training.checkpoint import read_checkpoint

    if minutes is not None and steps is not None:
        raise ConfigError("Give either --minutes or --steps.")
    name, other, more = ("minutes", "steps", minutes) if steps is None else ("steps", "minutes", steps)
    if not more or not 0 < more < math.inf:
        raise ConfigError(f"--{name} {more}: expected a number above 0.")
    if getattr(folder.experiment.training, name) is None:
        raise ConfigError(f"{folder.path}: this training counts {other}; give --{other} instead of --{name}.")
    clock = read_checkpoint(folder.weights / "last.safetensors")[1]["clock"] if going_on else {"seconds": 0, "step": 0}
    total = clock["step"] + more if name == "steps" else round(clock["seconds"] / 60 + more, 3)
    folder.experiment.changed({f"training.{name}": total}).write(folder.experiment_file)
    return RunFolder.open(folder.path)


def job_of(folder: RunFolder, store: Store, resume: bool) -> Job:
    """What the net of a run is to learn from what, and how far."""
    from ..training.data import default_workers
    from ..training.job import Job

    experiment, settings = folder.experiment, folder.experiment.training
    if experiment.threads is not None and settings.workers is None:
        settings = settings.model_copy(update={"workers": min(experiment.threads, default_workers())})
    return Job(
        folder.task,
        store,
        folder.split.training,
        folder.split.validation,
        folder.plan,
        settings,
        folder.weights,
        unlabelled=unlabelled_of(folder),
        steps=settings.steps,
        seconds=settings.seconds,
        seed=experiment.seed,
        resume=resume,
        accelerator=experiment.device,
    )


def first_net(folder: RunFolder, going_on: bool) -> Net:
    """The net of a run with the weights it begins with, the same for a seed; any where training goes on."""
    from ..nets.pyramids.weights import load_encoder_weights
    from ..training.checkpoint import read_checkpoint
    from ..training.quiet import seeded
    from ..training.transfer import Outputs, start_from

    spec, training = folder.plan.net, folder.experiment.training
    if going_on:
        return spec.build()
    remember(folder)
    net = seeded(spec.build, folder.experiment.seed)
    if training.encoder_weights is not None:
        load_encoder_weights(net, training.encoder_weights)
    if training.start_from is not None:
        earlier, weights = run_of(training.start_from), weights_of(training.start_from)
        theirs = earlier.task.outputs if earlier else tuple(read_checkpoint(weights)[1].get("outputs", ()))
        same = theirs == folder.task.outputs
        outputs = None if same else Outputs.of(spec, theirs, folder.task.outputs)
        taken = start_from(net, weights, spec.in_channels, outputs)
        log.info(taken.describe(training.start_from))
    return net


def check_parts(experiment: Experiment, task: Task) -> None:
    """Refuse what does not fit the plan: options of the loss, scales without way back, patterns that match nothing."""
    import torch

    from ..losses.compound import check_weights
    from ..nets.cost import without_numbers
    from ..training.transfer import check_patterns

    training = experiment.training
    check_loss(training, task, experiment.decided.net.dims)
    for one in experiment.decided.preparation.target:
        one.units  # noqa: B018
    if training.head_weights is not None:
        net, shape = without_numbers(experiment.decided.net), experiment.decided.patch
        size = net.fitting_shape(shape[-experiment.decided.dims :])
        logits = net(torch.zeros(2, experiment.decided.net.in_channels, *size, device="meta"))[: task.heads]
        check_weights(training.head_weights, len(logits))
    _check_norms(experiment)
    if experiment.prediction.depth is not None:
        from ..nets.family.nested import check_depth

        check_depth(without_numbers(experiment.decided.net), experiment.prediction.depth)
    if training.freeze or training.learning_rates:
        net = without_numbers(experiment.decided.net)
        check_patterns(net, training.freeze, "training.freeze")
        check_patterns(net, training.learning_rates, "training.learning_rates")


def _check_norms(experiment: Experiment) -> None:
    """Refuse a batch of one patch whose coarsest map is one voxel where batch norm wants more than one value."""
    import torch

    from ..nets.cost import without_numbers

    plan = experiment.decided
    if plan.batch > 1:
        return
    net = without_numbers(plan.net).train()
    norms = [part for part in net.modules() if isinstance(part, torch.nn.modules.batchnorm._BatchNorm)]
    try:
        if norms:
            net(torch.zeros(1, plan.net.in_channels, *plan.patch[-plan.dims :], device="meta"))
    except ValueError as error:
        if "more than 1 value per channel" not in str(error):
            raise
        size = "x".join(map(str, plan.patch))
        raise ConfigError(
            f"Batch norm of this net has one value to learn from in a batch of one patch of {size}; set "
            "planning.batch=2, or a larger planning.patch."
        ) from None
