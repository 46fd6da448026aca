"""Checkpoints: tensors and facts in one safetensors file, written atomically; nothing is ever unpickled.

A checksum of all of it is kept in the header of the file, and is compared whenever the file is read.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..core.digest import checksum
from ..core.errors import DataError, HyoidError
from ..core.files import atomic_path
from ..core.shapes import checked
from ..core.trees import load_json

Tensors = dict[str, torch.Tensor]


def write_checkpoint(path: str | Path, tensors: Mapping[str, torch.Tensor], facts: Mapping[str, Any]) -> None:
    """Write tensors by name, and facts as JSON in the header of the same file.

    Raises:
        HyoidError: When the file cannot be written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    solid = {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}
    text = json.dumps(dict(facts))
    header = {"facts": text, "crc32": checksum(_bytes_of(solid, text))}
    with atomic_path(path) as temporary:
        try:
            save_file(solid, temporary, header)
        except SafetensorError as error:
            raise HyoidError(f"{path}: the checkpoint could not be written ({error}).") from None


def read_checkpoint(path: str | Path) -> tuple[Tensors, dict[str, Any]]:
    """Tensors by name and the facts that were written with them.

    Raises:
        DataError: When there is no checkpoint, it is damaged, or it is not what was written.
    """
    from safetensors import SafetensorError, safe_open

    if not Path(path).is_file():
        raise DataError(f"{path}: there is no checkpoint here; train first.")
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
            text = header.get("facts", "{}")
            facts, tensors = load_json(text), {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError) as error:
        raise DataError(f"{path}: this is not a readable checkpoint ({error}); {_remedy(Path(path))}.") from None
    # files of other programs and of earlier versions have no checksum
    if header.get("crc32", found := checksum(_bytes_of(tensors, text))) != found:
        raise DataError(f"{path}: this file has changed since it was written; {_remedy(Path(path))}.")
    return tensors, checked(facts, {"predicts?": str, "outputs?": [str]}, Path(path), _remedy(Path(path)))


def check_finite(path: str | Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Refuse weights that are NaN or infinite, which answer nothing.

    Raises:
        DataError: Naming the file and the first such weight.
    """
    for name, tensor in tensors.items():
        if not tensor.isfinite().all():
            raise DataError(f"{path}: the weights {name} are not finite numbers; {_remedy(Path(path))}.")


def _bytes_of(tensors: Mapping[str, torch.Tensor], text: str) -> Iterator[bytes | memoryview]:
    """All that a checkpoint holds, in one order."""
    yield text.encode()
    for name, tensor in sorted(tensors.items()):
        yield f"{name} {tensor.dtype} {tuple(tensor.shape)}".encode()
        yield tensor.reshape(-1).view(torch.uint8).numpy().data


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
        DataError: When the weights are those of another net, or not finite.
    """
    tensors, facts = read_checkpoint(path)
    last = {} if averaged else part(tensors, facts.get("predicts", "net"))  # a kept module is only there as average
    names = last or part(tensors, "average")
    check_finite(path, names)
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
