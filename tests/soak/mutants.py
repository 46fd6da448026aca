"""Damage as it happens, and as somebody might do on purpose: each function changes the bytes of a file."""

import re
from random import Random

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 2**63 - 1, 2**64 - 1)
WORDS = (
    b"0",
    b"-1",
    b"1",
    b"65536",
    b"2147483648",
    b"99999999999",
    b"18446744073709551616",
    b"1e400",
    b"nan",
    b"",
    b"x",
)


def cut(data: bytearray, draw: Random) -> None:
    """Leave out the end, which is what a broken copy does."""
    del data[draw.randrange(len(data)) :]


def flip(data: bytearray, draw: Random) -> None:
    """Change a few bits."""
    for _ in range(draw.choice((1, 1, 2, 8))):
        data[_place(data, draw)] ^= 1 << draw.randrange(8)


def extreme(data: bytearray, draw: Random) -> None:
    """Set a number of the header, or any other, to an extreme."""
    size, order = draw.choice((1, 2, 4, 8)), draw.choice(("little", "big"))
    place = _place(data, draw) // size * size
    value = draw.choice(EXTREMES) & (1 << 8 * size) - 1
    data[place : place + size] = value.to_bytes(size, order)[: len(data) - place]


def word(data: bytearray, draw: Random) -> None:
    """Set a number that is written out to an extreme."""
    numbers = list(re.finditer(rb"(?<![\w.])-?\d+(\.\d+)?", data[:4096]))
    if numbers:
        start, end = draw.choice(numbers).span()
        data[start:end] = draw.choice(WORDS)
    else:
        extreme(data, draw)


def block(data: bytearray, draw: Random) -> None:
    """Zero, double, drop or swap a block."""
    size = min(len(data), draw.choice((4, 16, 64, 512)))
    a, b = (draw.randrange(len(data) - size + 1) for _ in range(2))
    one, other = bytes(data[a : a + size]), bytes(data[b : b + size])
    how = draw.randrange(4)
    if how == 0:
        data[a : a + size] = bytes(size)
    elif how == 1:
        data[a:a] = one
    elif how == 2:
        del data[a : a + size]
    else:
        data[a : a + size], data[b : b + size] = other, one


def _place(data: bytearray, draw: Random) -> int:
    """Anywhere, but as often in the beginning, where headers are."""
    return draw.randrange(draw.choice((len(data), min(len(data), 400))))


MUTATIONS = (cut, cut, flip, extreme, word, block)
