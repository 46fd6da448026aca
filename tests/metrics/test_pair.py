"""Boxes, counts and structures of label maps."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.core.errors import DataError
from hyoid.core.labels import Labels
from hyoid.metrics import Pair, Rules, measure, pairs_of
from hyoid.ops.confusion import confusion, dice_of_labels

REGIONS = Labels(names=("whole", "core"), values=((1, 2, 4), (2, 4)))


def maps(seed: int, shape: tuple[int, ...], values: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    reference = rng.choice([0, 0, *values], shape)
    return np.where(rng.random(shape) < 0.7, reference, rng.choice([0, *values], shape)), reference


def test_counts_add_up_to_the_image():
    prediction, reference = maps(0, (9, 10, 11), (1,))
    pair = Pair.of(prediction, reference)
    counts = (pair.true_positives, pair.false_positives, pair.false_negatives, pair.true_negatives)
    assert sum(counts) == 9 * 10 * 11
    assert counts[0] == np.sum((prediction == 1) & (reference == 1))
    assert counts[3] == np.sum((prediction == 0) & (reference == 0))


@pytest.mark.parametrize(
    ("predicted", "present", "finding"),
    [(1, 1, "found"), (0, 1, "missed"), (1, 0, "spurious"), (0, 0, "absent")],
)
def test_finding_names_which_mask_holds_something(predicted, present, finding):
    assert Pair.of(np.full((3, 3), predicted), np.full((3, 3), present)).finding == finding


def test_the_box_is_no_larger_than_both_masks():
    masks = np.zeros((2, 20, 30), bool)
    masks[0, 4:6, 7:9] = True
    masks[1, 5:9, 3:8] = True
    assert Pair.of(*masks).prediction.shape == (5, 6)


@pytest.mark.parametrize("labels", [Labels.of({1: "a", 2: "b", 4: "c"}), REGIONS, Labels.of({1: "a", 70000: "far"})])
def test_structures_of_label_maps_are_measured_as_their_masks(labels):
    prediction, reference = maps(1, (8, 9, 10), labels.known_values[1:])
    for name, pair in pairs_of(prediction, reference, labels, (1, 1, 2)):
        values = labels.values[labels.names.index(name)]
        expected = Pair.of(np.isin(prediction, values), np.isin(reference, values), (1, 1, 2))
        assert pair.true_positives == expected.true_positives
        assert np.array_equal(pair.surface_distances[0], expected.surface_distances[0])


def test_ignored_voxels_are_judged_nowhere():
    labels = Labels.of({1: "a"}, ignore=255)
    reference = np.array([[1, 1, 255, 255], [0, 0, 255, 255]])
    prediction = np.array([[1, 1, 1, 1], [0, 0, 1, 0]])
    ((_, pair),) = pairs_of(prediction, reference, labels)
    assert (pair.true_positives, pair.false_positives, pair.false_negatives) == (2, 0, 0)
    assert dice_of_labels(prediction, reference, labels) == {"a": 1.0}


@pytest.mark.parametrize("labels", [Labels.of({1: "a", 3: "b", 9: "unused"}), REGIONS])
def test_dice_of_many_structures_equals_dice_of_each(labels):
    prediction, reference = maps(2, (12, 13, 14), labels.known_values[1:3])
    quick = dice_of_labels(prediction.astype(np.uint8), reference.astype(np.int16), labels)
    for name, values in zip(labels.names, labels.values, strict=True):
        masks = (np.isin(array, values) for array in (prediction, reference))
        expected = measure(*masks, names=("dice",), rules=Rules(both_empty="exclude"))["dice"]
        assert quick[name] == pytest.approx(expected, nan_ok=True)


def test_confusion_counts_every_pair_of_values():
    labels = Labels.of({1: "a", 2: "b"})
    reference = np.array([0, 0, 1, 1, 2, 7])
    prediction = np.array([0, 1, 1, 2, 2, 2])
    assert confusion(prediction, reference, labels).tolist() == [[1, 1, 1], [0, 1, 1], [0, 0, 1]]


def test_confusion_of_a_long_array_is_the_sum_of_its_slabs():
    labels = Labels.of({1: "a"})
    reference = np.zeros((1 << 20) + 5, np.int16)
    reference[-3:] = 1
    assert confusion(reference, reference, labels).tolist() == [[(1 << 20) + 2, 0], [0, 3]]


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("ignore", [None, 255])
def test_bytes_are_counted_as_other_numbers_are(order, ignore):
    labels = Labels(names=("a", "b"), values=((2,), (3, 200)), ignore=ignore)
    prediction, reference = maps(4, (9, 10, 11), (1, 2, 3, 200, 255))
    quick = confusion(*(np.array(array, np.uint8, order=order) for array in (prediction, reference)), labels)
    assert quick.tolist() == confusion(prediction.astype(np.int16), reference.astype(np.int16), labels).tolist()


def test_masks_of_different_shapes_are_refused():
    with pytest.raises(DataError, match=r"\(3, 3\) and \(3, 4\)"):
        Pair.of(np.zeros((3, 3)), np.zeros((3, 4)))


def test_a_spacing_of_the_wrong_length_is_refused():
    with pytest.raises(DataError, match="each with a spacing"):
        Pair.of(np.zeros((3, 3)), np.zeros((3, 3)), (1, 1, 1))
