"""Published weights in an encoder: by name, adapted to other image channels and to volumes."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from ...core.errors import DataError
from .pyramid import LEVELS, Pyramid


def load_published(encoder: Pyramid, weights: Mapping[str, Tensor], where: str = "weights") -> None:
    """Load weights that were trained on three-channel pictures, in torchvision's naming.

    The first convolution is adapted to the image: for one channel its three slices are summed, for others repeated in
    turn and scaled, so that its answers keep their size. In 3D, 2D kernels are repeated along the first axis and
    divided by its length. The classifier is left aside, and parts that the published net lacks stay as they are.

    Args:
        encoder: The encoder of a U, such as `net.encoder`.
        weights: Names and tensors of the published file.
        where: What messages call the source, such as a file name.

    Raises:
        DataError: When a weight is missing, has another shape, or belongs to a larger net.
    """
    renamed = encoder.renamed(weights).items()
    given = {_modern(key): value for key, value in renamed if not key.startswith(encoder.unused)}
    ours = {key: value for key, value in encoder.state_dict().items() if not key.startswith(encoder.own)}
    needed = [key for key in ours if not key.endswith("num_batches_tracked")]  # old files do not count batches
    missing = [key for key in needed if key not in given]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(needed)} weights of the encoder are missing, such as {missing[0]!r}. "
            f"Give the weights of the same net in torchvision's naming."
        )
    known = {_stage(key) for key in ours}
    whole = len(encoder.channels) == LEVELS  # shallower ones leave the weights of the rest aside
    further = [key for key in given if key not in ours and (whole or _stage(key) in known)]
    if further:
        raise DataError(
            f"{where}: {len(further)} weights have no place in the encoder, such as {further[0]!r}. "
            f"They belong to another net; choose the net that they were trained in."
        )
    broken = [key for key in ours if key in given and not given[key].isfinite().all()]
    if broken:
        raise DataError(
            f"{where}: {len(broken)} weights hold NaN or infinity, such as {broken[0]!r}; the file is broken."
        )
    fitted = {key: _fitted(key, given[key], value, encoder, where) for key, value in ours.items() if key in given}
    encoder.load_state_dict(fitted, strict=False)


def _stage(key: str) -> str:
    """Where in the encoder a weight belongs: layer1 of layer1.2.conv1.weight, features.3 of features.3.0.weight.

    A transition of DenseNet lies between levels, and the last level of a shallower encoder ends within it.
    """
    first, _, rest = key.partition(".")
    if rest.startswith("transition"):
        return key
    return f"{first}.{rest.partition('.')[0]}" if first == "features" else first


def _modern(key: str) -> str:
    """Old files of DenseNet say `norm.1` where newer ones say `norm1`."""
    return re.sub(r"(denselayer\d+\.(?:norm|conv))\.(\d)", r"\1\2", key)


def _fitted(key: str, weight: Tensor, ours: Tensor, encoder: Pyramid, where: str) -> Tensor:
    if key == encoder.stem and weight.ndim > 1:
        weight = adapt_channels(weight, ours.shape[1])
    if weight.ndim == 4 and ours.ndim == 5:
        weight = inflate(weight, ours.shape[2])
    if weight.shape != ours.shape:
        shapes = f"{tuple(weight.shape)} where the encoder has {tuple(ours.shape)}"
        raise DataError(f"{where}: {key} has shape {shapes}. Keep the published widths and kernels to load weights.")
    return weight


def adapt_channels(weight: Tensor, in_channels: int) -> Tensor:
    """The weight of a first convolution for another number of image channels: summed for one, else repeated, scaled.

    Args:
        weight: Shape (O, I, *K).
        in_channels: Channels of the image.
    """
    published = weight.shape[1]
    if in_channels == published:
        return weight
    if in_channels == 1:
        return weight.sum(1, keepdim=True)
    turn = torch.arange(in_channels) % published
    return weight[:, turn] * (published / in_channels)


def inflate(weight: Tensor, depth: int) -> Tensor:
    """A 2D kernel as a 3D one that gives the same answer in a volume whose slices are alike.

    Args:
        weight: Shape (O, I, H, W).
        depth: Size of the kernel along the first axis.
    """
    return weight.unsqueeze(2).repeat(1, 1, depth, 1, 1) / depth
