"""Metrics of probabilities against values worked out by hand, scikit-learn, MONAI and torchmetrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from hyoid.core.errors import DataError
from hyoid.metrics.calibration import Beliefs, probability_metrics, reliability

PROBABILITIES = np.array([0.1, 0.3, 0.35, 0.8, 0.9, 1.0])
TRUTH = np.array([0, 0, 1, 1, 0, 1], bool)


def beliefs(seed: int, size: int = 400) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    probabilities = np.round(rng.random(size), 2)
    return probabilities, rng.random(size) < probabilities**2


def softmax(seed: int, classes: int = 4, size: int = 300) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    logits = rng.standard_normal((classes, size)) * 2
    probabilities = np.exp(logits) / np.exp(logits).sum(0)
    return probabilities, rng.integers(0, classes, size)


def value(name: str, *given, **options) -> float:
    return probability_metrics.build(name, **options)(*given)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("ece", (3 * abs(1 / 3 - 0.25) + 3 * abs(2 / 3 - 0.9)) / 6),
        ("average_calibration_error", (abs(1 / 3 - 0.25) + abs(2 / 3 - 0.9)) / 2),
        ("mce", 0.9 - 2 / 3),
        ("ace", (abs(1 / 3 - 0.25) + abs(2 / 3 - 0.9)) / 2),
    ],
)
def test_two_bins_worked_out_by_hand(name, expected):
    assert value(name, PROBABILITIES, TRUTH, bins=2) == pytest.approx(expected)


def test_bins_of_equal_count_differ_from_bins_of_equal_width():
    skewed = np.array([0.1, 0.1, 0.1, 0.9])
    truth = np.array([0, 0, 0, 1], bool)
    assert value("ace", skewed, truth, bins=2) == pytest.approx((0.1 + abs(0.5 - 0.5)) / 2)
    assert value("average_calibration_error", skewed, truth, bins=2) == pytest.approx(0.1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("name", "oracle"),
    [
        ("auc_roc", roc_auc_score),
        ("average_precision", average_precision_score),
        ("brier", brier_score_loss),
    ],
)
def test_agrees_with_scikit_learn(name, oracle, seed):
    probabilities, truth = beliefs(seed)
    assert value(name, probabilities.reshape(20, 20), truth.reshape(20, 20)) == pytest.approx(
        oracle(truth, probabilities)
    )


def test_log_loss_agrees_with_scikit_learn():
    probabilities, truth = beliefs(1)
    inside = np.clip(probabilities, 0.01, 0.99)
    assert value("nll", inside, truth) == pytest.approx(log_loss(truth, inside))
    several, classes = softmax(2)
    assert value("nll", several, classes) == pytest.approx(log_loss(classes, several.T, labels=range(4)))
    assert value("nll", np.array([0.0]), np.array([True])) == pytest.approx(-math.log(1e-12))


def test_brier_of_several_classes_is_half_of_the_squared_distance():
    probabilities, classes = softmax(3)
    distance = ((probabilities - np.eye(4)[classes].T) ** 2).sum(0).mean()
    assert value("brier", probabilities, classes) == pytest.approx(distance / 2)
    assert value("brier", np.array([[0.3], [0.7]]), np.array([1])) == value("brier", np.array([0.7]), np.array([True]))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_calibration_of_monai():
    import torch
    from monai.metrics import CalibrationErrorMetric, CalibrationReduction

    probabilities, truth = beliefs(4)
    probabilities = (probabilities * 0.98 + 0.0051).reshape(1, 1, 20, 20)
    names = {
        "ece": CalibrationReduction.EXPECTED,
        "average_calibration_error": CalibrationReduction.AVERAGE,
        "mce": CalibrationReduction.MAXIMUM,
    }
    for name, reduction in names.items():
        theirs = CalibrationErrorMetric(num_bins=15, calibration_reduction=reduction)
        theirs(torch.tensor(probabilities), torch.tensor(truth.reshape(1, 1, 20, 20)).float())
        ours = value(name, probabilities[0, 0], truth.reshape(20, 20))
        assert ours == pytest.approx(float(theirs.aggregate()), abs=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_torchmetrics():
    import torch
    from torchmetrics.functional import classification as theirs

    probabilities, truth = beliefs(5)
    given = torch.tensor(probabilities), torch.tensor(truth).long()
    for name, norm in (("ece", "l1"), ("mce", "max")):
        expected = theirs.binary_calibration_error(*given, n_bins=15, norm=norm)
        assert value(name, probabilities, truth) == pytest.approx(float(expected), abs=1e-5)
    assert value("auc_roc", probabilities, truth) == pytest.approx(float(theirs.binary_auroc(*given)), abs=1e-5)
    precision = float(theirs.binary_average_precision(*given))
    assert value("average_precision", probabilities, truth) == pytest.approx(precision, abs=1e-5)
    several, classes = softmax(6)
    expected = theirs.multiclass_calibration_error(torch.tensor(several.T), torch.tensor(classes), 4, n_bins=15)
    assert value("ece", several, classes) == pytest.approx(float(expected), abs=1e-5)


def test_a_reliability_curve_holds_every_voxel_once():
    probabilities, truth = beliefs(5)
    found = reliability(Beliefs.of(probabilities, truth), 10)
    assert found.count.sum() == 400
    assert (found.count * found.frequency).sum() == pytest.approx(truth.sum())
    assert (found.count * found.confidence).sum() == pytest.approx(probabilities.sum())


def test_what_cannot_be_told_apart_has_no_area():
    assert math.isnan(value("auc_roc", PROBABILITIES, TRUTH & False))
    assert math.isnan(value("average_precision", PROBABILITIES, TRUTH & False))


@pytest.mark.parametrize(
    ("probabilities", "reference", "message"),
    [
        (np.array([0.5, 1.5]), np.array([0, 1]), "sigmoid or softmax"),
        (np.zeros((2, 3)), np.zeros((3, 2)), "do not lie on"),
    ],
)
def test_wrong_inputs_are_refused(probabilities, reference, message):
    with pytest.raises(DataError, match=message):
        Beliefs.of(probabilities, reference)
    with pytest.raises(DataError, match="one structure"):
        value("auc_roc", *softmax(0))
