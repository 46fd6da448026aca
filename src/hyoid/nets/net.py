"""What every net is: a spec that builds it, and the sizes it accepts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field, ModelWrapValidatorHandler, model_validator
from torch import Tensor, nn

from ..core.errors import ConfigError, closest
from ..core.registry import Registry
from ..core.settings import Settings

_KINDS: dict[str, type[NetSpec]] = {}


class NetSpec(Settings):
    """What a net looks like, as data.

    A class of specs gives `kind` a default of its own, by which values are read back as that class; values without a
    kind are those of a U. `net` is the class that is built: the one which names this class of specs as its `spec`.
    """

    net: ClassVar[Any] = None
    kind: str = Field("", description="The class of specs these fields belong to.")
    dims: Literal[2, 3] = Field(description="2 for images, 3 for volumes.")
    in_channels: int = Field(ge=1, description="Channels of the image.")
    out_channels: int = Field(ge=1, description="Channels of the logits.")

    @property
    def undrawn(self) -> str:
        """A sentence on what a drawing of the net, levels with their maps, does not show; empty when it shows all."""
        return ""

    @classmethod
    def __pydantic_init_subclass__(cls, **kwargs: Any) -> None:
        _KINDS[cls.model_fields["kind"].default] = cls

    @model_validator(mode="wrap")
    @classmethod
    def _of_its_kind(cls, values: Any, handler: ModelWrapValidatorHandler[NetSpec]) -> NetSpec:
        own = cls.class_for(values)
        return handler(values) if own is cls else own.__pydantic_validator__.validate_python(values)

    @classmethod
    def class_for(cls, values: Any) -> type[NetSpec]:
        """The class that these values are read as."""
        if cls is not NetSpec or not isinstance(values, dict):
            return cls
        kind = values.get("kind", "u")
        if kind not in _KINDS:
            raise ValueError(f"no net is of kind {kind!r}.{closest(str(kind), _KINDS)} Known: {', '.join(_KINDS)}")
        return _KINDS[kind]

    def build(self) -> Net:
        """The net, newly initialised."""
        if self.net is None:
            raise TypeError(f"{type(self).__name__} does not say how it is built.")
        return self.net(self)


nets: Registry[NetSpec] = Registry("net")
"""Builders of specs: `build(dims, in_channels, out_channels, **changes)`."""


class Net(nn.Module):
    """A net gives a tuple of logits, finest first; in evaluation only the finest.

    Attributes:
        divisor: Input sizes it accepts step by this, along each axis.
        margin: Voxels by which the output is smaller than the input at each end (0 for padded nets).
        spec: What it was built from, for nets of the family.
        head_weights: What each of its logits counts in the loss, finest first; None: half as much from level to level.
    """

    head_weights: Sequence[float] | None = None

    def __init_subclass__(cls, spec: type[NetSpec] | None = None) -> None:
        if spec is not None:
            spec.net = cls

    def __init__(self, divisor: Sequence[int], margin: Sequence[int] | None = None, spec: Any = None) -> None:
        super().__init__()
        self.divisor, self.spec = tuple(divisor), spec
        self.margin = tuple(margin) if margin is not None else (0,) * len(self.divisor)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """The logits of images (B, C, *S), each (B, out_channels, *S)."""
        raise TypeError(f"{type(self).__name__} does not say what it computes.")

    def last_convolution(self) -> nn.Conv2d | nn.Conv3d | None:
        """The convolution of single voxels that makes the finest logits in evaluation; None where there is none."""
        return None

    def smallest_input(self) -> tuple[int, ...]:
        """The smallest shape it accepts; others are larger by multiples of `divisor`."""
        return self.divisor

    def fitting_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The smallest accepted input shape that is at least this large."""
        start = self.smallest_input()
        return tuple(s + max(0, -(-(n - s) // d)) * d for n, s, d in zip(shape, start, self.divisor, strict=True))

    def output_shape(self, input_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the finest logits for an input of this shape.

        Raises:
            ConfigError: When the net does not accept this shape.
        """
        fitting = self.fitting_shape(input_shape)
        if fitting != tuple(input_shape):
            raise ConfigError(
                f"This net does not accept an input of {sizes(input_shape)}: sizes start at "
                f"{sizes(self.smallest_input())} and step by {sizes(self.divisor)}; the next is {sizes(fitting)}."
            )
        return tuple(n - 2 * m for n, m in zip(input_shape, self.margin, strict=True))

    def checked(self, x: Tensor) -> Tensor:
        """Images (B, C, *S) as they are, if their shape is accepted; a compiler does not ask."""
        if not torch.compiler.is_compiling():
            self.output_shape(x.shape[2:])
        return x

    def input_shape(self, output_shape: Sequence[int]) -> tuple[int, ...]:
        """Shape of the input whose logits have this shape.

        Raises:
            ConfigError: When no input gives this shape.
        """
        needed = tuple(n + 2 * m for n, m in zip(output_shape, self.margin, strict=True))
        fitting = self.fitting_shape(needed)
        if fitting != needed:
            nearest = tuple(n - 2 * m for n, m in zip(fitting, self.margin, strict=True))
            raise ConfigError(
                f"This net cannot give an output of {sizes(output_shape)}; the next size it can give is "
                f"{sizes(nearest)}."
            )
        return needed


class TokenNet(Net):
    """A net whose coarsest map has at least two voxels along each axis, so that they can look at one another."""

    def smallest_input(self) -> tuple[int, ...]:
        """Twice the divisor."""
        return tuple(2 * step for step in self.divisor)


def sizes(shape: Sequence[int]) -> str:
    """A shape as 64x64x32."""
    return "x".join(map(str, shape))
