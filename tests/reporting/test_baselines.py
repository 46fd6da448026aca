"""The section on classical methods says whether the net beats them."""

from dataclasses import replace
from typing import Any

import pytest

from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.evaluation.rivals import Rival, against
from hyoid.reporting import RunFacts, write_page
from hyoid.reporting.sections.scores import OURS, baselines, verdict

LABELS = Labels.of({1: "a", 2: "b"})


def report_of(*scores: float) -> Report:
    rows = [
        Row(str(case), str(case), name, "found", 1.0, 1.0, {"dice": score})
        for case, score in enumerate(scores)
        for name in LABELS.names
    ]
    return Report(tuple(rows), LABELS.names, EvaluationSettings(metrics=("dice",)))


def told(*rivals: Rival) -> Report:
    report = report_of(0.8, 0.82, 0.9, 0.7)
    return replace(report, baselines=against(report, rivals, 5))


POOR, CLOSE, GOOD = (
    Rival("poor", report_of(0.5, 0.5, 0.6, 0.3), 0.1),
    Rival("close", report_of(0.7, 0.95, 0.8, 0.75), 0.1),
    Rival("good", report_of(0.9, 0.9, 0.95, 0.8), 0.1),
)


@pytest.mark.parametrize(
    ("rivals", "said"),
    [
        ((POOR,), "0.330 Dice ahead of poor."),
        ((POOR, CLOSE), "by chance perhaps in close."),
        ((POOR, GOOD), "Not better than good:"),
        ((), "No classical method gave an answer."),
    ],
)
def test_the_verdict(rivals, said):
    assert said in verdict(told(*rivals))


def test_rows_come_best_first_with_the_judged_answer_in_its_place():
    found: dict[str, Any] | None = baselines(told(POOR, GOOD), RunFacts())
    assert found is not None
    assert [row["name"] for row in found["rows"]] == ["good", OURS, "poor"]
    assert found["rows"][1]["scores"] == pytest.approx([0.805, 0.805])
    assert found["taught_by"] == "5 training cases"


def test_the_page_has_the_section_when_there_are_rivals_and_is_red_when_they_win(tmp_path):
    page = write_page(tmp_path, told(POOR, Rival("broken", None, failure="no reason"))).read_text()
    assert 'id="baselines"' in page
    assert "broken gave no answer: no reason" in page and 'class="missed">Not better' not in page
    assert '<p class="missed">Not better than good' in write_page(tmp_path, told(GOOD)).read_text()
    assert 'id="baselines"' not in write_page(tmp_path, report_of(0.5, 0.6)).read_text()
