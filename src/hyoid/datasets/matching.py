"""Which row of a table is about which case, whatever a spreadsheet or another system made of its name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from difflib import get_close_matches

from ..files.formats import suffix_of
from .entry import listed


def matched(names: Sequence[str], cases: Sequence[str]) -> dict[str, str]:
    """The case of each name that has one: first of names that are the same, then of those alike in ever less."""
    found: dict[str, str] = {}
    for alike in _ALIKE:
        open_cases, open_names = dict[str, list[str]](), dict[str, list[str]]()
        taken = set(found.values())
        for case in cases:
            if case not in taken:
                open_cases.setdefault(alike(case), []).append(case)
        for name in names:
            if name not in found:
                open_names.setdefault(alike(name), []).append(name)
        for key, wanted in open_names.items():
            if len(meant := open_cases.get(key, [])) == 1:
                found.update(dict.fromkeys(wanted, meant[0]))
    return found


def told(names: Sequence[str], cases: Sequence[str], most: int = 3) -> str:
    """Names that match no case, each with the case nearest to it."""
    near = {name: get_close_matches(name, cases, n=1) for name in names[:most]}
    first = [f"{name!r} (closest: {some[0]!r})" if some else repr(name) for name, some in near.items()]
    return listed([*first, *names[most:]], most)


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./").casefold()
    return name[: len(name) - len(suffix_of(name))]


def _last(name: str) -> str:
    return _plain(name).rsplit("/", 1)[-1]


def _first_channel(name: str) -> str:
    return re.sub(r"_0000$", "", _last(name))


def _number(name: str) -> str:
    """A number without the zeros that spreadsheets drop or add: 7 for 007 and 7.0."""
    return re.sub(r"^0*(\d+)(\.0*)?$", r"\1", _last(name))


_ALIKE: tuple[Callable[[str], str], ...] = (str, _plain, _last, _first_channel, _number)
