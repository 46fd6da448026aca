"""Checkpoints: tensors and facts in one safetensors file, written atomically; nothing is ever unpickled."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.errors import DataError, HyoidError
from ..core.files import atomic_path

Tensors = dict[str, torch.Tensor]


def write_checkpoint(path: str | Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors by name, and facts as JSON in the header of the same file.

    Raises:
        HyoidError: When the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    solid = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    with atomic_path(path) as temporary:
        try:
            save_file(solid, temporary, {"facts": json.dumps(dict(facts))})
        except SafetensorError as error:
            raise HyoidError(f"{path}: the checkpoint could not be written ({error}).") from None


def read_checkpoint(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name and the facts that were written with them.

    Raises:
        DataError: When there is no checkpoint or it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise DataError(f"{path}: there is no checkpoint here; train first.")
    try:
        with safe_open(path, "pt") as file:
            facts = json.loads((file.metadata() or {}).get("facts", "{}"))
            return {name: file.get_tensor(name) for name in file.keys()}, facts  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: this is not a readable checkpoint ({error}); {_remedy(Path(path))}.") from None


def _remedy(path: Path) -> str:
    """What to do where a checkpoint is damaged: that of a run can be made anew."""
    if path.parent.name != "weights":
        return "copy or download it again"
    return f"put back a whole copy of it, or begin anew with `hyoid train {path.parent.parent} --no-resume`"


def load_weights(net: nn.Module, path: str | Path, averaged: bool = True) -> dict[str, Any]:
    """Put the weights of a checkpoint into a net.

    Args:
        net: A net built from the same spec.
        path: A file that `fit` wrote.
        averaged: Take the running average of the weights, which predicts better, rather than the last ones.

    Returns:
        The facts of the checkpoint: step, seconds, Dice.

    Raises:
        DataError: When the weights are those of another net.
    """
    tensors, facts = read_checkpoint(path)
    last = {} if averaged else part(tensors, facts.get("predicts", "net"))  # a kept module is only there as average
    names = last or part(tensors, "average")
    try:
        net.load_state_dict(names)
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise DataError(f"{path}: these weights belong to another net ({reason}).") from None
    return facts


def part(tensors: Tensors, prefix: str) -> Tensors:
    """The tensors below a prefix, without it."""
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(f"{prefix}/")}


def below(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Tensors:
    """The tensors with a prefix before their names."""
    return {f"{prefix}/{name}": tensor for name, tensor in tensors.items()}


def optimiser_tensors(optimiser: torch.optim.Optimizer) -> Tensors:
    """The state of an optimiser, such as momenta, as tensors named by parameter number and kind."""
    state = optimiser.state_dict()["state"]
    return {
        f"{number}/{kind}": value
        for number, kinds in state.items()
        for kind, value in kinds.items()
        if value is not None
    }


def restore_optimiser(optimiser: torch.optim.Optimizer, tensors: Tensors) -> None:
    """Give an optimiser the state that `optimiser_tensors` took."""
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, tensor in tensors.items():
        number, kind = name.split("/")
        state.setdefault(int(number), {})[kind] = tensor
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
