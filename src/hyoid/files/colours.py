"""The colour of each structure in files that have room for colours."""

from __future__ import annotations

from colorsys import hsv_to_rgb

_FIRST = ((230, 159, 0), (86, 180, 233), (0, 158, 115), (240, 228, 66), (0, 114, 178), (213, 94, 0), (204, 121, 167))
"""Told apart with every kind of colour vision (Okabe and Ito)."""

_TURN = 0.618034  # golden section: hues that follow each other lie far apart


def colour_of(index: int) -> tuple[int, int, int]:
    """Red, green and blue, 0 to 255, of structure `index`, counted from 0."""
    if index < len(_FIRST):
        return _FIRST[index]
    red, green, blue = (round(255 * part) for part in hsv_to_rgb(index * _TURN % 1, 0.65, 0.9))
    return red, green, blue
