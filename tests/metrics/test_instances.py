"""Metrics of objects against values worked out by hand, scikit-image, MONAI and plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from skimage.metrics import adapted_rand_error, variation_of_information

from hyoid.core.errors import DataError
from hyoid.metrics import Objects, Pair
from hyoid.metrics.instances import object_metrics

REFERENCE = np.array([[1, 1, 1, 1, 0, 2, 2, 2, 2, 0, 3, 3]])
PREDICTION = np.array([[1, 1, 1, 0, 0, 2, 2, 4, 4, 4, 0, 0]])
"""IoU 3/4 for object 1; 2/4 and 2/5 for the two halves of object 2; object 3 is missed."""


def cells(seed: int, shape: tuple[int, ...] = (40, 44), count: int = 14) -> tuple[np.ndarray, np.ndarray]:
    """Boxes that are moved, joined, lost or made up."""
    rng = np.random.default_rng(seed)
    both = np.zeros((2, *shape), np.int32)
    for number in range(1, count):
        corner = rng.integers(0, np.array(shape) - 8)
        for side in range(2):
            moved = np.maximum(corner + side * rng.integers(-2, 3, len(shape)), 0)
            if rng.random() < 0.85:
                both[side][tuple(slice(a, a + 6) for a in moved)] = number
    return both[0], both[1]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("object_f1", 2 * 1 / (3 + 3)),
        ("object_ap", 1 / 5),
        ("object_map", (5 / 10) * 1 / 5),
        ("panoptic_quality", 0.75 / 3),
        ("segmentation_quality", 0.75),
        ("aji", (3 + 2 + 0) / (4 + 4 + 2 + 3)),
        ("seg", 0.75 / 3),
        ("lesion_recall", 2 / 3),
        ("lesion_precision", 1.0),
        ("lesion_f1", 4 / 5),
    ],
)
def test_values_worked_out_by_hand(name, value):
    assert object_metrics.build(name)(PREDICTION, REFERENCE) == pytest.approx(value)


def test_below_half_an_object_is_matched_once_and_as_many_as_possible():
    reference = np.array([[1, 1, 1, 1, 2, 2, 2, 2]])
    prediction = np.array([[1, 1, 3, 3, 3, 3, 4, 4]])
    assert Objects.of(prediction, reference).matched(0.3).tolist() == pytest.approx([0.5, 0.5])
    assert object_metrics.build("object_f1", iou=0.3)(prediction, reference) == pytest.approx(4 / 5)


@pytest.mark.parametrize("seed", range(4))
def test_rand_and_information_agree_with_scikit_image(seed):
    prediction, reference = cells(seed)
    rand, *_ = adapted_rand_error(reference, prediction)
    assert object_metrics.build("rand_error")(prediction, reference) == pytest.approx(rand)
    information = sum(variation_of_information(reference, prediction))
    assert object_metrics.build("voi")(prediction, reference) == pytest.approx(information)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("iou", [0.3, 0.5, 0.7])
def test_agrees_with_panoptic_quality_of_monai(iou):
    import torch
    from monai.metrics import compute_panoptic_quality

    prediction, reference = cells(3)
    tensors = torch.tensor(prediction), torch.tensor(reference)
    theirs = {
        name: float(compute_panoptic_quality(*tensors, name, match_iou_threshold=iou)) for name in ("rq", "sq", "pq")
    }
    assert object_metrics.build("object_f1", iou=iou)(prediction, reference) == pytest.approx(theirs["rq"], abs=1e-5)
    if iou == 0.5:
        assert object_metrics.build("panoptic_quality")(prediction, reference) == pytest.approx(theirs["pq"], abs=1e-5)
        quality = object_metrics.build("segmentation_quality")(prediction, reference)
        assert quality == pytest.approx(theirs["sq"], abs=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_panoptic_quality_of_torchmetrics():
    import torch
    from torchmetrics.functional.detection import panoptic_quality

    prediction, reference = cells(5)
    pairs = [torch.stack([torch.tensor(one > 0).long(), torch.tensor(one).long()], -1) for one in cells(5)]
    theirs = panoptic_quality(*(pair[None] for pair in pairs), things={1}, stuffs={0}, return_per_class=True)
    ours = object_metrics.build("panoptic_quality")(prediction, reference)
    assert ours == pytest.approx(float(theirs.flatten()[0]), abs=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_aji_and_seg_follow_their_definitions_object_by_object(seed):
    prediction, reference = cells(seed, (14, 16, 18), 9)
    common = union = 0
    scores, used = [], set()
    for number in np.unique(reference)[1:]:
        mask = reference == number
        options = {
            k: (mask & (prediction == k)).sum() / (mask | (prediction == k)).sum() for k in np.unique(prediction)[1:]
        }
        best = max(options, key=lambda k: (options[k], -k))
        touched = options[best] > 0
        partner = prediction == best if touched else np.zeros_like(mask)
        common, union = common + (mask & partner).sum(), union + (mask | partner).sum()
        used |= {best} if touched else set()
        cover = [k for k in options if 2 * (mask & (prediction == k)).sum() > mask.sum()]
        scores.append(options[cover[0]] if cover else 0.0)
    left = sum((prediction == k).sum() for k in np.unique(prediction)[1:] if k not in used)
    assert object_metrics.build("aji")(prediction, reference) == pytest.approx(common / (union + left))
    assert object_metrics.build("seg")(prediction, reference) == pytest.approx(np.mean(scores))


def test_numbers_tell_touching_objects_apart_and_masks_do_not():
    numbers = np.array([[1, 1, 2, 2, 0, 0]])
    assert Objects.of(numbers, numbers > 0).num_predicted == 2
    assert Objects.of(numbers, numbers > 0).num_reference == 1
    pair = Pair(numbers > 0, numbers > 0, (1.0, 1.0), numbers.shape, (None, numbers))
    assert (pair.objects.num_predicted, pair.objects.num_reference) == (1, 2)


def test_many_objects_are_counted_without_a_table(monkeypatch):
    from hyoid.metrics import objects

    prediction, reference = cells(1)
    expected = Objects.of(prediction, reference, num_voxels=5000).meetings
    monkeypatch.setattr(objects, "_LARGEST_TABLE", 0)
    found = Objects.of(prediction, reference, num_voxels=5000).meetings
    assert [part.tolist() for part in found] == [part.tolist() for part in expected]


def test_objects_lie_on_one_grid():
    with pytest.raises(DataError, match="one grid"):
        Objects.of(np.zeros((2, 3), int), np.zeros((3, 2), int))


def test_pairs_below_one_half_are_those_of_the_best_assignment_in_each_group():
    rng = np.random.default_rng(0)
    for _ in range(20):
        prediction, reference = (np.repeat(np.sort(rng.integers(0, 7, 12)), 5)[None] for _ in range(2))
        objects = Objects.of(prediction, np.roll(reference, rng.integers(5)))
        predicted, truth, iou = objects.pairs(0.1)
        assert len(set(predicted)) == len(predicted) and len(set(truth)) == len(truth)
        table = np.zeros((objects.num_predicted + 1, objects.num_reference + 1))
        rows, columns, _, overlap = objects.overlaps
        table[rows, columns] = np.where(overlap > 0.1, 1 + overlap / 100, 0)
        best = table[linear_sum_assignment(table, maximize=True)]
        assert len(iou) == (best > 0).sum() and iou.sum() == pytest.approx(100 * (best[best > 0] - 1).sum())
