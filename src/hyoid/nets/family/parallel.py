"""U's with two encoders or two decoders."""

from __future__ import annotations

from ..variants import variant

variant(
    "unet_two_encoders",
    papers=("ronneberger2015unet", "dolz2019ivdnet"),
    about="A U with an encoder for each half of the image's channels, such as two modalities; maps join at each level.",
    encoder="parallel",
)

# One decoder for the mask and one for the distance to its border, by which touching objects are told apart.
variant(
    "unet_two_decoders",
    papers=("ronneberger2015unet", "mahbod2022dual"),
    about="A U with two decoders: the second answers the last channel, such as the distance to the border.",
    left_out=(
        "Its second decoder was made for distances to borders; here it answers the last structure like the others."
    ),
    decoder="parallel",
    head="split",
)
