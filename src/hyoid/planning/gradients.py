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
from ..core.progress import log
from ..nets.cost import without_numbers
from ..nets.half import FEW, MATRIX_UNITS
from ..nets.layers import channels_last
from ..nets.net import NetSpec

ALIKE = 0.99
"""Least cosine between a right gradient in bfloat16 and that in float32; rounding alone leaves more than 0.9999."""

LONGEST, LARGEST = 12, 96
"""Voxels along an axis that are tried, and along the last ones of few slices with matrix units; longer is as right."""

Shape = tuple[int, ...]


def wrong_gradients(spec: NetSpec, patch: Sequence[int], batch: int = 1) -> list[str]:
    """The convolutions of a net whose gradients in bfloat16 are wrong on this processor, in words; empty when none is.

    What was tried before is remembered in the user's cache folder.

    Args:
        spec: The net.
        patch: Voxels along each axis of what it sees.
        batch: Patches that it sees at once; no more than two are tried.
    """
    file = user_cache() / "gradients.json"
    known = _read(file) if file.is_file() else {}
    here = [torch.__version__, machine()["processor"], torch.backends.cpu.get_cpu_capability(), MATRIX_UNITS]
    found, told = dict[str, str](), dict[str, bool]()
    for words, layer, shape in _convolutions(spec, patch, min(batch, 2)):
        key = hashlib.sha256(json.dumps([here, words, shape[0], "all"]).encode()).hexdigest()[:16]
        found[words] = key
        told[key] = known[key] if key in known else _tried(layer, shape, words)
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


def _convolutions(spec: NetSpec, patch: Sequence[int], batch: int) -> list[tuple[str, _ConvNd, Shape]]:
    """Each kind of convolution with a kernel of more than one voxel, in words, and the shape of its maps."""
    net, found = without_numbers(spec), dict[str, tuple[str, _ConvNd, Shape]]()

    def note(layer: nn.Module, inputs: tuple[Tensor, ...], _: Any) -> None:
        assert isinstance(layer, _ConvNd)
        sizes = inputs[0].shape[2:]
        thin = MATRIX_UNITS and len(sizes) == 3 and sizes[0] < FEW
        most = (LONGEST, *(LARGEST if thin else LONGEST,) * (len(sizes) - 1))
        shape = (batch, inputs[0].shape[1], *map(min, sizes, map(max, most, _least(layer))))
        words = f"{layer} of maps {'x'.join(map(str, shape[2:]))}"
        found.setdefault(words, (words, layer, shape))

    hooks = [
        part.register_forward_hook(note)
        for part in net.modules()
        if isinstance(part, _ConvNd) and max(part.kernel_size) > 1
    ]
    with torch.no_grad():
        net(torch.zeros(2, spec.in_channels, *tuple(patch)[-spec.dims :], device="meta"))
    for hook in hooks:
        hook.remove()
    return list(found.values())


def _least(layer: _ConvNd) -> list[int]:
    """Voxels along each axis at which a convolution is at work twice."""
    pads = (0,) * len(layer.stride) if isinstance(layer.padding, str) else layer.padding
    spans = zip(layer.dilation, layer.kernel_size, pads, layer.stride, strict=True)
    return [rate * (kernel - 1) + 1 - 2 * pad + step for rate, kernel, pad, step in spans]


def _tried(layer: _ConvNd, shape: Shape, words: str) -> bool:
    """Whether its gradient is right; taken as right where a convolution cannot be run by itself."""
    try:
        return is_right(layer, shape)
    except RuntimeError as error:
        log.warning("The gradient of %s in bfloat16 was not tried: %s", words, str(error).splitlines()[0])
        return True


def is_right(layer: _ConvNd, shape: Shape) -> bool:
    """Whether a convolution of random maps and its gradients are alike in bfloat16 and float32."""
    draw = torch.Generator().manual_seed(0)
    layer = copy.deepcopy(layer).to_empty(device="cpu")
    for values in layer.parameters():
        values.data = torch.randn(values.shape, generator=draw) / max(1, values[0].numel()) ** 0.5
    maps = torch.randn(shape, generator=draw)
    slope = torch.randn(layer(maps).shape, generator=draw)
    exact = _results(layer, maps, slope, half=False)
    for layout in (maps, channels_last(maps)) if maps.ndim > 3 else (maps,):
        for wanted, found in zip(exact, _results(layer, layout, slope, half=True), strict=True):
            cosine = torch.nn.functional.cosine_similarity(wanted, found, 0)
            if not (cosine > ALIKE and torch.isclose(wanted.norm(), found.norm(), rtol=0.05)):
                return False
    return True


def _results(layer: _ConvNd, maps: Tensor, slope: Tensor, half: bool) -> list[Tensor]:
    """The answer, and its gradients by weights and maps."""
    maps = maps.detach().requires_grad_()
    with torch.enable_grad(), torch.autocast("cpu", torch.bfloat16, enabled=half):
        answer = layer(maps).float()
    found = torch.autograd.grad(answer, (layer.weight, maps), slope)
    return [values.detach().double().flatten() for values in (answer, *found)]
