"""What a net begins with: random weights, public ones in its encoder, or those of an earlier run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.progress import log
from ..experiment import Experiment
from ..run_folder import RunFolder
from .purpose import check_loss

if TYPE_CHECKING:
    from ..nets.net import Net
    from ..planning.plan import Plan
    from ..tasks.task import Task


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
    net, before = folder.experiment.decided.net, folder.experiment.decided.preparation.before
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
    path = Path(start).resolve()
    folder = RunFolder(path if path.is_dir() else path.parent.parent)
    return folder.experiment.decided if folder.experiment_file.is_file() else None


def first_net(experiment: Experiment) -> Net:
    """The net of an experiment with the weights it begins with; the same seed gives the same."""
    from ..nets.pyramids.weights import load_encoder_weights
    from ..training.quiet import seeded
    from ..training.transfer import start_from

    spec, training = experiment.decided.net, experiment.training
    net = seeded(spec.build, experiment.seed)
    if training.encoder_weights is not None:
        load_encoder_weights(net, training.encoder_weights)
    if training.start_from is not None:
        taken = start_from(net, weights_of(training.start_from), spec.in_channels)
        log.info(taken.describe(training.start_from))
    return net


def check_parts(experiment: Experiment, task: Task) -> None:
    """Refuse what does not fit the plan: options of the loss, scales without way back, patterns that match nothing."""
    from ..nets.cost import without_numbers
    from ..training.transfer import check_patterns

    training = experiment.training
    check_loss(training, task, experiment.decided.net.dims)
    for one in experiment.decided.preparation.target:
        one.units  # noqa: B018
    if training.freeze or training.learning_rates:
        net = without_numbers(experiment.decided.net)
        check_patterns(net, training.freeze, "training.freeze")
        check_patterns(net, training.learning_rates, "training.learning_rates")
