"""Nets as rows of data."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any

from .net import NetSpec, nets
from .unet import UNetSpec

LEFT_OUT: dict[str, str] = {}
"""What the paper of a row has and training from annotation alone does not, as a sentence."""

_ON_EVERY_LEVEL = ("blocks_encoder", "kernels", "strides", "dropout")
_ON_ALL_BUT_THE_COARSEST = ("blocks_decoder", "decoder_channels", "up_channels")


def variant(
    name: str,
    papers: str | tuple[str, ...] = (),
    about: str = "",
    in_2d: Mapping[str, Any] | None = None,
    in_3d: Mapping[str, Any] | None = None,
    of: type[NetSpec] = UNetSpec,
    left_out: str = "",
    **fields: Any,
) -> None:
    """Put a U, or another net, on the shelf of nets.

    Args:
        name: The paper's own name in snake case.
        papers: Keys of references.bib.
        about: What is special about it, in a line.
        in_2d: Fields that hold in 2D only.
        in_3d: Fields that hold in 3D only.
        of: The class of its spec.
        left_out: For `LEFT_OUT`; a plan, the sheet of the net and the report say it.
        **fields: Fields of the spec that differ from its defaults. Those of a U with an entry per level are cut, or
            their last entry repeated, when a user asks for another number of levels; a function is given the channels.

    Raises:
        ConfigError: When the name is taken; for unknown fields when the spec is asked for.
    """

    def spec(dims: int, in_channels: int, out_channels: int, **changes: Any) -> NetSpec:
        row = {**fields, **((in_2d if dims == 2 else in_3d) or {})}
        if issubclass(of, UNetSpec):
            channels = changes.get("channels", row.get("channels", of.model_fields["channels"].default))
            row = _fitted(row, channels) if isinstance(channels, Sequence) else row
        given = {"dims": dims, "in_channels": in_channels, "out_channels": out_channels}
        return of.parse({**row, **given, **changes}, f"net {name}")

    if left_out:
        LEFT_OUT[name] = left_out
    spec.__doc__ = about
    spec.__module__ = sys._getframe(1).f_globals["__name__"]  # the family it stands in
    nets.register(name, papers)(spec)


def _fitted(row: Mapping[str, Any], channels: Sequence[int]) -> dict[str, Any]:
    """The row with as many entries in its lists as these channels need."""
    fitted = {key: value(channels) if callable(value) else value for key, value in row.items()}
    for key in _ON_EVERY_LEVEL + _ON_ALL_BUT_THE_COARSEST:
        entries = fitted.get(key)
        count = len(channels) - (key in _ON_ALL_BUT_THE_COARSEST)
        if isinstance(entries, tuple):
            fitted[key] = (*entries, *[entries[-1]] * max(0, count - len(entries)))[:count]
    return fitted
