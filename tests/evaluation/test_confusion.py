"""Which structure is taken for which."""

from __future__ import annotations

import numpy as np

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_pairs
from hyoid.evaluation.confusion import Confusion, table_of

LABELS = Labels(names=("heart", "lung"), values=((7,), (3,)), ignore=9)
REFERENCE = np.array([[7, 7, 7, 7], [3, 3, 0, 9]], np.int16)
PREDICTION = np.array([[7, 7, 3, 0], [3, 7, 0, 3]], np.int16)


def test_rows_are_references_in_the_order_of_the_labels_and_ignored_voxels_count_nowhere():
    assert table_of(PREDICTION, REFERENCE, LABELS).tolist() == [[1, 0, 0], [1, 2, 1], [0, 1, 1]]
    assert table_of(None, REFERENCE, LABELS).tolist() == [[1, 0, 0], [4, 0, 0], [2, 0, 0]]


def test_shares_and_mistakes_follow():
    found = Confusion.of([table_of(PREDICTION, REFERENCE, LABELS)] * 2, LABELS)
    assert found is not None and found.counts[1] == (2, 4, 2)
    assert found.shares[1].tolist() == [0.25, 0.5, 0.25]
    assert found.mistakes()[0] == ("lung", "heart", 0.5)


def test_structures_that_overlap_have_none():
    regions = Labels(names=("whole", "core"), values=((1, 2), (2,)))
    assert Confusion.of([np.zeros((3, 3), int)], regions) is None


def test_the_report_holds_it_and_reads_it_back(tmp_path):
    grid = Grid.plain((2, 4))
    pair = Image(PREDICTION[None], grid, "labels"), Image(REFERENCE[None], grid, "labels")
    report = evaluate_pairs([Judged("c", lambda: pair)], LABELS, EvaluationSettings(metrics=("dice",)))
    report.write(tmp_path)
    assert report.confusion is not None
    assert Report.read(tmp_path).confusion == report.confusion
