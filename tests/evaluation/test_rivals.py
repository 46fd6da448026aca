"""What a report says of other methods."""

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_pairs
from hyoid.evaluation.rivals import Rival, against

GRID = Grid.plain((1, 10))


def report_of(missing: list[int], metric: str = "dice") -> Report:
    """Cases of ten voxels of a structure, of which so many were not found."""

    def judged(index: int, absent: int) -> Judged:
        truth = np.ones((1, 1, 10), np.uint8)
        guess = truth.copy()
        guess[..., :absent] = 0
        return Judged(str(index), lambda: (Image(guess, GRID, "labels"), Image(truth, GRID, "labels")))

    settings = EvaluationSettings(metrics=(metric,))
    return evaluate_pairs([judged(*one) for one in enumerate(missing)], Labels.of({1: "bar"}), settings)


def test_methods_come_best_first_with_what_the_report_is_ahead_by():
    rivals = [
        Rival("poor", report_of([8, 8])),
        Rival("none", None, failure="why"),
        Rival("fair", report_of([5, 0]), 0.5),
    ]
    told = against(report_of([0, 5]), rivals, 7)
    assert [one["name"] for one in told["methods"]] == ["fair", "poor"]
    fair, poor = told["methods"]
    assert fair["ahead"]["mean"] == 0
    # Dice: 1 and 10/15 against 4/12 twice
    assert poor["ahead"]["mean"] == pytest.approx(((1 - 1 / 3) + (2 / 3 - 1 / 3)) / 2, abs=1e-5)
    assert fair["seconds"] == 0.5
    assert told["failed"] == {"none": "why"}
    assert told["taught_by"] == 7


def test_being_ahead_is_positive_also_where_small_is_good():
    told = against(report_of([0, 1], "volume_error"), [Rival("other", report_of([4, 5], "volume_error"))], 1)
    assert told["methods"][0]["ahead"]["mean"] == pytest.approx(0.4)


def test_a_report_keeps_it_in_its_file(tmp_path):
    from dataclasses import replace

    report = report_of([0, 2])
    told = against(report, [Rival("other", report_of([4, 5]))], 3)
    replace(report, baselines=told).write(tmp_path)
    assert Report.read(tmp_path).baselines == told
    report.write(tmp_path)
    assert Report.read(tmp_path).baselines is None
