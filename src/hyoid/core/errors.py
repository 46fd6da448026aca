"""Errors that a person can act on: what was expected, what came, what to do."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class HyoidError(Exception):
    """Something hyoid cannot go on with; the message is one clear sentence for the user."""

    exit_code = 1


class ConfigError(HyoidError):
    """A setting, option or name is wrong."""

    exit_code = 2


class DataError(HyoidError):
    """A file or a set of files is not what it should be."""

    exit_code = 3


def closest(word: str, words: Iterable[str]) -> str:
    """A hint naming the most similar known word, with a leading space; empty when none is near."""
    match = difflib.get_close_matches(word, list(words), n=1)
    return f" Did you mean {match[0]!r}?" if match else ""
