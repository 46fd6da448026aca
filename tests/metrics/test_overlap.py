"""Overlap metrics against values worked out by hand and against scikit-learn."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from sklearn.metrics import (
    accuracy_score,
    cohen_kappa_score,
    f1_score,
    fbeta_score,
    jaccard_score,
    matthews_corrcoef,
    precision_score,
    recall_score,
)

from hyoid.metrics import measure, metrics

REFERENCE = np.array([[1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 0, 0]], bool)
PREDICTION = np.array([[0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]], bool)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dice", 4 / 7),
        ("iou", 2 / 5),
        ("precision", 2 / 3),
        ("recall", 2 / 4),
        ("specificity", 7 / 8),
        ("volume_error", 1 / 4),
        ("accuracy", 9 / 12),
        ("f_beta", 5 * 2 / (5 * 2 + 4 * 2 + 1)),
        ("g_mean", (1 / 2 * 7 / 8) ** 0.5),
        ("segmentation_accuracy", 3 / 4),
        ("over_segmentation", 1 / 5),
        ("under_segmentation", 2 / 5),
        ("volumetric_similarity", 6 / 7),
        ("mcc", (2 * 7 - 1 * 2) / (3 * 4 * 8 * 9) ** 0.5),
        ("kappa", (9 / 12 - (3 * 4 + 9 * 8) / 144) / (1 - (3 * 4 + 9 * 8) / 144)),
    ],
)
def test_values_worked_out_by_hand(name, value):
    assert metrics.build(name)(PREDICTION, REFERENCE) == pytest.approx(value)


def test_volume_error_in_millilitres():
    reference = np.zeros((10, 10, 10), bool)
    reference[:5] = True
    prediction = np.zeros_like(reference)
    prediction[:7] = True
    assert metrics.build("volume_error_ml")(prediction, reference, (2.0, 2.0, 2.5)) == pytest.approx(200 * 10 / 1000)


@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("dice", f1_score),
        ("iou", jaccard_score),
        ("precision", precision_score),
        ("recall", recall_score),
        ("accuracy", accuracy_score),
        ("mcc", matthews_corrcoef),
        ("kappa", cohen_kappa_score),
        ("f_beta", partial(fbeta_score, beta=2.0)),
    ],
)
def test_agrees_with_scikit_learn(name, oracle):
    rng = np.random.default_rng(0)
    for _ in range(5):
        reference, prediction = rng.random((2, 6, 7, 8)) > rng.random((2, 1, 1, 1))
        expected = oracle(reference.ravel(), prediction.ravel())
        assert metrics.build(name)(prediction, reference) == pytest.approx(expected)


def test_specificity_is_one_where_there_is_no_background():
    mask = np.ones((4, 4), bool)
    assert metrics.build("specificity")(mask[:, :], mask) == 1.0


def test_specificity_of_a_missed_structure_is_one_and_recall_tells():
    reference = np.zeros((4, 4), bool)
    reference[1, 1] = True
    found = measure(np.zeros_like(reference), reference, names=("specificity", "recall"))
    assert found == {"specificity": 1.0, "recall": 0.0}


def test_too_much_and_too_little_do_not_cancel():
    reference = np.zeros((10, 10), bool)
    reference[2:6, 2:6] = True
    larger, smaller = reference.copy(), reference.copy()
    larger[6, 2:6] = True
    smaller[5, 2:6] = False
    error = metrics.build("volume_error")
    assert error(larger, reference) == error(smaller, reference) == 0.25


def test_segmentation_accuracy_by_pixels_sees_places_and_is_cut_at_zero():
    by_pixels = metrics.build("segmentation_accuracy", mode="pixels")
    assert by_pixels(PREDICTION, REFERENCE) == pytest.approx(1 - 3 / 4)
    moved = np.roll(REFERENCE, 2, 1)
    assert metrics.build("segmentation_accuracy")(moved, REFERENCE) == 1.0
    assert by_pixels(moved, REFERENCE) == 0.0


@pytest.mark.parametrize("name", ["mcc", "kappa"])
def test_agreement_beyond_chance_where_there_is_no_chance(name):
    full, part = np.ones((4, 4), bool), np.zeros((4, 4), bool)
    part[:2] = True
    assert metrics.build(name)(full, full) == 1.0
    assert metrics.build(name)(part, full) == 0.0
    assert metrics.build(name)(~part, part) == pytest.approx(-1.0)
