"""What a net costs: parameters, operations, memory, receptive field, found without computing anything.

The net runs on torch's meta device, where tensors have shapes but no numbers, while every operation is watched. So the
figures hold for any net, not only for those that this package composes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from .net import Net, NetSpec
from .unet import UNetSpec


@dataclass(frozen=True)
class Cost:
    """What one sample costs.

    Attributes:
        parameters: Trained numbers.
        flops: Floating point operations of the forward pass (a multiplication and an addition are two); the backward
            pass takes about twice as many.
        activation_values: Numbers kept from the forward for the backward pass, in units of 32 bits.
        receptive_field: Voxels along each axis that a voxel of the finest logits can see through convolutions and
            pooling; infinite where attention sees everything. Statistics of norms are not counted.
    """

    parameters: int
    flops: int
    activation_values: int
    receptive_field: tuple[float, ...]


def cost(spec: NetSpec, shape: Sequence[int]) -> Cost:
    """What a net costs for one sample of this shape.

    Args:
        spec: The net.
        shape: Spatial shape that the net accepts.
    """
    return cost_of(without_numbers(spec), spec.in_channels, shape)


def without_numbers(spec: NetSpec) -> Net:
    """The net on the meta device: its modules and the shapes of its weights, in a fraction of the time."""
    with torch.device("meta"), _Undrawn():
        return spec.build().train()


def cost_of(net: Net, in_channels: int, shape: Sequence[int], alone: bool = False) -> Cost:
    """What a net of `without_numbers` costs for one sample of this shape.

    With `alone` the sample must be enough for a step: a ValueError where batch norm would have one value.
    """
    device = device_of(net)
    image = torch.zeros(1, in_channels, *shape, device=device)
    kept, watch, passing = _Kept(net), _Watch(image), nullcontext() if alone else _OfOneValue()
    with device, torch.autograd.graph.saved_tensors_hooks(kept.pack, lambda tensor: tensor), passing, watch:
        logits = net(image)
    return Cost(
        parameters=sum(parameter.numel() for parameter in net.parameters()),
        flops=watch.flops,
        activation_values=kept.bytes // 4,
        receptive_field=watch.of(logits[0]),
    )


def device_of(net: torch.nn.Module) -> torch.device:
    """The meta device, but for nets that cannot do without numbers."""
    return next((weight.device for weight in net.parameters()), torch.device("meta"))


class _Undrawn(TorchFunctionMode):
    """Draws no first weights: there is nowhere to put them, and the meta device is slow at it."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return args[0] if func in (Tensor.normal_, Tensor.uniform_) else func(*args, **(kwargs or {}))


