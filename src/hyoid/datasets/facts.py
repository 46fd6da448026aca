"""What a table says of each case, whatever a spreadsheet or another system made of the case's name."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import NamedTuple

from ..core.errors import DataError
from ..files.formats import suffix_of
from .columns import IDS, IMAGES
from .entry import amount, listed
from .tables import read_table


class Facts(NamedTuple):
    """Facts of the cases that a table knows, with remarks on names that it does not."""

    of: dict[str, dict[str, str]]
    notes: Sequence[str] = ()
    warnings: Sequence[str] = ()


def facts_of(path: Path, cases: Sequence[str]) -> Facts:
    """What a table says of these cases, by the column of names, else of patients, that matches most of them.

    Raises:
        DataError: When no column has names, a row has none, or two rows are about one case.
    """
    table = read_table(path)
    if not table.rows:
        return Facts({})
    patients = [c for c in ("patient", "subject") if c in table.columns]
    columns = table.named((*IDS, *IMAGES)) + patients
    if not columns:
        found = ", ".join(table.columns)
        raise DataError(f"{path}: expected a column `case` with the image names; found {found}.")
    matches = {column: matched(table.cells(column), cases) for column in columns}
    column = max(columns, key=lambda c: len(set(matches[c].values())))
    case_of, names = matches[column], table.cells(column)
    if "" in names:
        line = table.lines[names.index("")]
        raise DataError(f"{path}: line {line} has no `{column}`; name its case, or delete the line.")
    facts: dict[str, dict[str, str]] = {}
    for name, row in zip(names, table.rows, strict=True):
        case, known = case_of.get(name), {key: text for key, text in row.items() if key != column or key in patients}
        if case is not None and facts.setdefault(case, known) != known:
            raise DataError(f"{path}: case {case!r} has two rows.")
    idle, unknown = [name for name in names if name not in case_of], [case for case in cases if case not in facts]
    if not facts:
        lost = f"rows are of {listed(idle, 2)}; images are {listed(unknown, 2)}. Nothing it says of patients or splits"
        return Facts(
            {}, (), [f"No row of {path.name} matches an image: {lost} is used; write names of images into it."]
        )
    remarks = (
        [f"{path.name} has no row for {amount(len(unknown), 'case', 'cases')}: {listed(unknown)}."] if unknown else []
    )
    if idle:
        nearest = _with_closest(idle, unknown or cases)
        remarks.append(f"{len(idle)} of {len(names)} rows of {path.name} match no image: {nearest}.")
    amiss = idle and unknown
    return Facts(facts, [*table.notes, *(() if amiss else remarks)], remarks if amiss else ())


def matched(names: Sequence[str], cases: Sequence[str]) -> dict[str, str]:
    """The case of each name that has one: first of names that are the same, then of those alike in ever less."""
    found: dict[str, str] = {}
    for alike in _ALIKE:
        free = set(cases) - set(found.values())
        count = Counter(map(alike, free))
        case_of = {key: case for case in free if count[key := alike(case)] == 1}
        found |= {name: case_of[key] for name in names if name not in found and (key := alike(name)) in case_of}
    return found


def _with_closest(names: Sequence[str], cases: Sequence[str], most: int = 3) -> str:
    near = {name: get_close_matches(name, cases, n=1) for name in names[:most]}
    first = [f"{name!r} (closest: {some[0]!r})" if some else repr(name) for name, some in near.items()]
    return listed([*first, *names[most:]], most)


def _plain(name: str) -> str:
    name = unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./").casefold()
    return name.removesuffix(suffix_of(name))


def _last(name: str) -> str:
    return re.sub(r".*/|_0000$", "", _plain(name))


def _number(name: str) -> str:
    """A number without the zeros that spreadsheets drop or add: 7 for 007 and 7.0."""
    return re.sub(r"^0*(\d+)(\.0*)?$", r"\1", _last(name))


_ALIKE: tuple[Callable[[str], str], ...] = (str, _plain, _last, _number)
