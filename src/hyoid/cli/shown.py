"""How the result of a verb looks on a terminal."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table

if TYPE_CHECKING:
    from ..datasets.inspect import Inspection
    from ..evaluation.comparison import Comparison
    from ..evaluation.report import Report
    from ..nets.sheet import Family

SHOWN_CASES = 12
SHOWN_COLUMNS = 12


def show(result: Any, console: Console) -> None:
    """Print what a verb gave: paths, text, a report's table, or what the object says of itself."""
    if isinstance(result, (Path, str)):
        console.print(str(result), markup=False, highlight=False, soft_wrap=True)
    elif isinstance(result, (list, tuple)):
        for item in result:
            show(item, console)
    elif hasattr(result, "differences"):
        show_comparison(result, console)
    elif hasattr(result, "summaries"):
        console.print(report_table(result, console.width))
        left_out = len(result.settings.metrics) - len(fitting(result, console.width))
        if left_out:
            console.print(f"... and {left_out} more metrics, in report.json and cases.csv of --into", style="dim")
    elif hasattr(result, "rows"):
        show_family(result, console)
    elif hasattr(result, "problems"):
        show_inspection(result, console)
    elif hasattr(result, "describe"):
        for line in result.describe():
            console.print(line, markup=False, highlight=False, soft_wrap=True)


def show_inspection(found: Inspection, console: Console) -> None:
    """Print what was found at a path: facts, the first cases, and what is or may go wrong."""
    console.print(found.title, style="bold", highlight=False, soft_wrap=True)
    facts = Table(box=None, pad_edge=False, show_header=False)
    facts.add_column(style="cyan")
    facts.add_column(overflow="fold")
    for name, value in found.facts.items():
        facts.add_row(name, value)
    console.print(facts, highlight=False)
    if found.cases:
        cases = Table(box=None, pad_edge=False, header_style="bold")
        columns = list(found.cases[0])
        for column in columns[:SHOWN_COLUMNS]:
            cases.add_column(column, overflow="fold")
        for row in found.cases[:SHOWN_CASES]:
            cases.add_row(*list(row.values())[:SHOWN_COLUMNS])
        console.print()
        console.print(cases, highlight=False)
        if len(columns) > SHOWN_COLUMNS:
            console.print(f"... and {len(columns) - SHOWN_COLUMNS} more columns", style="dim", highlight=False)
        if len(found.cases) > SHOWN_CASES:
            console.print(f"... and {len(found.cases) - SHOWN_CASES} more cases", style="dim", highlight=False)
    told = (
        (found.notes, "note", "dim"),
        (found.warnings, "warning", "yellow"),
        (found.problems, "problem", "bold red"),
    )
    for sentences, word, style in told:
        for sentence in sentences:
            console.print(f"[{style}]{word}:[/] ", end="")
            console.print(sentence, markup=False, highlight=False, soft_wrap=True)


def show_family(found: Family, console: Console) -> None:
    """Print the nets family by family, with what one sample costs each."""
    from ..nets.sheet import giga, megabytes

    shape = "x".join(map(str, found.shape))
    console.print(
        f"{len(found.rows)} nets, for an input of {shape}, {found.in_channels} to {found.out_channels} channels",
        style="bold",
        highlight=False,
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("net", no_wrap=True)
    for name in ("for", "parameters", "GFLOP", "MB", "sees"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("paper", style="dim", overflow="ellipsis", no_wrap=True)
    family = ""
    for row in found.rows:
        if row.family != family:
            family = row.family
            table.add_row(f"[cyan]{family}[/]")
        dims = " ".join(f"{n}D" for n in row.dims)
        count = f"{row.cost.parameters / 1e6:.2f} M"
        table.add_row(
            f"  {row.name}", dims, count, giga(row.cost.flops), megabytes(row.cost), row.sees, ", ".join(row.papers)
        )
    console.print(table, highlight=False)
    console.print("MB: activations kept for the gradient of one sample, 32 bits; sees: voxels that reach a logit.")


def fitting(report: Report, width: int) -> list[str]:
    """As many metrics, the first ones first, as a table of this width has room for."""
    structures = max(map(len, ("structure", *report.structures)))
    room = width - structures - 2 * len("0.000 to 0.000") - 4
    names: list[str] = []
    for name in report.metrics:
        room -= len(_heading(report, name)) + 2
        if names and room < 0:
            break
        names.append(name)
    return names


def report_table(report: Report, width: int) -> Table:
    """Mean of each structure and metric that fits, with the interval of the first metric."""
    names = fitting(report, width)
    first = names[0]
    level = f"{100 * report.settings.confidence:.0f} %"
    number = len(report.cases)
    title = f"{number} case{'s' * (number != 1)}"
    table = Table(box=None, pad_edge=False, header_style="bold", title=title, title_justify="left")
    table.add_column("structure")
    for name in names:
        table.add_column(_heading(report, name), justify="right")
        if name == first:
            table.add_column(level, justify="right")
    table.add_column("missed", justify="right")
    for structure in [*report.structures, "mean"]:
        rows = {
            summary.metric: summary for summary in (*report.summaries, *report.means) if summary.structure == structure
        }
        cells = []
        for name in names:
            spread = rows[name].spread
            cells.append(f"{spread.mean:.3f}")
            if name == first:
                cells.append("-" if spread.low != spread.low else f"{spread.low:.3f} to {spread.high:.3f}")
        missed = f"{rows[first].num_missed} of {rows[first].num_present}"
        table.add_row(structure, *cells, missed, style="bold" if structure == "mean" else "")
    return table


def _heading(report: Report, metric: str) -> str:
    unit = report.unit(metric)
    return f"{metric} ({unit})" if unit else metric


def show_comparison(found: Comparison, console: Console) -> None:
    """Print the ranking, the win matrix and the differences of the means."""
    place, names = found.ranking, list(found.reports)
    ranks = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    ranks.title = f"{len(found.first.cases)} cases of {len(set(found.groups))} groups, ranked by {found.metrics[0]}"
    for column in ("run", "place", "mean rank", "first in", *(f"better than {name}" for name in names)):
        ranks.add_column(column, justify="left" if column == "run" else "right")
    for number, name in enumerate(names):
        wins = ["" if other == number else f"{100 * share:.0f} %" for other, share in enumerate(place.wins[number])]
        first = f"{100 * place.shares[number, 0]:.0f} %"
        ranks.add_row(name, str(place.places[number]), f"{place.mean_ranks[number]:.2f}", first, *wins)
    console.print(ranks, highlight=False)
    console.print()
    table = Table(box=None, pad_edge=False, header_style="bold", title_justify="left")
    for column in ("metric", "runs", "difference", f"{100 * found.first.settings.confidence:.0f} %", "Wilcoxon p"):
        table.add_column(column, justify="left" if column in ("metric", "runs") else "right")
    for column in ("permutation p", "Holm p", "detectable", "better"):
        table.add_column(column, justify="right")
    for row in found.differences:
        if row.structure == "mean":
            one = row.found
            numbers = (one.mean, one.wilcoxon, one.permutation, row.adjusted, one.detectable)
            mean, *others = (f"{value:.4f}" for value in numbers)
            interval = f"{one.low:.4f} to {one.high:.4f}"
            table.add_row(row.metric, f"{row.other} - {row.base}", mean, interval, *others, row.better or "-")
    console.print(table, highlight=False)
    for note in found.notes:
        console.print(note, style="dim", markup=False, highlight=False, soft_wrap=True)
