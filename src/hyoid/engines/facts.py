"""Facts of a net: what a predictor must know of it, kept as JSON beside a deployed program."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from ..core.settings import Settings
from ..nets.net import Net


class NetFacts(Settings):
    """The sizes that a net takes and gives.

    Example:
        >>> file.write_text(NetFacts.of(net, 1, 3, tiles=example.shape).model_dump_json())
        >>> facts = NetFacts.parse(json.loads(file.read_text()))
    """

    dims: Literal[2, 3] = Field(description="2 for images, 3 for volumes.")
    in_channels: int = Field(ge=1, description="Channels of the tiles.")
    out_channels: int = Field(ge=1, description="Channels of the logits.")
    divisor: tuple[int, ...] = Field(description="Steps between the input sizes it accepts, along each axis.")
    smallest: tuple[int, ...] = Field(description="The smallest input it accepts.")
    margin: tuple[int, ...] = Field(description="Voxels by which the output is smaller than the input at each end.")
    tiles: tuple[int, ...] | None = Field(
        None, description="The only tiles (B, C, *S) that a program takes; null when it takes all sizes that fit."
    )

    @classmethod
    def of(cls, net: Net, in_channels: int, out_channels: int, tiles: Sequence[int] | None = None) -> NetFacts:
        """The facts of a net, or of a program that was made of it for `tiles` (B, C, *S) only."""
        return cls(
            dims=len(net.divisor),
            in_channels=in_channels,
            out_channels=out_channels,
            divisor=net.divisor,
            smallest=net.smallest_input(),
            margin=net.margin,
            tiles=None if tiles is None else tuple(tiles),
        )

    def fitting_shape(self, shape: Sequence[int]) -> tuple[int, ...]:
        """The smallest accepted input shape that is at least this large."""
        axes = zip(shape, self.smallest, self.divisor, strict=True)
        return tuple(least + max(0, -(-(n - least) // step)) * step for n, least, step in axes)
