"""Surface metrics against values worked out by hand, MONAI, surface-distance and plain definitions."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter
from scipy.spatial.distance import cdist

from hyoid.core.lengths import step_of
from hyoid.metrics import measure, metrics
from hyoid.metrics.pair import Pair
from hyoid.ops.morphology import surface


def blobs(seed: int, shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    base = gaussian_filter(rng.standard_normal(shape), 3)
    other = base + 0.6 * gaussian_filter(rng.standard_normal(shape), 2)
    return other > np.quantile(other, 0.8), base > np.quantile(base, 0.8)


def test_two_parallel_planes_are_as_far_apart_as_the_spacing_says():
    reference, prediction = np.zeros((2, 9, 9, 12), bool)
    reference[:, :, 2] = True
    prediction[:, :, 6] = True
    found = measure(prediction, reference, (1.0, 1.0, 2.5), ("hd95", "assd", "nsd"))
    assert found == {"hd95": 10.0, "assd": 10.0, "nsd": 0.0}


def test_hd95_forgives_five_percent_of_the_surface():
    reference = np.zeros((100, 3), bool)
    reference[:, 1] = True
    nearly = reference.copy()
    nearly[:3, 1] = False
    nearly[:3, 2] = True
    assert metrics.build("hd95")(nearly, reference) == 0.0
    nearly[:8, 1] = False
    nearly[:8, 2] = True
    assert metrics.build("hd95")(nearly, reference) == 1.0


def test_pooled_hd95_hides_a_small_surface_behind_a_large_one():
    prediction, reference = blobs(2, (20, 22, 24))
    prediction[:, :, 12:] = False
    pooled = metrics.build("hd95_pooled")(prediction, reference)
    assert 0 < pooled < metrics.build("hd95")(prediction, reference)


def test_tolerance_counts_whole_voxels():
    reference, prediction = np.zeros((2, 9, 12), bool)
    reference[:, 4] = True
    prediction[:, 6] = True
    assert metrics.build("nsd", tolerance_mm=1.9)(prediction, reference) == 0.0
    assert metrics.build("nsd", tolerance_mm=2.0)(prediction, reference) == 1.0


@pytest.mark.parametrize("shape", [(30, 40), (14, 17, 20)])
def test_agrees_with_the_definition_point_by_point(shape):
    spacing = (0.8, 1.3, 2.6)[: len(shape)]
    prediction, reference = blobs(3, shape)
    points = [np.argwhere(surface(mask)) * spacing for mask in (prediction, reference)]
    table = cdist(*points)
    there, back = table.min(1), table.min(0)
    found = measure(prediction, reference, spacing, ("hd95", "assd", "nsd"))
    assert found["hd95"] == pytest.approx(max(np.percentile(there, 95), np.percentile(back, 95)), rel=1e-5)
    assert found["assd"] == pytest.approx(np.concatenate([there, back]).mean(), rel=1e-5)
    assert found["nsd"] == pytest.approx(np.mean(np.concatenate([there, back]) <= step_of(spacing)), rel=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(48, 60), (24, 26, 28)])
@pytest.mark.filterwarnings("ignore")
def test_agrees_with_monai(shape):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance, compute_surface_dice

    spacing = (1.5, 1.0, 2.0)[: len(shape)]
    prediction, reference = blobs(4, shape)
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference)]
    options = {"include_background": True, "spacing": spacing}
    found = measure(prediction, reference, spacing, ("hd95", "assd"))
    nsd = metrics.build("nsd", tolerance_mm=1.5)(prediction, reference, spacing)
    assert found["hd95"] == pytest.approx(float(compute_hausdorff_distance(*tensors, percentile=95, **options)))
    assert found["assd"] == pytest.approx(float(compute_average_surface_distance(*tensors, symmetric=True, **options)))
    assert nsd == pytest.approx(float(compute_surface_dice(*tensors, class_thresholds=[1.5], **options)), rel=1e-5)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("percentile", [50, 99, 100])
def test_any_percentile_agrees_with_monai(percentile):
    import torch
    from monai.metrics import compute_average_surface_distance, compute_hausdorff_distance

    prediction, reference = blobs(7, (16, 18, 20))
    tensors = [torch.from_numpy(mask)[None, None].float() for mask in (prediction, reference)]
    options = {"include_background": True, "spacing": (2.0, 1.0, 1.5)}
    ours = metrics.build("hausdorff", percentile=percentile)(prediction, reference, (2.0, 1.0, 1.5))
    assert ours == pytest.approx(float(compute_hausdorff_distance(*tensors, percentile=percentile, **options)))
    one_way = metrics.build("msd")(prediction, reference, (2.0, 1.0, 1.5))
    assert one_way == pytest.approx(float(compute_average_surface_distance(*tensors, symmetric=False, **options)))


@pytest.mark.parametrize("shape", [(40, 44), (20, 22, 24)])
def test_pooled_hd95_and_masd_follow_their_definitions(shape):
    prediction, reference = blobs(8, shape)
    table = cdist(*(np.argwhere(surface(mask)) for mask in (prediction, reference)))
    there, back = table.min(1), table.min(0)
    found = measure(prediction, reference, None, ("hd95_pooled", "masd"))
    assert found["hd95_pooled"] == pytest.approx(np.percentile(np.concatenate([there, back]), 95))
    assert found["masd"] == pytest.approx((there.mean() + back.mean()) / 2)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("shape", [(40, 44), (24, 26, 28)])
def test_area_conventions_agree_with_surface_distance(shape):
    import surface_distance

    spacing = (1.5, 1.0, 2.3)[: len(shape)]
    prediction, reference = blobs(5, shape)
    theirs = surface_distance.compute_surface_distances(reference, prediction, spacing)
    nsd = metrics.build("nsd_area", tolerance_mm=1.2)(prediction, reference, spacing)
    hd95 = metrics.build("hd95_area")(prediction, reference, spacing)
    assert hd95 == pytest.approx(surface_distance.compute_robust_hausdorff(theirs, 95))
    assert nsd == pytest.approx(surface_distance.compute_surface_dice_at_tolerance(theirs, 1.2))


def test_the_three_hd95_and_two_nsd_differ_on_the_same_masks():
    prediction, reference = blobs(9, (24, 26, 28))
    found = measure(prediction, reference, (1, 1, 2), ("hd95", "hd95_pooled", "hd95_area", "nsd", "nsd_area"))
    assert len({round(value, 6) for value in found.values()}) == 5


def test_boundary_iou_is_the_overlap_of_rims():
    reference, prediction = np.zeros((2, 20, 20), bool)
    reference[2:12, 2:12] = True
    prediction[2:12, 3:13] = True
    rims = []
    for mask in (prediction, reference):
        border = np.argwhere(surface(mask))
        within = cdist(np.argwhere(mask), border).min(1) <= 1.5
        rim = np.zeros_like(mask)
        rim[tuple(np.argwhere(mask)[within].T)] = True
        rims.append(rim)
    expected = (rims[0] & rims[1]).sum() / (rims[0] | rims[1]).sum()
    assert metrics.build("boundary_iou", depth_mm=1.5)(prediction, reference) == pytest.approx(expected)
    assert metrics.build("boundary_iou", depth_mm=1000.0)(prediction, reference) == 90 / 110


def test_distances_are_computed_once_for_all_metrics(monkeypatch):
    from hyoid.metrics import pair

    calls = []
    original = pair.line_distances
    monkeypatch.setattr(pair, "line_distances", lambda mask: calls.append(1) or original(mask))
    measure(
        *blobs(6, (20, 20)), names=("hd95", "hd95_pooled", "hausdorff", "assd", "masd", "msd", "nsd", "boundary_iou")
    )
    assert len(calls) == 2


def test_penalty_of_a_missed_structure_is_the_diagonal_of_the_whole_image():
    reference = np.zeros((30, 40), bool)
    reference[3:6, 3:6] = True
    assert Pair.of(~reference & False, reference, (1.0, 1.0)).diagonal_mm == 50.0
    assert metrics.build("hd95")(np.zeros_like(reference), reference, (1.0, 1.0)) == 50.0


@pytest.mark.parametrize("name", ["nsd", "nsd_area"])
@pytest.mark.parametrize("spacing", [0.1, 0.2, float(np.float32(0.1)), float(np.float32(0.2))])
@pytest.mark.parametrize("tolerance", [0.3, 0.6, 0.7, 1.0, 1.2, 1.4])
def test_a_surface_at_the_tolerance_lies_within_it(name, spacing, tolerance):
    steps = int(tolerance / spacing + 1e-3)
    for axis in range(3):
        masks = np.zeros((2, 24, 24, 24), bool)
        masks[0].swapaxes(0, axis)[4] = masks[1].swapaxes(0, axis)[4 + steps] = True
        score = metrics.build(name, tolerance_mm=tolerance)
        assert score(masks[0], masks[1], (spacing,) * 3) > (0.99 if name == "nsd" else 0.4)
        masks[1] = np.roll(masks[1], 1, axis)
        assert metrics.build("nsd", tolerance_mm=tolerance)(masks[0], masks[1], (spacing,) * 3) == 0


def test_a_rim_reaches_its_depth_whatever_the_rounding():
    mask = np.ones((41, 41), bool)
    inner = mask.copy()
    inner[11:30, 11:30] = False
    for spacing in (0.1, float(np.float32(0.1))):
        assert metrics.build("boundary_iou", depth_mm=1.0)(mask, inner, (spacing,) * 2) == 1.0
