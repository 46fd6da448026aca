"""Small stand-ins for packages that public code imports and that need not be there; what computes is in plain torch."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from contextlib import nullcontext
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

STAND_IN = "stand-in"
"""The file of modules that are none."""


def stand_in(name: str, **parts: Any) -> ModuleType:
    """A module of this name with these parts; `__main__` forgets it with the checkout that needs it."""
    module = sys.modules.get(name)
    if module is None:
        module = sys.modules[name] = ModuleType(name)
        module.__dict__.update(__path__=[], __file__=STAND_IN, __spec__=ModuleSpec(name, None))
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(stand_in(parent), last, module)
    module.__dict__.update(parts)
    return module


class DropPath(nn.Identity):
    """Drops paths in training only, which is never compared."""

    def __init__(self, drop_prob: float = 0.0) -> None:
        super().__init__()
        self.drop_prob = drop_prob


def timm_layers() -> None:
    """`timm.models.layers`, as nets of tokens import it."""
    parts = {
        "DropPath": DropPath,
        "to_2tuple": lambda n: n if isinstance(n, tuple) else (n, n),
        "trunc_normal_": nn.init.trunc_normal_,
    }
    for name in ("timm.models.layers", "timm.layers"):
        stand_in(name, **parts)


def torchvision_operators() -> None:
    """Names of operators that torchvision registers for; its packages have none beside another build of torch."""
    if not hasattr(torch.ops.torchvision, "nms"):
        global _operators
        _operators = torch.library.Library("torchvision", "FRAGMENT")
        for name in ("nms", "qnms"):
            _operators.define(f"{name}(Tensor boxes, Tensor scores, float threshold) -> Tensor")


def selective_scan(u, delta, A, B, C, D=None, z=None, delta_bias=None, delta_softplus=False, return_last_state=False):
    """The selective scan of sequences (B, D, L), one step after the other; B and C are (B, [groups,] N, L)."""
    delta = delta if delta_bias is None else delta + delta_bias[:, None]
    delta = functional.softplus(delta) if delta_softplus else delta
    B, C = (m.unsqueeze(1) if m.ndim == 3 else m for m in (B, C))
    B, C = (m.repeat_interleave(u.shape[1] // m.shape[1], 1) for m in (B, C))
    state, seen = u.new_zeros(*u.shape[:2], A.shape[1]), []
    for t in range(u.shape[-1]):
        step = delta[..., t, None]
        state = torch.exp(step * A) * state + step * B[..., t] * u[..., t, None]
        seen.append((state * C[..., t]).sum(-1))
    y = torch.stack(seen, -1)
    y = y if D is None else y + u * D[:, None]
    return y if z is None else y * functional.silu(z)


class Mamba(nn.Module):
    """The block of `mamba_ssm`, with its names of weights."""

    def __init__(self, d_model: int, d_state: int = 16, d_conv: int = 4, expand: int = 2, **_: Any) -> None:
        super().__init__()
        width, rank = expand * d_model, math.ceil(d_model / 16)
        self.split = (rank, d_state, d_state)
        self.in_proj = nn.Linear(d_model, 2 * width, bias=False)
        self.conv1d = nn.Conv1d(width, width, d_conv, groups=width, padding=d_conv - 1)
        self.x_proj = nn.Linear(width, rank + 2 * d_state, bias=False)
        self.dt_proj = nn.Linear(rank, width)
        self.A_log, self.D = nn.Parameter(torch.zeros(width, d_state)), nn.Parameter(torch.zeros(width))
        self.out_proj = nn.Linear(width, d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        u, z = self.in_proj(x).mT.chunk(2, 1)
        u = functional.silu(self.conv1d(u)[..., : x.shape[1]])
        rank, b, c = self.x_proj(u.mT).split(self.split, -1)
        y = selective_scan(u, self.dt_proj(rank).mT, -self.A_log.exp(), b.mT, c.mT, self.D, z, delta_softplus=True)
        return self.out_proj(y.mT)


class Replayed(nn.Module):
    """A net written as calls that make their layers: a first run makes them, later ones use them in the same order."""

    current: Replayed

    def __init__(self, graph: Callable[[Tensor], Tensor], example: Tensor) -> None:
        super().__init__()
        self.graph, self.layers, self.used = graph, nn.ModuleList(), 0
        self(example)

    def forward(self, x: Tensor) -> Tensor:
        Replayed.current, self.used = self, 0
        return self.graph(x.movedim(1, -1)).as_subclass(Tensor).movedim(-1, 1)


def layer(make: Callable[[int], nn.Module], x: Tensor) -> Tensor:
    """The next layer of the current net, made for as many channels as maps (B, *S, C) have, on these."""
    net = Replayed.current
    if net.used == len(net.layers):
        net.layers.append(make(x.shape[-1]))
    net.used += 1
    return net.layers[net.used - 1](x.movedim(-1, 1)).movedim(1, -1)


class Convolution(nn.Module):
    """A convolution with TensorFlow's "same" padding, whose odd voxel is at the end; transposed ones are cut there."""

    def __init__(self, dims: int, given: int, width: int, size: Any, step: Any, bias: bool, up: bool = False) -> None:
        super().__init__()
        size, self.step = ((n,) * dims if isinstance(n, int) else tuple(n) for n in (size, step))
        kinds = (nn.ConvTranspose2d, nn.ConvTranspose3d) if up else (nn.Conv2d, nn.Conv3d)
        self.conv = kinds[dims - 2](given, width, size, self.step, bias=bias)
        self.up = up
        extra = [max(0, n - s) for n, s in zip(size, self.step, strict=True)]
        self.pads = [m for n in reversed(extra) for m in (n // 2, n - n // 2)]

    def forward(self, x: Tensor) -> Tensor:
        if not self.up:
            return self.conv(functional.pad(x, self.pads))
        kept = [slice(0, n * s) for n, s in zip(x.shape[2:], self.step, strict=True)]
        return self.conv(x)[(..., *kept)]


def keras() -> None:
    """The layers of Keras that U's use; a last sigmoid is left out, for logits are compared."""

    def convolution(dims: int, up: bool) -> Callable[..., Any]:
        def of(filters, size, strides=1, padding="same", use_bias=True):
            return lambda x: layer(lambda given: Convolution(dims, given, filters, size, strides, use_bias, up), x)

        return of

    def norm(axis, scale=True):
        def make(given, dims):
            made = (nn.BatchNorm2d, nn.BatchNorm3d)[dims - 2](given, eps=1e-3)
            return made if scale else (made.register_parameter("weight", None), made)[1]

        return lambda x: layer(lambda given: make(given, x.ndim - 2), x)

    parts: dict[str, Any] = {
        "Input": lambda shape: None,
        "BatchNormalization": norm,
        "Activation": lambda act, name=None: functional.relu if act == "relu" else lambda x: x,
        "add": sum,
        "concatenate": lambda maps, axis: torch.cat(maps, axis),
    }
    for dims, pool in ((2, functional.max_pool2d), (3, functional.max_pool3d)):
        parts[f"Conv{dims}D"], parts[f"Conv{dims}DTranspose"] = convolution(dims, False), convolution(dims, True)
        parts[f"MaxPooling{dims}D"] = lambda pool_size, pool=pool: (
            lambda x: pool(x.movedim(-1, 1), pool_size).movedim(1, -1)
        )
    stand_in("keras.layers", **parts)
    stand_in("keras.models", Model=lambda inputs, outputs: outputs[0], model_from_json=None)
    stand_in("keras.optimizers", Adam=None)
    stand_in("keras.layers.advanced_activations", ELU=None, LeakyReLU=None)
    stand_in("keras.utils.vis_utils", plot_model=None)


class Dimension(int):
    """A size, as TensorFlow 1 gives it."""

    value = property(int)


class GraphTensor(Tensor):
    """A tensor that can be asked for its shape as in TensorFlow 1."""

    shape = property(lambda self: [Dimension(n) for n in self.size()])

    def get_shape(self) -> SimpleNamespace:
        return SimpleNamespace(dims=self.shape)

    def set_shape(self, shape: Any) -> None:
        pass


def tensorflow() -> None:
    """The operations of TensorFlow 1 that a 3D net uses, computed at once; shapes are lists."""

    def convolution(up):
        def of(inputs, filters, kernel_size, strides, padding, use_bias, kernel_initializer):
            return layer(lambda given: Convolution(3, given, filters, kernel_size, strides, use_bias, up), inputs)

        return of

    def norm(inputs, epsilon, **_):
        return layer(lambda given: nn.BatchNorm3d(given, epsilon), inputs)

    layers = SimpleNamespace(
        conv3d=convolution(False),
        conv3d_transpose=convolution(True),
        batch_normalization=norm,
        dropout=lambda inputs, rate=0.5, training=False: inputs,
    )
    stand_in("numpy.core.umath_tests", inner1d=None)
    stand_in(
        "tensorflow",
        layers=layers,
        nn=SimpleNamespace(relu6=functional.relu6, softmax=lambda x, name: x.softmax(-1)),
        truncated_normal_initializer=lambda: None,
        identity=lambda x, name: x,
        variable_scope=lambda *_, **__: nullcontext(),
        shape=lambda x: list(x.size()),
        concat=lambda parts, axis: [n for part in parts for n in part],
        reduce_prod=math.prod,
        reshape=lambda x, shape: x.reshape(*map(int, shape)),
        transpose=lambda x, axes: x.permute(*axes),
        matmul=lambda a, b, transpose_b=False: a @ (b.mT if transpose_b else b),
    )
