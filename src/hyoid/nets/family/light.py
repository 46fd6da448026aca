"""U-Nets on known encoders, whose public weights they can start from, and one for small machines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from ..pyramids.efficientnet import SCALES, level_channels
from ..variants import variant

# The decoder that most public code puts on an encoder: nearest neighbours, two convolutions, 256 to 16 channels. The
# first of `channels` is that of the image's grid, where these encoders have no map.
_DECODER: dict[str, Any] = {
    "decoder_channels": (16, 32, 64, 128, 256),
    "up": "nearest",
    "fuse": "concat_up_first",
    "norm": "batch",
    "act": "relu",
    "head": {"name": "conv", "kernel": 3},
}

_RESNETS: dict[str, Any] = {
    "18": ((2, 2, 2, 2), False),
    "34": ((3, 4, 6, 3), False),
    "50": ((3, 4, 6, 3), True),
    "101": ((3, 4, 23, 3), True),
}

for _size, (_blocks, _bottleneck) in _RESNETS.items():
    _widths = (256, 512, 1024, 2048) if _bottleneck else (64, 128, 256, 512)
    variant(
        f"unet_resnet{_size}",
        papers=("ronneberger2015unet", "he2016deep"),
        about=f"U-Net with a ResNet-{_size} as encoder.",
        encoder={"name": "resnet", "bottleneck": _bottleneck},
        channels=(16, 64, *_widths),
        blocks_encoder=(1, 1, *_blocks),
        **_DECODER,
    )

_VGGS = {"11": (1, 1, 2, 2, 2), "16": (2, 2, 3, 3, 3)}

for _size, _blocks in _VGGS.items():
    variant(
        f"unet_vgg{_size}",
        papers=("ronneberger2015unet", "simonyan2015vgg"),
        about=f"U-Net with a VGG-{_size} as encoder.",
        encoder={"name": "vgg", "finest": False},
        channels=(64, 128, 256, 512, 512, 512),
        blocks_encoder=(*_blocks, 2),
        **_DECODER,
    )

variant(
    "unet_mobilenet_v2",
    papers=("ronneberger2015unet", "sandler2018mobilenetv2"),
    about="U-Net with a MobileNetV2 as encoder.",
    encoder="mobilenet_v2",
    channels=(16, 16, 24, 32, 96, 1280),
    **_DECODER,
)

for _size, (_width, _) in SCALES.items():
    variant(
        f"unet_efficientnet_{_size}",
        papers=("ronneberger2015unet", "tan2019efficientnet"),
        about=f"U-Net with an EfficientNet-{_size.upper()} as encoder.",
        # the public weights of the three largest were trained with another epsilon
        encoder={"name": "efficientnet", "scale": _size, "eps": 1e-3 if _size in ("b5", "b6", "b7") else 1e-5},
        channels=(16, *level_channels(_width)),
        **_DECODER,
    )

variant(
    "unet_densenet121",
    papers=("ronneberger2015unet", "huang2017densenet"),
    about="U-Net with a DenseNet-121 as encoder.",
    encoder="densenet",
    channels=(16, 64, 256, 512, 1024, 1024),
    blocks_encoder=(1, 1, 6, 12, 24, 16),
    **_DECODER,
)


def _shares(*shares: float, of: int) -> Callable[[Sequence[int]], tuple[int, ...]]:
    """Widths as shares of those of the encoder, from level `of` on."""
    return lambda channels: tuple(max(1, int(n * share)) for n, share in zip(channels[of:], shares, strict=False))


_TERNAUS: dict[str, Any] = {
    "papers": ("iglovikov2018ternausnet", "simonyan2015vgg"),
    "encoder": "vgg",
    "channels": (64, 128, 256, 512, 512, 512),
    "decoder_channels": lambda channels: (channels[0] // 2, *channels[1:-1]),
    "norm": "none",
    "act": "relu",
    "order": "CA",
    "fuse": "concat_up_first",
}

variant(
    "ternausnet11",
    about="TernausNet: VGG-11 with the map of every level, convolutions and transposed ones on the way up.",
    blocks_encoder=(1, 1, 2, 2, 2, 1),
    blocks_decoder=1,
    up={"name": "transposed_wide", "act": True},
    up_channels=_shares(1 / 4, 1 / 4, 1 / 4, 1 / 2, 1 / 2, of=1),
    **_TERNAUS,
)

# The authors' larger net enlarges before it convolves.
variant(
    "ternausnet16",
    about="TernausNet with VGG-16: linear enlargement, then two convolutions.",
    blocks_encoder=(2, 2, 3, 3, 3, 0),
    blocks_decoder=(1, 0, 0, 0, 0),
    up=lambda channels: tuple({"name": "linear_units", "middle": width} for width in channels[1:]),
    up_channels=_shares(1 / 4, 1 / 4, 1 / 2, 1 / 2, 1 / 2, of=1),
    **_TERNAUS,
)

# The paper gives 0.49 M parameters but no full recipe; this one is ours, under that bound.
variant(
    "unet_edge",
    papers=("ali2022edge", "howard2017mobilenets"),
    about="A U-Net for small machines: separable convolutions, 16 to 256 channels, activations cut at 6.",
    channels=(16, 32, 64, 128, 256),
    block="separable",
    norm="batch",
    act="relu6",
    down="max",
    up="linear",
)
