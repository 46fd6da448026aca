"""The light follows from score, rivals, findings, and what the run knows of itself."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.evaluation.rivals import Rival, against
from hyoid.reporting.facts import RunFacts
from hyoid.reporting.verdict import verdict_of


def report_of(first: float, second: float = 0.9, num_cases: int = 12, metric: str = "dice", **changes) -> Report:
    rows = [
        Row(f"c{case}", f"c{case}", name, "found", 1.0, 1.0, {metric: score + 0.001 * (case % 3)})
        for case in range(num_cases)
        for name, score in (("liver", first), ("tumour", second))
    ]
    return replace(Report(tuple(rows), ("liver", "tumour"), EvaluationSettings(metrics=(metric,))), **changes)


def beside(report: Report, score: float) -> Report:
    theirs = report_of(score, score, len(report.cases), report.settings.metrics[0])
    return replace(report, baselines=against(report, [Rival("mean mask", theirs), Rival("otsu", report_of(0, 0))], 5))


@pytest.mark.parametrize(
    ("report", "facts", "light", "said"),
    [
        (beside(report_of(0.9), 0.5), RunFacts(), "good", "Mean Dice 0.901 (0.900 to 0.901). No structure was missed"),
        (report_of(0.9), RunFacts(), "good", "Classical methods were not judged"),
        (report_of(0.9, 0.31), RunFacts(), "failed", "Dice below one half: tumour 0.311. It is not worth using yet."),
        (report_of(0.9, 0.31), RunFacts(remedy="More cases."), "failed", "not worth using yet. More cases."),
        (report_of(0.9, 0.31), RunFacts(thin=["tumour"]), "look", "thinner than 3 voxels: tumour 0.311"),
        (report_of(0.3, 0.31), RunFacts(thin=["tumour"]), "failed", "below one half: liver 0.301 and tumour 0.311"),
        (report_of(0.62, 0.6), RunFacts(), "look", "below the 0.7"),
        (report_of(0.4, 0.4, metric="iou"), RunFacts(), "look", "below the 0.7"),  # a Dice of 0.57
        (report_of(0.3, 0.3, metric="iou"), RunFacts(), "failed", "IoU below one half"),
        (beside(report_of(0.8), 0.9), RunFacts(), "failed", "No better than methods without a net: mean mask (0.901)."),
        (report_of(0.9, num_cases=3), RunFacts(), "look", "3 independent cases cannot say much"),
        (report_of(0.9, flatters=("Seen before.",)), RunFacts(), "failed", "Seen before."),
        (report_of(0.9), RunFacts(doubts=("Unknown.",)), "look", "Unknown."),
        (report_of(0.1, 30.0, metric="hd95"), RunFacts(), "good", "Mean HD95 15.1 mm"),
    ],
)
def test_the_light_and_its_reasons(report, facts, light, said):
    found = verdict_of(report, facts)
    assert found.light == light and said in found.text
    assert ("not worth using" in found.text) == (light == "failed" and not report.flatters)


@pytest.mark.parametrize(
    ("share", "counts", "scattered", "light", "said"),
    [
        (0.0, (9, 1), (), "failed", "Object F1 below one half: liver 0.000. It is not worth using yet."),
        (0.6, (0, 0), ("liver",), "look", "Mean Object F1 is below the 0.7 that is usually called good: liver 0.600."),
        (0.9, (9, 9), (), "good", "not every object was found one by one (Object F1: liver 0.900 and tumour 0.900)"),
        (1.0, (9, 9), (), "good", "No structure was missed"),
        (0.0, (1, 1), (), "good", "No structure was missed"),
    ],
)
def test_objects_count_where_a_structure_is_several(share, counts, scattered, light, said):
    report = report_of(0.9)
    number = dict(zip(report.structures, counts, strict=True))
    rows = [
        replace(row, values={**row.values, "object_f1": share}, num_objects=number[row.structure])
        for row in report.rows
    ]
    found = Report(tuple(rows), report.structures, EvaluationSettings(metrics=("dice", "object_f1")))
    verdict = verdict_of(found, RunFacts(scattered=scattered))
    assert verdict.light == light and said in verdict.text
