"""Weights for encoders: from a file, or from the catalogue through a folder where each is kept once."""

from __future__ import annotations

import re
import urllib.error
import urllib.request
import warnings
from collections.abc import Mapping
from math import inf
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ...core.digest import sha256_of
from ...core.errors import ConfigError, DataError, HyoidError
from ...core.files import atomic_path
from ...core.machine import user_cache
from ...core.progress import log, stage
from ..net import Net
from .catalogue import NON_COMMERCIAL, Source, source_called
from .published import load_published
from .pyramid import Pyramid
from .timm_encoder import TimmEncoder

TIMM = ("timm", f"{NON_COMMERCIAL}timm")
"""What asks for the weights that timm has for its model."""

_CHUNK = 1 << 20
_WRAPPERS = ("state_dict", "model_state_dict", "model")


def load_encoder_weights(net: nn.Module, weights: str | Path) -> Source | None:
    """Start the encoder of a net with public weights, adapted to its channels and dimensions.

    Args:
        net: A net on an encoder with a published layout, such as unet_resnet34.
        weights: A file (.pth, .pt, .safetensors), a name of the catalogue, such as resnet34, or timm for the weights
            that timm has for an encoder of its own.

    Returns:
        Where they come from, when that is the catalogue.

    Raises:
        ConfigError: When the net has no such encoder, or the name is unknown.
        DataError: When the file is not readable, is not the one of the catalogue, or belongs to another encoder.
        HyoidError: When the file could not be fetched.
    """
    if str(weights) in TIMM:
        licence = _timm_encoder(net).load_pretrained(str(weights) != TIMM[0])
        log.info("The encoder starts with the weights of timm, %s.", licence)
        return None
    encoder = published_encoder(net)
    source = None if Path(weights).is_file() else source_called(str(weights))
    tensors = read_tensors(weights if source is None else fetched(source))
    load_published(encoder, _narrowed(tensors), str(weights))
    terms = f", {source.licence}" if source else ""
    started = "encoder and the decoder start" if load_decoder(net, tensors) else "encoder starts"
    log.info("The %s with the weights of %s%s.", started, weights, terms)
    return source


def load_decoder(net: nn.Module, weights: Mapping[str, Tensor]) -> bool:
    """Load what follows the encoder of a whole model of segmentation_models.pytorch; whether it fitted.

    Its tensors are matched with those of the net in order of use, alike in shape; heads for other classes stay as they
    are. Nothing is loaded where the model has another decoder.

    Args:
        net: A net on a published encoder.
        weights: All tensors of the model, by its names.
    """
    parts = {key: value for key, value in weights.items() if key.startswith(("decoder.", "segmentation_head."))}
    parts = dict(sorted(parts.items(), key=lambda part: _column(part[0])))
    heads = {key for key in parts if not key.startswith("decoder.")}
    if not heads or not isinstance(net, Net):
        return False
    ours = {key: value for key, value in _in_order(net).items() if not key.startswith("encoder.")}
    given: dict[str, Tensor] = {}
    for key, mine in ours.items():
        name = next((name for name, value in parts.items() if _alike(name, value, key, mine)), None)
        if name is not None:
            given[key] = parts.pop(name)
    others = set(parts) - heads
    fits = not others and all(value.isfinite().all() for value in given.values())
    if fits and len(ours) - len(given) == len(set(parts) & heads):
        net.load_state_dict(given, strict=False)
        return True
    return False


def _column(name: str) -> tuple[float, int]:
    """Where a weight of a nested decoder is used: by column, then finest level first; others keep their order."""
    if node := re.match(r"decoder\.blocks\.x_(\d+)_(\d+)\.", name):
        first, last = map(int, node.groups())
        return last - first, -last
    return inf, 0


def _alike(name: str, value: Tensor, key: str, mine: Tensor) -> bool:
    return value.shape == mine.shape and name.rpartition(".")[2] == key.rpartition(".")[2]


