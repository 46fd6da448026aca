"""How the parts of a result look on a terminal."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console
from rich.markup import escape
from rich.table import Table as Rows
from rich.text import Text

from ..core.result import Line, Table
from ..core.visible import visible

LOOKS = {"plain": "", "strong": "bold", "faint": "dim", "name": "cyan"}
MARKS = {"note": "dim", "warning": "yellow", "problem": "bold red"}


def show(parts: Iterable[Line | Table], console: Console) -> None:
    """Print lines and tables, one below the other."""
    for part in parts:
        if isinstance(part, Table):
            console.print(_rows(part), highlight=False)
        else:
            if part.mark:
                console.print(f"[{MARKS[part.mark]}]{part.mark}:[/] ", end="")
            console.print(visible(part.text), style=LOOKS[part.look], markup=False, highlight=False, soft_wrap=True)


def _rows(table: Table) -> Rows:
    rows = Rows(box=None, pad_edge=False, header_style="bold", show_header=table.header, title_justify="left")
    rows.title = escape(visible(table.title)) or None
    for column in table.columns:
        rows.add_column(
            escape(visible(column.name)),
            justify="right" if column.right else "left",
            style=LOOKS[column.look],
            overflow="fold" if column.long == "fold" else "ellipsis",
            no_wrap=column.long == "cut",
        )
    for number, cells in enumerate(table.rows, 1):
        style = "cyan" if len(cells) == 1 < len(table.columns) else ""
        last = table.sums and number == len(table.rows)
        rows.add_row(*(Text(visible(cell), style) for cell in cells), style="bold" if last else "")
    return rows
