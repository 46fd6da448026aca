"""How a result is shown to a person and given to a program: as data, for the terminal, a page and `--json` alike."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class Line:
    """One line of text, which may follow a word that marks it."""

    text: str
    mark: Literal["", "note", "warning", "problem"] = ""
    look: Literal["plain", "strong", "faint"] = "plain"


@dataclass(frozen=True)
class Column:
    """One column of a table: its heading, whether cells are flush right, and what happens to `long` ones."""

    name: str
    right: bool = False
    look: Literal["plain", "name", "faint"] = "plain"
    long: Literal["wrap", "fold", "cut"] = "wrap"


@dataclass(frozen=True)
class Table:
    """Rows of cells under a title.

    Attributes:
        rows: A row of a single cell is a heading of the rows below it.
        header: Whether the names of the columns are shown.
        sums: Whether the last row sums up the others.
    """

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    title: str = ""
    header: bool = True
    sums: bool = False


class Result(ABC):
    """What a verb gives, where this is more than paths or text."""

    @property
    def problems(self) -> Sequence[str]:
        """What is wrong with the data, one sentence each; with any, a command ends with the code of DataError."""
        return ()

    @abstractmethod
    def shown(self, width: int) -> Iterable[Line | Table]:
        """The parts that a person reads, in order; `width` letters fit into a line."""

    @abstractmethod
    def to_json(self) -> Mapping[str, Any]:
        """The same for programs; `document` makes JSON of it."""


@dataclass(frozen=True)
class Plain(Result):
    """Paths or texts, one to a line, and their key in JSON."""

    name: str
    value: str | Path | Sequence[str | Path]

    def shown(self, width: int) -> Iterable[Line | Table]:
        """A line for each."""
        return [Line(str(one)) for one in ([self.value] if isinstance(self.value, str | Path) else self.value)]

    def to_json(self) -> Mapping[str, Any]:
        """The value under its name."""
        return {self.name: self.value}


def document(value: Any) -> Any:
    """A value as JSON has it: paths as text, null for numbers that are not finite."""
    if isinstance(value, Mapping):
        return {str(key): document(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [document(one) for one in value]
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
