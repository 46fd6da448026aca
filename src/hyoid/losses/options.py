"""Which numbers the options of losses may be, and how many; the shelves hold given values to them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field

from ..core.errors import ConfigError
from ..core.registry import annotations_of

Number = TypeVar("Number")
_CLASS, _AXIS = "class", "axis"

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""How much something counts."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A power, a length."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole."""

Count = Annotated[int, Field(ge=1)]
"""How many."""

PerClass = Annotated[Sequence[Number], _CLASS]
"""One for each channel of the net, or none."""

PerAxis = Annotated[Sequence[Number], _AXIS]
"""One for each axis of the net, or none."""


def check_lengths(
    build: Callable[..., Any], options: Mapping[str, Any], classes: Sequence[str] = (), num_axes: int = 0
) -> None:
    """Refuse options of a loss that are not as many as what they are for.

    Args:
        build: What builds the loss.
        options: Values of its options.
        classes: Names of the channels, in order; not looked at when empty.
        num_axes: Axes of the net; not looked at when 0.

    Raises:
        ConfigError: Naming the option and what its values stand for.
    """
    kinds = annotations_of(build)
    for option, given in options.items():
        marks = getattr(kinds.get(option), "__metadata__", ())
        if not given or not isinstance(given, list | tuple):
            continue
        told = f"{option} has {len(given)} values, {list(given)}"
        if _CLASS in marks and classes and len(given) != len(classes):
            raise ConfigError(f"{told}; expected {len(classes)}, one for each of {', '.join(classes)}, in this order.")
        if _AXIS in marks and num_axes and len(given) != num_axes:
            raise ConfigError(f"{told}; expected {num_axes}, one for each axis of the net.")
