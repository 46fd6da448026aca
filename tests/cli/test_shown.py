"""How results look on a terminal."""

from __future__ import annotations

from rich.console import Console

from hyoid.cli.shown import show
from hyoid.core.result import Column, Line, Table
from hyoid.datasets.inspect import Inspection
from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.evaluation.comparison import Comparison


def report(*scores: float) -> Report:
    rows = tuple(Row(f"c{i}", f"c{i}", "liver", "found", 1.0, 1.0, {"dice": score}) for i, score in enumerate(scores))
    return Report(rows, ("liver",), EvaluationSettings(metrics=("dice",)))


def test_a_table_shows_the_metrics_that_fit_and_says_where_others_are():
    names = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd", "volume_error", "cl_dice", "boundary_iou")
    rows = (Row("c0", "c0", "liver", "found", 1.0, 1.0, dict.fromkeys(names, 0.75)),)
    console = Console(width=80)
    with console.capture() as shown:
        show(Report(rows, ("liver",), EvaluationSettings(metrics=names)).shown(80), console)
    text = shown.get()
    assert text.startswith("1 case ") and "nan" not in text and "…" not in text
    assert "precision" in text and "boundary_iou" not in text
    assert "more metrics, in report.json and cases.csv" in text


def test_a_comparison_shows_places_wins_and_differences():
    found = Comparison.of({"old": report(0.5, 0.6, 0.7, 0.6, 0.5, 0.4), "new": report(0.7, 0.9, 0.8, 0.8, 0.9, 0.9)})
    console = Console(record=True, width=160, file=None, quiet=False)
    with console.capture() as shown:
        show(found.shown(160), console)
    text = shown.get()
    assert "6 cases of 6 groups, ranked by dice" in text
    assert "new - old" in text and "0.2833" in text
    line = next(line for line in text.splitlines() if line.startswith("new"))
    assert line.split()[:4] == ["new", "1", "1.00", "100"]


def test_square_brackets_of_a_result_are_text():
    console = Console(width=80)
    table = Table((Column("name"), Column("value", right=True)), (("kinds [a]",), ("[b]", "1")), "case [x]")
    with console.capture() as shown:
        show([Line("slices [1, 2]", "note"), table], console)
    assert shown.get().splitlines()[0] == "note: slices [1, 2]"
    assert "kinds [a]" in shown.get() and "[b]" in shown.get() and "case [x]" in shown.get()


def test_an_inspection_shows_the_first_cases_and_says_how_many_there_are_more():
    cases = tuple({f"column {i}": str(case) for i in range(14)} for case in range(15))
    found = Inspection("set", {"cases": "15"}, cases, problems=("One is broken.",), notes=("A note.",))
    parts = list(found.shown(80))
    [facts, table] = [part for part in parts if isinstance(part, Table)]
    assert facts.rows == (("cases", "15"),) and len(table.rows) == len(table.columns) == 12
    assert [part.text for part in parts if isinstance(part, Line)][2:] == [
        "... and 2 more columns",
        "... and 3 more cases",
        "A note.",
        "One is broken.",
    ]


def test_characters_that_steer_a_terminal_are_seen():
    console = Console(width=80)
    with console.capture() as shown:
        show([Line("a\x1b[2J\x9b\u202eb"), Table((Column("c\x1b"),), (("d\x7f",),), "t\x1b")], console)
    assert all(part in shown.get() for part in (r"a\x1b[2J\x9b\u202eb", r"c\x1b", r"d\x7f", r"t\x1b"))
