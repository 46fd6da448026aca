"""How results look on a terminal."""

from __future__ import annotations

from rich.console import Console

from hyoid.cli.shown import show
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
        show(Report(rows, ("liver",), EvaluationSettings(metrics=names)), console)
    text = shown.get()
    assert text.startswith("1 case ") and "nan" not in text and "…" not in text
    assert "precision" in text and "boundary_iou" not in text
    assert "more metrics, in report.json and cases.csv" in text


def test_a_comparison_shows_places_wins_and_differences():
    found = Comparison.of({"old": report(0.5, 0.6, 0.7, 0.6, 0.5, 0.4), "new": report(0.7, 0.9, 0.8, 0.8, 0.9, 0.9)})
    console = Console(record=True, width=160, file=None, quiet=False)
    with console.capture() as shown:
        show(found, console)
    text = shown.get()
    assert "6 cases of 6 groups, ranked by dice" in text
    assert "new - old" in text and "0.2833" in text
    line = next(line for line in text.splitlines() if line.startswith("new"))
    assert line.split()[:4] == ["new", "1", "1.00", "100"]
