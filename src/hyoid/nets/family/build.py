"""A spec by its name, with all families on the shelf."""

from __future__ import annotations

from typing import Any

from .. import own  # noqa: F401  (its kind of spec is read back)
from ..net import NetSpec, nets
from . import (  # noqa: F401  (their rows stand on the shelf)
    attention,
    capsule,
    classic,
    deeplab,
    dense,
    diffusion,
    fully_convolutional,
    hybrid,
    hybrid_dense,
    light,
    modern,
    nested,
    parallel,
    probabilistic,
    pyramid_heads,
    residual,
    state_space,
    swin,
    transformer,
    unsupervised,
)


def build_spec(name: str, dims: int, in_channels: int, out_channels: int, **changes: Any) -> NetSpec:
    """The spec of a net on the shelf.

    Args:
        name: A name from `nets`.
        dims: 2 or 3.
        in_channels: Channels of the image.
        out_channels: Channels of the logits, `Task.channels`.
        **changes: Fields of the spec that differ from the row, such as `channels=(16, 32, 64)`.

    Raises:
        ConfigError: When the name or a field is unknown, or a value does not fit.
    """
    return nets[name].build(dims, in_channels, out_channels, **changes)
