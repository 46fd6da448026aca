"""Public weights of R50+ViT-B/16, named by their first library, in TransUNet."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import DataError
from ..resample import LINEAR
from .published import adapt_channels, inflate

_BLOCK = {
    "LayerNorm_0": "norm1",
    "LayerNorm_2": "norm2",
    "MlpBlock_3/Dense_0": "widen",
    "MlpBlock_3/Dense_1": "narrow",
    "MultiHeadDotProductAttention_1/out": "attention.out",
}
_ENDS = {"kernel": "weight", "scale": "weight", "bias": "bias"}
_ATTENTION = "MultiHeadDotProductAttention_1"


def load_flax(net: nn.Module, weights: Mapping[str, np.ndarray], where: str = "weights") -> None:
    """Load the arrays of a published `.npz` of a hybrid transformer into a TransUNet; its decoder stays as it is.

    Positions are interpolated to the net's grid, the first convolution adapted to the image's channels, and in 3D 2D
    kernels are repeated along the first axis.

    Args:
        net: A TransUNet.
        weights: Names and arrays of the file; classifier and class token are left aside.
        where: What messages call the source, such as a file name.

    Raises:
        DataError: When a weight is missing or has another shape.

    Reference:
        dosovitskiy2021vit; kolesnikov2020bit.
    """
    ours = {
        key: value for key, value in net.state_dict().items() if not key.startswith(("enter.", "decoder.", "head."))
    }
    given = dict(_named(weights))
    missing = [key for key in ours if key not in given]
    if missing:
        raise DataError(
            f"{where}: {len(missing)} of {len(ours)} weights are missing, such as {missing[0]!r}. Give the arrays of a "
            f"hybrid of ResNet-50 and ViT with as many layers."
        )
    net.load_state_dict({key: _fitted(key, given[key], value, where) for key, value in ours.items()}, strict=False)


def _named(weights: Mapping[str, np.ndarray]) -> Iterator[tuple[str, Tensor]]:
    """Our names, and tensors in our layout."""
    arrays = {key: torch.from_numpy(np.asarray(value, np.float32)) for key, value in weights.items()}
    for key, value in arrays.items():
        *path, end = key.split("/")
        if key.startswith("Transformer/encoderblock_"):
            number, part = re.fullmatch(r"Transformer/encoderblock_(\d+)/(.*)", "/".join(path)).groups()  # type: ignore[union-attr]
            if part in _BLOCK:
                yield f"layers.{number}.{_BLOCK[part]}.{_ENDS[end]}", _dense(value, end)
            elif part == f"{_ATTENTION}/query":
                parts = [arrays[key.replace("query", name)] for name in ("query", "key", "value")]
                joined = torch.cat([p.flatten(1).T if end == "kernel" else p.flatten() for p in parts])
                yield f"layers.{number}.attention.qkv.{_ENDS[end]}", joined
        elif key == "Transformer/posembed_input/pos_embedding":
            yield "positions.weight", _grid(value)
        elif path == ["Transformer", "encoder_norm"]:
            yield f"norm.{_ENDS[end]}", value
        elif path == ["embedding"]:
            yield f"embed.{_ENDS[end]}", _kernel(value)
        elif path and path[0] in ("conv_root", "gn_root"):
            yield f"encoder.root.{path[0].removesuffix('_root')}.{_ENDS[end]}", _kernel(value)
        elif path and path[0].startswith("block"):
            name = ".".join(path).replace("conv_proj", "downsample")
            yield f"encoder.body.{name}.{_ENDS[end]}", _kernel(value)


def _kernel(value: Tensor) -> Tensor:
    """(H, W, I, O) as (O, I, H, W); anything else flat, as norms carry axes of one."""
    return value.permute(3, 2, 0, 1) if value.ndim == 4 and value.shape[:3] != (1, 1, 1) else value.flatten()


def _dense(value: Tensor, end: str) -> Tensor:
    """(..., O) as (O, I)."""
    return value.reshape(-1, value.shape[-1]).T if end == "kernel" else value.flatten()


def _grid(value: Tensor) -> Tensor:
    """Positions (1, 1 + L, C) as (1, C, n, n), without that of the class."""
    side = int((value.shape[1] - 1) ** 0.5)
    return value[:, 1:].transpose(1, 2).unflatten(-1, (side, side))


def _fitted(key: str, value: Tensor, ours: Tensor, where: str) -> Tensor:
    if key == "encoder.root.conv.weight":
        value = adapt_channels(value, ours.shape[1])
    if value.ndim == 4 and ours.ndim == 5:
        value = value.unsqueeze(2) if key == "positions.weight" else inflate(value, ours.shape[2])
    if key == "positions.weight" and value.shape != ours.shape:
        value = functional.interpolate(value, ours.shape[2:], mode=LINEAR[ours.ndim - 2])
    if value.shape != ours.shape:
        shapes = f"{tuple(value.shape)} where the net has {tuple(ours.shape)}"
        raise DataError(f"{where}: {key} has shape {shapes}. Keep the published widths to load weights.")
    return value
