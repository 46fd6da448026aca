"""Nets of one's own: any module that makes logits of images, on the shelf beside the others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn

from ..core.errors import ConfigError
from ..core.registry import Registry
from .net import Net, NetSpec, nets

_builders: Registry[nn.Module] = Registry("net")
_divisors: dict[str, int | None] = {}

EDGE = {2: 64, 3: 32}
"""Edge of the images on which a module is tried, and its largest divisor that is found; powers of two are tried."""


def own_net(
    name: str, build: Callable[..., nn.Module], papers: str | tuple[str, ...] = (), divisor: int | None = None
) -> None:
    """Put a module on the shelf of nets; it is then planned, trained, asked and exported like any other.

    The module takes images `(B, in_channels, *S)` and gives logits `(B, out_channels, *S)`, or a tuple of them, the
    finest first; coarser ones are used in training only. Logits may be smaller by the same margin at each end.

    Args:
        name: A free name in snake case.
        build: Called with `in_channels`, `out_channels`, `dims` and the options of the net, all by name.
        papers: Keys of references.bib.
        divisor: Sizes it accepts are multiples of this number, along each axis; found by trying when not given.

    Raises:
        ConfigError: When the name is taken. When the net is built: if it accepts no size, or its logits do not fit.

    Example:
        >>> own_net("small", lambda in_channels, out_channels, dims: nn.Conv2d(in_channels, out_channels, 3, padding=1))
    """

    if not callable(build) or (divisor is not None and divisor < 1):
        raise ConfigError(
            f"own_net {name!r}: expected a function or class that builds the module, and a divisor from 1 on; got"
            f" {build!r} and {divisor}."
        )

    def spec(dims: int, in_channels: int, out_channels: int, **options: Any) -> OwnSpec:
        given = {"dims": dims, "in_channels": in_channels, "out_channels": out_channels}
        return OwnSpec.parse({**given, "name": name, "options": options}, f"net {name}")

    spec.__doc__, spec.__module__ = build.__doc__, build.__module__
    nets.register(name, papers)(spec)
    _builders.register(name, papers)(build)
    _divisors[name] = divisor


class OwnSpec(NetSpec):
    """A module of somebody's own: its name and options; the code is in an extension."""

    kind: Literal["own"] = "own"
    name: str = Field(description="Name that `own_net` was given.")
    options: dict[str, Any] = Field({}, description="Options of the function that builds the module.")

    def module(self) -> nn.Module:
        """The module as its builder makes it."""
        if self.name not in _builders:
            raise ConfigError(
                f"No module is registered as net {self.name!r}; name the file that says own_net({self.name!r}, ...) "
                "under `extensions:`."
            )
        given = {"in_channels": self.in_channels, "out_channels": self.out_channels, "dims": self.dims}
        return _builders.build(self.name, **given, **self.options)

    def build(self) -> OwnNet:
        """The net, newly initialised; with numbers where it cannot do without, whatever device is the default."""
        sizes = _sizes_of(self)
        with nullcontext() if sizes.without_numbers else torch.device("cpu"):
            return OwnNet(self.module(), sizes)


class _Sizes(NamedTuple):
    """The sizes that a module accepts, and whether it runs on the meta device."""

    divisor: tuple[int, ...]
    margin: tuple[int, ...]
    smallest: tuple[int, ...]
    without_numbers: bool


class OwnNet(Net):
    """A module of somebody's own, as hyoid calls nets."""

    def __init__(self, module: nn.Module, sizes: _Sizes) -> None:
        super().__init__(sizes.divisor, sizes.margin)
        self.module, self._smallest = module, sizes.smallest

    def smallest_input(self) -> tuple[int, ...]:
        """The smallest shape that was accepted when the module was tried."""
        return self._smallest

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Logits of images (B, C, *S), the finest first; in evaluation only these."""
        logits = _logits(self.module(x))
        return logits if self.training else logits[:1]


def _logits(answer: Any) -> tuple[Tensor, ...]:
    if isinstance(answer, Mapping):
        raise TypeError("it gave a mapping, not logits as a tensor or a tuple of them, the finest first")
    return (answer,) if isinstance(answer, Tensor) else tuple(answer)


@lru_cache(maxsize=256)
def _sizes_of(spec: OwnSpec) -> _Sizes:
    """The sizes that a module accepts, found without numbers or, where it cannot do without, on the processor."""
    problem = ""
    for device in ("meta", "cpu"):
        try:
            with torch.random.fork_rng(devices=[]), torch.device(device), torch.no_grad():
                return _tried(spec, device)
        except ConfigError:
            raise
        except Exception as error:
            problem = " ".join(str(error).split())
    raise ConfigError(f"Net {spec.name!r} does not answer images of {_edge(spec)} voxels along each axis: {problem}.")


def _edge(spec: OwnSpec) -> int:
    """Edge of the image on which a module is tried first."""
    divisor = _divisors[spec.name] or 1
    return -(-EDGE[spec.dims] // divisor) * divisor


def _tried(spec: OwnSpec, device: str) -> _Sizes:
    net, edge, axes = spec.module().eval(), _edge(spec), range(spec.dims)

    def lost(shape: Sequence[int]) -> tuple[int, ...]:
        """Voxels by which the answer to an image is smaller."""
        logits = _logits(net(torch.zeros(1, spec.in_channels, *shape, device=device)))[0]
        if logits.shape[:2] != (1, spec.out_channels) or logits.ndim != spec.dims + 2:
            raise ValueError(f"logits have shape {tuple(logits.shape)}, not (1, {spec.out_channels}, ...)")
        return tuple(n - m for n, m in zip(shape, logits.shape[2:], strict=True))

    whole = lost([edge] * spec.dims)

    def fits(shape: Sequence[int]) -> bool:
        try:
            return lost(shape) == whole
        except Exception:
            return False

    def steps_by(step: int, axis: int) -> bool:
        """Whether odd multiples of a step are accepted along an axis."""
        sizes = (edge - step, edge + step) if step < edge else (3 * edge,)
        return all(fits([n if one == axis else edge for one in axes]) for n in sizes)

    powers = [2**power for power in range(edge.bit_length()) if 2**power <= edge]
    found = [_divisors[spec.name] or next((step for step in powers if steps_by(step, axis)), 0) for axis in axes]
    if 0 in found or any(n < 0 or n % 2 for n in whole):
        raise ConfigError(
            f"Net {spec.name!r} answers images of {edge} voxels along each axis with logits that are {whole} smaller, "
            "but other sizes not alike, or not with the same margin at both ends. Logits should be as large as the "
            f"image, or smaller by one margin; or say which sizes fit: own_net({spec.name!r}, ..., divisor=...)."
        )
    smallest = next(shape for power in powers if fits(shape := [min(edge, power * step) for step in found]))
    return _Sizes(tuple(found), tuple(n // 2 for n in whole), tuple(smallest), device == "meta")
