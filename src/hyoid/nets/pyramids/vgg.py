"""VGG 11 to 19 as encoders, with and without batch norm, named as torchvision names them."""

from __future__ import annotations

from torch import Tensor, nn

from ..encoders import WayDown, encoders
from ..layers import MAX_POOL, at_level
from .pyramid import Pyramid, published_style, window


@encoders.register("vgg", papers="simonyan2015vgg")
class VGG(Pyramid):
    """VGG: rows of convolutions of 3 between poolings; below the last pooling a block of the U.

    `blocks_encoder` counts the convolutions of each level. `features` has torchvision's numbers.
    """

    own = ("bottom.",)
    stem = "features.0.weight"

    def __init__(self, way: WayDown, batch_norm: bool = False, finest: bool = True) -> None:
        """An encoder.

        Args:
            way: Its block is that of the bottom; ways down always pool the largest value, and a stem is refused.
            batch_norm: Whether a batch norm follows each convolution.
            finest: Whether the map on the grid of the image is given to the decoder.
        """
        style = published_style("vgg", way, act="relu", bias=True, norm="batch" if batch_norm else "none")
        layers: list[nn.Module] = []
        ends: list[int] = []
        width, levels = way.in_channels, way.levels
        for level in levels[:-1]:
            for _ in range(max(1, level.blocks_encoder)):
                layers.append(style.conv(width, level.channels, window(level, 3)))
                width = level.channels
                layers += style.dress(width)
            ends.append(len(layers))
            below = levels[len(ends)]
            layers.append(MAX_POOL[style.dims](below.stride, below.stride))
        last = levels[-1]
        bottom = last.block(at_level(way.block, len(levels) - 1), width, last.channels, last.blocks_encoder)
        widths = [level.channels for level in levels[:-1]]
        super().__init__(levels, (widths[0] if finest else 0, *widths[1:], int(bottom.out_channels)))  # type: ignore[arg-type]
        self.features, self.bottom, self.ends = nn.Sequential(*layers), bottom, frozenset(ends)

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = []
        for number, layer in enumerate(self.features, start=1):
            x = layer(x)
            if number in self.ends:
                maps.append(x)
        return [*maps, self.bottom(x)]
