"""The check of blocks that give maps of the size they get."""

from __future__ import annotations

from collections.abc import Sequence

from ...core.errors import ConfigError
from ..layers import Style


def require_same_grid(name: str, style: Style, stride: Sequence[int]) -> None:
    """Refuse strides and valid convolutions for a block that adds or joins maps of one size.

    Raises:
        ConfigError: When the block is asked to stride, or convolutions are not padded.
    """
    if any(step > 1 for step in stride):
        raise ConfigError(
            f"Block {name!r} keeps the size of its maps, so it needs a way down of its own, such as down: max; "
            f'got stride {tuple(stride)} from down: "strided".'
        )
    if style.valid:
        raise ConfigError(f'Block {name!r} joins maps of one size, so it needs padding "same"; got "valid".')
