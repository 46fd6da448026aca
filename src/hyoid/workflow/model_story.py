"""What the report page tells of the net of a run, and of what is needed to train it again."""

from __future__ import annotations

import hashlib
import math
import platform
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from .. import __version__
from ..core.errors import ConfigError
from ..core.machine import machine
from ..experiment import Experiment
from ..nets.cost import cost
from ..nets.net import NetSpec
from ..nets.variants import LEFT_OUT
from ..prediction.settings import PredictionSettings
from ..run_folder import RunFolder

_LIBRARIES = ("torch", "numpy", "nibabel", "SimpleITK", "lightning-fabric")


def model(folder: RunFolder) -> dict[str, str]:
    """The net and its training, as lines."""
    experiment, task = folder.experiment, folder.task
    plan, training = experiment.decided, experiment.training
    patch = plan.patch[-plan.net.dims :]
    size = " × ".join(map(str, patch))
    optimiser = training.optimiser
    budget = f"{training.steps} steps" if training.steps else f"{training.minutes:g} minutes"
    given = optimiser.learning_rate
    rate = "its usual learning rate" if given is None else f"learning rate {given:g}"
    averaged = f"running average (decay {training.ema:g}) of the weights" if training.ema else "weights"
    mirrored = plan.dims == 2 if experiment.prediction.mirror is None else experiment.prediction.mirror
    return {
        "net": f"{plan.net_name} in {plan.net.dims}D",
        **({"left out": LEFT_OUT[plan.net_name]} if plan.net_name in LEFT_OUT else {}),
        **_costs(plan.net, patch, size),
        "input": f"{plan.net.in_channels} channel{'s' * (plan.net.in_channels != 1)}, patches of {size}",
        "output": f"{task.channels} channels: {', '.join(task.structures or task.outputs)}",
        "first weights": _first_weights(experiment),
        "loss": training.loss or task.default_loss,
        "optimiser": f"{optimiser.name}, schedule {optimiser.schedule}, {rate}",
        "training": f"{budget}, batches of {plan.batch}, {plan.precision}, augmentation {plan.policy}",
        "selection": f"{averaged} after the last step; validation cases do not choose",
        "prediction": f"tiles overlapping by {100 * experiment.prediction.overlap:.0f} %, "
        f"{'averaged over mirrored tiles' if mirrored and plan.mirror_axes else 'not mirrored'}",
        **({"pruned": f"{depth} ways down are kept"} if (depth := experiment.prediction.depth) else {}),
        "afterwards": _afterwards(experiment.prediction),
    }


def _costs(net: NetSpec, patch: tuple[int, ...], size: str) -> dict[str, str]:
    """What a net costs; nothing for one of somebody's own whose code was not run."""
    try:
        found = cost(net, patch)
    except ConfigError:
        return {}
    field = " × ".join("all" if math.isinf(n) else f"{n:g}" for n in found.receptive_field)
    return {
        "parameters": f"{found.parameters / 1e6:.3g} million",
        "operations": f"{found.flops / 1e9:.3g} GFLOP for a patch of {size} (a multiplication and an addition are two)",
        "receptive field": f"{field} voxels",
    }


def _afterwards(settings: PredictionSettings) -> str:
    done = [f"refined by {settings.refine}"] if settings.refine else []
    if settings.largest_component:
        done.append(f"largest piece kept of {', '.join(settings.largest_component)}")
    return ", ".join(done) or "nothing is done to the answer"


def versions() -> dict[str, str]:
    """Versions of what every report depends on."""
    return {"hyoid": __version__, "python": platform.python_version()}


def environment(folder: RunFolder, training: Mapping[str, Any]) -> dict[str, str]:
    """Versions, machine, seed, and short hashes of what decides the result."""
    experiment = folder.experiment
    trained_on = training.get("machine") or machine()
    steps = "by number of steps" if experiment.training.steps else "by the clock: the number of steps may differ"
    return {
        **versions(),
        **{name: version(name) for name in _LIBRARIES},
        **{str(name): str(text) for name, text in trained_on.items()},
        "seed": str(experiment.seed),
        "deterministic": f"{'yes' if experiment.training.deterministic else 'no'}, training ends {steps}",
        "weights": _hash((folder.weights / "last.safetensors").read_bytes()),
        "settings": _hash(experiment.to_yaml().encode()),
        "images": _images(folder),
        "waiting for data": f"{100 * float(training.get('waiting', 0)):.1f} % of training",
    }


def _first_weights(experiment: Experiment) -> str:
    training = experiment.training
    if training.start_from:
        return "those of another run, as far as they fit"
    if training.encoder_weights:
        return f"encoder {training.encoder_weights}, the rest drawn with seed {experiment.seed}"
    return f"drawn at random with seed {experiment.seed}"


def _images(folder: RunFolder) -> str:
    """One hash of all images, whatever their order."""
    digests = sorted(case.digest for case in folder.fingerprint.cases)
    return _hash("".join(digests).encode()) if all(digests) else "not known"


def _hash(content: bytes) -> str:
    return f"sha256 {hashlib.sha256(content).hexdigest()[:16]}"
