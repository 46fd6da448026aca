"""Whether this machine's processor gives right gradients of the weights of a net's convolutions in bfloat16.

oneDNN chooses its code by processor and by the shape of maps, and some of it is wrong (see `nets.half`); so the shapes
of the planned net are tried once on each machine and with each torch.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from ..core.files import atomic_path
from ..core.machine import machine, user_cache
from ..nets.cost import without_numbers
from ..nets.half import FEW, MATRIX_UNITS
from ..nets.layers import channels_last
from ..nets.net import NetSpec

ALIKE = 0.99
"""Least cosine between a right gradient in bfloat16 and that in float32; rounding alone leaves more than 0.9999."""

LONGEST, LARGEST = 12, 96
"""Voxels along an axis that are tried, and along the last ones of few slices with matrix units; longer is as right."""

Shape = tuple[int, ...]


def wrong_gradients(spec: NetSpec, patch: Sequence[int]) -> list[str]:
    """The convolutions of a net whose gradients in bfloat16 are wrong on this processor, in words; empty when none is.

    What was tried before is remembered in the user's cache folder.

    Args:
        spec: The net.
        patch: Voxels along each axis of what it sees.
    """
    file = user_cache() / "gradients.json"
    known = _read(file) if file.is_file() else {}
    here = [torch.__version__, machine()["processor"], torch.backends.cpu.get_cpu_capability(), MATRIX_UNITS]
    found, told = dict[str, str](), dict[str, bool]()
    for words, layer, shape in _convolutions(spec, patch):
        key = hashlib.sha256(json.dumps([here, words]).encode()).hexdigest()[:16]
        found[words] = key
        told[key] = known[key] if key in known else is_right(layer, shape)
    if not told.keys() <= known.keys():
        file.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(file) as temporary:
            temporary.write_text(json.dumps(known | told), encoding="utf-8")
    return [words for words, key in found.items() if not told[key]]


def _read(file: Any) -> dict[str, bool]:
    try:
        return dict(json.loads(file.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return {}


def _convolutions(spec: NetSpec, patch: Sequence[int]) -> list[tuple[str, _ConvNd, Shape]]:
    """Each kind of convolution with a kernel of more than one voxel, in words, and the shape of its maps."""
    net, found = without_numbers(spec), dict[str, tuple[str, _ConvNd, Shape]]()

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:
        assert isinstance(layer, _ConvNd)
        sizes = inputs[0].shape[2:]
        thin = MATRIX_UNITS and len(sizes) == 3 and sizes[0] < FEW
        most = (LONGEST, *(LARGEST if thin else LONGEST,) * (len(sizes) - 1))
        shape = (1, inputs[0].shape[1], *map(min, sizes, most))
        words = f"{layer} of maps {'x'.join(map(str, shape[2:]))}"
        found.setdefault(words, (words, layer, shape))

    hooks = [
        part.register_forward_hook(note)
        for part in net.modules()
        if isinstance(part, _ConvNd) and max(part.kernel_size) > 1
    ]
    with torch.no_grad():
        net(torch.zeros(1, spec.in_channels, *tuple(patch)[-spec.dims :], device="meta"))
    for hook in hooks:
        hook.remove()
    return list(found.values())


def is_right(layer: _ConvNd, shape: Shape) -> bool:
    """Whether the gradient of the weights of a convolution of random maps is alike in bfloat16 and float32."""
    draw = torch.Generator().manual_seed(0)
    layer = copy.deepcopy(layer).to_empty(device="cpu")
    for values in layer.parameters():
        values.data = torch.randn(values.shape, generator=draw) / max(1, values[0].numel()) ** 0.5
    maps = torch.randn(shape, generator=draw)
    slope = torch.randn(layer(maps).shape, generator=draw)
    exact = _gradient(layer, maps, slope, half=False)
    for layout in (maps, channels_last(maps)) if maps.ndim > 3 else (maps,):
        rounded = _gradient(layer, layout, slope, half=True)
        cosine = torch.nn.functional.cosine_similarity(exact, rounded, 0)
        if not (cosine > ALIKE and torch.isclose(exact.norm(), rounded.norm(), rtol=0.05)):
            return False
    return True


def _gradient(layer: _ConvNd, maps: Tensor, slope: Tensor, half: bool) -> Tensor:
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        answer = layer(maps).float()
    (found,) = torch.autograd.grad(answer, layer.weight, slope)
    return found.double().flatten()