class _OfOneValue(TorchFunctionMode):
    """Lets batch norm of one value pass, since a step learns from several samples."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        return (_batch_norm if func is torch.nn.functional.batch_norm else func)(*args, **(kwargs or {}))


def _batch_norm(
    maps: Tensor,
    mean: Tensor | None,
    variance: Tensor | None,
    weight: Tensor | None,
    bias: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> Tensor:
    """What torch computes after its check of sizes."""
    cudnn = torch.backends.cudnn.enabled
    return torch.batch_norm(maps, weight, bias, mean, variance, training, momentum, eps, cudnn)


class _Kept:
    """Counts what autograd keeps, every storage once and parameters not at all."""

    def __init__(self, net: torch.nn.Module) -> None:
        self.known = {_storage(tensor) for tensor in [*net.parameters(), *net.buffers()]}
        self.bytes = 0

    def pack(self, tensor: Tensor) -> Tensor:
        if _storage(tensor) not in self.known:
            self.known.add(_storage(tensor))
            self.bytes += tensor.untyped_storage().nbytes()
        return tensor


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


Axes = tuple[float, ...]


class _Watch(TorchDispatchMode):
    """Counts operations, and follows how many voxels of the image each map can see and by how many it steps."""

    def __init__(self, image: Tensor) -> None:
        super().__init__()
        one = (1.0,) * (image.ndim - 2)
        self.flops = 0
        self._seen: dict[int, tuple[Axes, Axes]] = {id(image): (one, one)}
        self._alive = [image]  # an id is only unique while its tensor lives

    def of(self, tensor: Tensor) -> Axes:
        """The receptive field of a map."""
        return self._seen[id(tensor)][0]

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        packet, options = func.overloadpacket, kwargs or {}
        # a net may also compute with real numbers, such as places in a table
        out = _SHORT[packet](args) if packet in _SHORT and args[0].is_meta else NotImplemented
        out = func(*args, **options) if out is NotImplemented else out
        if count := flop_registry.get(packet):
            self.flops += int(count(*args, **options, out_val=out))
        sources = [self._seen[id(leaf)] for leaf in tensors_in((args, *options.values())) if id(leaf) in self._seen]
        if sources:
            field = tuple(max(axis) for axis in zip(*(seen for seen, _ in sources), strict=True))
            step = sources[0][1]
            look = _LOOKS.get(packet)
            seen = look(field, step, args, out) if look else (field, step)
            for leaf in tensors_in((out,)):
                self._seen[id(leaf)] = seen
                self._alive.append(leaf)
        return out


def tensors_in(values: Iterable[Any]) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, list | tuple):
            yield from tensors_in(value)


def _normed(args: tuple[Any, ...]) -> tuple[Tensor, Tensor, Tensor]:
    x, channels = args[0], args[0].shape[1]
    return torch.empty_like(x), x.new_empty(channels), x.new_empty(channels)


def _joined(args: tuple[Any, ...]) -> Any:
    x, y = args[:2]
    same = isinstance(y, Tensor) and (x.shape, x.dtype) == (y.shape, y.dtype)
    return torch.empty_like(x) if same else NotImplemented


Look = Callable[[Axes, Axes, tuple[Any, ...], Any], tuple[Axes, Axes]]


def _convolved(field: Axes, step: Axes, args: tuple[Any, ...], out: Any) -> tuple[Axes, Axes]:
    _, weight, _, strides, _, dilations, transposed = args[:7]
    kernel = weight.shape[2:]
    if transposed:
        taps = [math.ceil(k / s) for k, s in zip(kernel, strides, strict=True)]
        return _widened(field, step, taps), _stepped(step, [1 / s for s in strides])
    taps = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    return _widened(field, step, taps), _stepped(step, strides)


def _pooled(field: Axes, step: Axes, args: tuple[Any, ...], out: Any) -> tuple[Axes, Axes]:
    kernel, strides = args[1], args[2] if len(args) > 2 and args[2] else args[1]
    return _widened(field, step, kernel), _stepped(step, strides)


def _interpolated(taps: int) -> Look:
    def look(field: Axes, step: Axes, args: tuple[Any, ...], out: Any) -> tuple[Axes, Axes]:
        factors = [m / n for n, m in zip(args[0].shape[2:], out.shape[2:], strict=True)]
        kernel = [taps if factor != 1 else 1 for factor in factors]
        return _widened(field, step, kernel), _stepped(step, [1 / f for f in factors])

    return look


def _attended(field: Axes, step: Axes, args: tuple[Any, ...], out: Any) -> tuple[Axes, Axes]:
    return (math.inf,) * len(field), step


def _widened(field: Axes, step: Axes, taps: Sequence[int]) -> Axes:
    return tuple(n + (k - 1) * j for n, k, j in zip(field, _on_all(taps, field), step, strict=True))


def _stepped(step: Axes, factors: Sequence[float]) -> Axes:
    return tuple(j * f for j, f in zip(step, _on_all(factors, step), strict=True))


def _on_all(values: Sequence[Any], axes: Axes) -> list[Any]:
    """One value for each axis: an operation on the slices of a volume leaves its first axis as it is."""
    return [*[1] * (len(axes) - len(values)), *values]


_ATEN = torch.ops.aten
_LOOKS: dict[Any, Look] = {
    _ATEN.convolution: _convolved,
    _ATEN.max_pool2d_with_indices: _pooled,
    _ATEN.max_pool3d_with_indices: _pooled,
    _ATEN.avg_pool2d: _pooled,
    _ATEN.avg_pool3d: _pooled,
    _ATEN.upsample_bilinear2d: _interpolated(2),
    _ATEN.upsample_trilinear3d: _interpolated(2),
    _ATEN.upsample_nearest2d: _interpolated(1),
    _ATEN.upsample_nearest3d: _interpolated(1),
    _ATEN.bmm: _attended,
    _ATEN._scaled_dot_product_flash_attention_for_cpu: _attended,
    _ATEN._scaled_dot_product_efficient_attention: _attended,
}

# What the meta device finds out in Python, slowly, although it is known; most of a net's operations are of these kinds.
_SHORT: dict[Any, Callable[[tuple[Any, ...]], Any]] = {
    _ATEN.native_batch_norm: _normed,
    **dict.fromkeys((_ATEN.add, _ATEN.mul), _joined),
    **dict.fromkeys((_ATEN.relu, _ATEN.gelu, _ATEN.silu), lambda args: torch.empty_like(args[0])),
    **dict.fromkeys((_ATEN.relu_, _ATEN.leaky_relu_, _ATEN.silu_, _ATEN.elu_), lambda args: args[0]),
}


def feature_map_size(spec: UNetSpec, shape: Sequence[int]) -> int:
    """Numbers in the outputs of all convolutions, in the sense of nnU-Net's planner.

    It counts plain and residual encoders with plain decoders, batch 1; a strided residual block counts a projection
    even where it only pools, as the planner does.

    Args:
        spec: The net; heads of deep supervision count when it has them.
        shape: Spatial shape of the patch.

    Reference:
        isensee2021nnunet.
    """
    levels = spec.levels()
    residual = spec.block != "plain"
    sizes = _level_sizes(spec, shape)
    total = levels[0].channels * sizes[0] if spec.stem is not None else 0
    before = levels[0].channels if spec.stem is not None else spec.in_channels
    for index, (level, voxels) in enumerate(zip(levels, sizes, strict=True)):
        convolutions = level.blocks_encoder * (2 if residual else 1)
        projected = residual and (before != level.channels or any(step > 1 for step in level.stride))
        total += level.channels * voxels * (convolutions + projected)
        before = level.channels
        if index < len(levels) - 1:
            total += level.channels * voxels * (1 + level.blocks_decoder)
    supervised = len(levels) - 1 if spec.deep_supervision else 1
    return total + spec.out_channels * sum(sizes[:supervised])


def _level_sizes(spec: UNetSpec, shape: Sequence[int]) -> list[int]:
    """Voxels of each level."""
    sizes, current = [], list(shape)
    for stride in spec.strides:
        current = [n // s for n, s in zip(current, stride, strict=True)]
        sizes.append(math.prod(current))
    return sizes
