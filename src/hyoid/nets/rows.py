"""Nets that are no U as rows of data."""

from __future__ import annotations

import sys
from typing import Any

from .net import NetSpec, nets


def row(spec_class: type[NetSpec], name: str, papers: str | tuple[str, ...], about: str, **fields: Any) -> None:
    """Put a net on the shelf.

    Args:
        spec_class: The class of its spec.
        name: The paper's own name in snake case.
        papers: Keys of references.bib.
        about: What is special about it, in a line.
        **fields: Fields that differ from the defaults of the class.
    """

    def spec(dims: int, in_channels: int, out_channels: int, **changes: Any) -> NetSpec:
        given = {"dims": dims, "in_channels": in_channels, "out_channels": out_channels}
        return spec_class.parse({**fields, **given, **changes}, f"net {name}")

    spec.__doc__ = about
    spec.__module__ = sys._getframe(1).f_globals["__name__"]  # the family it stands in
    nets.register(name, papers)(spec)
