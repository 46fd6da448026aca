"""Detection of lesions and FROC against values worked out by hand and against MONAI."""

from __future__ import annotations

import math

import numpy as np
import pytest

from hyoid.metrics.lesions import Candidates, candidates, froc, froc_score

CASES = (
    Candidates(hits=(0.9, 0.4, -math.inf), false=(0.7, 0.2)),
    Candidates(hits=(0.8,), false=()),
)


def test_a_curve_worked_out_by_hand():
    false, found = froc(CASES)
    assert false.tolist() == [0, 0, 0, 0.5, 0.5, 1.0]
    assert found.tolist() == [0, 0.25, 0.5, 0.5, 0.75, 0.75]
    assert froc_score(CASES, at=(0.25, 0.5, 8)) == pytest.approx((0.5 + 0.75 + 0.75) / 3)


def test_candidates_are_pieces_with_their_highest_probability():
    reference = np.array([[1, 1, 0, 0, 0, 0, 1, 0, 0, 1]], bool)
    probability = np.array([[0.3, 0.6, 0.2, 0, 0.5, 0, 0.05, 0, 0.3, 0.9]])
    found = candidates(probability, reference)
    assert found == Candidates(hits=(0.6, -math.inf, 0.9), false=(0.5,))


def test_without_lesions_there_is_no_score():
    assert math.isnan(froc_score((Candidates((), (0.4,)),)))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_the_curve_is_that_of_monai_which_leaves_out_the_laxest_point():
    from monai.metrics import compute_froc_curve_data

    hits = np.array([score for case in CASES for score in case.hits if math.isfinite(score)])
    false = np.array([score for case in CASES for score in case.false])
    false_rate, sensitivity = compute_froc_curve_data(false, hits, num_targets=4, num_images=2)
    ours_false, ours_found = froc(CASES)
    assert ours_false[:-1].tolist() == false_rate[::-1].tolist()
    assert ours_found[:-1].tolist() == sensitivity[::-1].tolist()


def test_one_piece_over_ten_lesions_finds_one_at_most_and_a_lesion_in_two_pieces_is_found_once():
    reference = np.zeros((3, 40), bool)
    reference[:, ::4] = reference[:, 1::4] = True
    blob = candidates(np.full((3, 40), 0.9), reference)
    assert len(blob.hits) == 10 and sum(np.isfinite(blob.hits)) <= 1
    lesion, halves = np.ones((1, 9), bool), np.full((1, 9), 0.9)
    halves[0, 4] = 0.0
    assert candidates(halves, lesion) == Candidates(hits=(0.9,), false=(0.9,))


def test_weak_pieces_are_candidates_and_sure_ones_are_cut_as_answers_are():
    reference = np.array([[1, 1, 0, 1, 1, 0, 0, 1, 1]], bool)
    probability = np.array([[0.8, 0.8, 0.3, 0.9, 0.9, 0, 0, 0.2, 0.2]])
    assert candidates(probability, reference) == Candidates(hits=(0.8, 0.9, 0.2), false=())
