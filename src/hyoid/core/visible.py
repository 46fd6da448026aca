"""Text for terminals and logs, in which characters that would steer a terminal or turn the text round are seen."""

from __future__ import annotations

import re

_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters but for tab and line feed, and marks of direction and lines."""


def visible(text: str) -> str:
    r"""The text with such characters as escapes.

    >>> visible("a\x1b[2J")
    'a\\x1b[2J'
    """
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