def _in_order(net: Net) -> dict[str, Tensor]:
    """Tensors by name, in the order in which their layers are first used."""
    used: dict[str, None] = {}
    hooks = [
        module.register_forward_pre_hook(lambda *_, name=name: used.setdefault(name))
        for name, module in net.named_modules()
    ]
    training = net.training
    with torch.no_grad():
        net.eval()(torch.zeros(1, net.spec.in_channels, *net.smallest_input()))
    net.train(training)
    for hook in hooks:
        hook.remove()
    place = {name: number for number, name in enumerate(used)}
    state = net.state_dict()
    return dict(sorted(state.items(), key=lambda item: place.get(item[0].rpartition(".")[0], len(place))))


def published_encoder(net: nn.Module) -> Pyramid:
    """The encoder of a net that published weights fit.

    Raises:
        ConfigError: When there is none.
    """
    if found := next((module for module in net.modules() if isinstance(module, Pyramid)), None):
        return found
    raise ConfigError(
        "This net has no encoder with published weights; choose one that has, such as unet_resnet34, or leave "
        "training.encoder_weights out."
    )


def _timm_encoder(net: nn.Module) -> TimmEncoder:
    if found := next((module for module in net.modules() if isinstance(module, TimmEncoder)), None):
        return found
    raise ConfigError("training.encoder_weights = timm is for nets with encoder timm; this one has another.")


def check_weights(net: nn.Module, weights: str) -> None:
    """Refuse weights that are neither a file nor in the catalogue, and nets that cannot take them.

    Raises:
        ConfigError: When there is neither, or the net has no encoder for them.
    """
    if weights in TIMM:
        _timm_encoder(net)
        return
    published_encoder(net)
    if not Path(weights).is_file():
        source_called(weights)


def cache_folder() -> Path:
    """Where fetched weights are kept."""
    return user_cache() / "weights"


def fetched(source: Source) -> Path:
    """The file of an entry of the catalogue, fetched unless it is here, and whole.

    Raises:
        HyoidError: When it is not here and could not be fetched.
        DataError: When its digest is another one.
    """
    path = cache_folder() / source.file
    if not path.is_file():
        try:
            with atomic_path(path) as temporary:
                _download(source.url, temporary)
                _check_digest(temporary, source, f"What {source.url} gave")
        except HyoidError as error:
            if not isinstance(error.__cause__, urllib.error.URLError | TimeoutError | ConnectionError):
                raise
            reason = getattr(error.__cause__, "reason", error.__cause__)
            raise HyoidError(
                f"{source.url} could not be fetched ({reason}); fetch it on a machine that can, and put it at {path}."
            ) from None
    else:
        _check_digest(path, source, f"{path}")
    return path


def _download(url: str, path: Path) -> None:
    with urllib.request.urlopen(url, timeout=30) as answer, path.open("wb") as file:
        total = answer.headers.get("Content-Length")
        with stage("fetching weights", float(total) if total else None) as progress:
            while chunk := answer.read(_CHUNK):
                file.write(chunk)
                progress.advance(len(chunk))


def _check_digest(path: Path, source: Source, what: str) -> None:
    found = sha256_of(path)
    if not found.startswith(source.sha256):
        raise DataError(f"{what} is not {source.file}: its sha256 begins with {found[:8]}, not {source.sha256[:8]}.")


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name from a file of torch or safetensors; nothing is run that a file may hold.

    Raises:
        DataError: When the file is not readable or holds other things than tensors.
    """
    try:
        if Path(path).suffix == ".safetensors":
            from safetensors.torch import load_file

            return _plain(load_file(path))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch advises to trust files that it does not know
            return _plain(torch.load(path, map_location="cpu", weights_only=True))
    except DataError:
        raise
    except Exception:
        raise DataError(
            f"{path}: this is not a readable file of weights; expected tensors by name, as .safetensors or as "
            f"torch.save writes them, and nothing else in the file."
        ) from None


def _plain(found: Any) -> dict[str, Tensor]:
    while isinstance(found, dict) and (inner := next((key for key in _WRAPPERS if key in found), None)):
        found = found[inner]
    tensors = {key: value for key, value in dict(found).items() if isinstance(value, Tensor)}
    if not tensors:
        raise DataError("the file of weights holds no tensors by name.")
    return _under(tensors, "module.", "model.")


def _narrowed(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of the encoder of a whole model, without what other packages put before their names."""
    return _under(tensors, "backbone.", "encoder.")


def _under(tensors: dict[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    for prefix in prefixes:
        if any(key.startswith(prefix) for key in tensors):
            tensors = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return tensors
