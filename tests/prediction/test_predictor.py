"""Predictor: a case in, an answer on exactly its grid out."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from hyoid.core.case import Case, Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.ops.resample import decode_onto, onto
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.tasks import task_for
from phantoms import OneConvolution, make_case, make_plan, make_predictor


@pytest.mark.parametrize("shape", [(40, 37), (20, 18, 27)])
def test_stitched_tiles_equal_the_whole_image_for_a_small_field_of_view(shape):
    patch = (16,) * len(shape)
    net = OneConvolution(len(shape), 3)
    tiled = make_predictor(patch, net).predict_prepared(make_case(shape).image.array)
    with torch.inference_mode():
        whole = net(torch.from_numpy(make_case(shape).image.array[None]))[0].softmax(1)[0].numpy()
    # Only the outermost voxels of a tile lack a neighbour, and there its weight is small.
    assert np.abs(tiled - whole).mean() < 1e-3
    assert np.abs(tiled - whole).max() < 0.02


@pytest.mark.parametrize(("whole", "num_tiles"), [(0, 6), (1000, 1)])
def test_tiles_of_a_valid_net_equal_one_pass_over_the_mirrored_image(whole, num_tiles):
    spec = UNetSpec(dims=2, in_channels=1, out_channels=3, channels=(4, 8), padding="valid", down="max", norm="none")
    net = spec.build().eval()
    tile = net.output_shape((44, 44))
    # Pooling makes the answer depend on where a tile begins; these begin at even voxels.
    image = make_case((tile[0] * 3 // 2, tile[1] * 2)).image.array
    predictor = make_predictor((44, 44), net, whole=whole)
    assert predictor.tiling(image.shape[1:]).num_tiles == num_tiles
    pads = [(0, 0), *((m, m) for m in net.margin)]
    with torch.inference_mode():
        full = net(torch.from_numpy(np.pad(image, pads, mode="reflect")[None]))[0].softmax(1)[0].numpy()
    np.testing.assert_allclose(predictor.predict_prepared(image), full, atol=1e-5)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "patch", "prepared_mm"),
    [
        ((40, 33), None, (16, 16), None),
        ((40, 33), (0.5, 0.7), (16, 16), (1.0, 1.0)),
        ((21, 30, 25), (2.0, 1.0, 1.1), (8, 16, 16), (1.5, 1.5, 1.5)),
        ((21, 30, 25), (2.0, 1.0, 1.1), (8, 16, 16), None),
        ((9, 30, 25), (6.0, 1.0, 1.0), (1, 16, 16), (6.0, 1.5, 1.5)),
        ((1, 1, 1), (1.0, 1.0, 1.0), (8, 8, 8), None),
    ],
)
def test_the_answer_lies_on_the_grid_of_the_case(shape, spacing_mm, patch, prepared_mm):
    predictor = make_predictor(patch, spacing_mm=prepared_mm)
    case = make_case(shape, spacing_mm)
    answer = predictor.predict(case)
    assert answer.grid == case.image.grid and answer.kind == "labels"
    assert answer.array.dtype == np.uint8 and set(np.unique(answer.array)) <= {0, 1, 5}
    labels, probabilities = predictor.predict_probabilities(case)
    assert labels.grid == probabilities.grid == case.image.grid
    np.testing.assert_array_equal(labels.array, answer.array)
    np.testing.assert_allclose(probabilities.array.sum(0, dtype=np.float32), 1, atol=5e-3)
    decoded = predictor.task.decode(probabilities.array.astype(np.float32))
    assert (decoded == answer.array[0]).mean() > 0.98


@pytest.mark.parametrize("codes", ["RAS", "LPI", "SLA", "IPR"])
def test_orientation_of_the_file_does_not_matter(codes):
    plan = make_plan((8, 8, 8))
    plan = plan.model_copy(update={"preparation": plan.preparation.changed({"orientation": "RAS"})})
    predictor = Predictor.of(plan.net.build(), task_for(Labels.of({1: "a", 2: "b"})), plan, PredictionSettings(whole=0))
    case = make_case((12, 14, 16), (1.0, 1.0, 1.0))
    turned = onto(case.image, case.image.grid.oriented(codes))
    there = predictor.predict(Case("turned", turned))
    np.testing.assert_array_equal(onto(there, case.image.grid).array, predictor.predict(case).array)


@pytest.mark.parametrize("memory_gb", [1, 5e-5])
@pytest.mark.parametrize(("shape", "spacing_mm"), [((50, 30, 31), (0.9, 1.3, 2.2)), ((13, 22, 40), (4.1, 2.9, 0.8))])
def test_pieces_brought_onto_another_grid_equal_the_whole_volume_brought_at_once(
    monkeypatch, shape, spacing_mm, memory_gb
):
    for room in ("answering", "predictor"):
        monkeypatch.setattr(f"hyoid.prediction.{room}.CHUNK_BYTES", 20_000)
    predictor = make_predictor((8, 8, 8), spacing_mm=(2.0, 2.0, 2.0), memory_gb=memory_gb)
    case = make_case(shape, spacing_mm)
    prepared = predictor.prepared(case)
    whole = predictor.predict_prepared(prepared.array)
    expected = decode_onto(whole, prepared.grid, case.image.grid, predictor.task.decode)
    found = predictor.predict(case).array[0]
    assert (found == expected).mean() > (0.9999 if memory_gb == 1 else 0.999)


def test_mirrored_answers_are_averaged():
    net = OneConvolution(2, 3)
    predictor = make_predictor((16, 16), net, mirror=True, whole=1000)
    image = make_case((16, 16)).image.array
    tile = torch.from_numpy(image[None])
    with torch.inference_mode():
        flips = [(), (2,), (3,), (2, 3)]
        expected = torch.stack([net(tile.flip(f))[0].softmax(1).flip(f) for f in flips]).mean(0)[0]
    np.testing.assert_allclose(predictor.predict_prepared(image), expected, atol=1e-6)


def test_logits_made_probabilities_in_parts_equal_those_made_at_once(monkeypatch):
    predictor = make_predictor((16, 16, 16))
    tiles = torch.from_numpy(np.random.default_rng(0).standard_normal((2, 1, 16, 16, 16), np.float32))
    whole = predictor.forward(tiles)
    monkeypatch.setattr("hyoid.prediction.predictor.ACTIVATED", 5 * 3 * 2 * 16 * 16)
    torch.testing.assert_close(predictor.forward(tiles), whole, rtol=1e-6, atol=1e-7)


def test_a_small_image_goes_through_in_one_pass():
    predictor = make_predictor((16, 16), whole=2)
    assert predictor.tiling((18, 20)).num_tiles == 1
    assert predictor.tiling((18, 20)).tile == (18, 20)
    assert predictor.tiling((40, 40)).num_tiles > 1


@pytest.mark.parametrize(
    ("shape", "tile", "num_tiles"),
    [
        ((32, 32, 32), (20, 20, 20), 8),  # 27 tiles of 16^3 would be 1.7 times the work
        ((64, 64, 64), (20, 20, 20), 125),  # instead of 343 of 16^3
        ((24, 64, 64), (24, 16, 20), 35),
        ((17, 40, 40), (18, 16, 24), 8),
    ],
)
def test_tiles_grow_where_that_saves_work(shape, tile, num_tiles):
    predictor = make_predictor((16, 16, 16), whole=2)
    tiling, plain = predictor.tiling(shape), make_predictor((16, 16, 16)).tiling(shape)
    assert tiling.tile == tile and tiling.num_tiles == num_tiles
    assert plain.tile == (16, 16, 16) and plain.num_tiles * plain.seen > tiling.num_tiles * tiling.seen
    for starts, length in zip(tiling.starts, tiling.tile, strict=True):  # what neighbours share stays half a patch
        assert all(length - (later - first) >= 8 - 1 for first, later in pairwise(starts))


def test_tiles_grow_along_axes_that_leave_the_image_in_one_part():
    shape, ring_gb = (64, 30, 30), 3 * 16 * 30 * 30 * 2 / 2**30
    assert make_predictor((16, 16, 16), whole=2).tiling(shape).tile == (20, 20, 20)
    assert make_predictor((16, 16, 16), whole=2, memory_gb=1.01 * ring_gb).tiling(shape).tile[0] == 16


def test_tiles_with_maps_of_many_classes_do_not_outgrow_the_memory():
    patch_gb = 3 * 4 * 3 * 16**3 / 2**30
    assert make_predictor((16, 16, 16), whole=2, memory_gb=2 * patch_gb).tiling((64, 64, 64)).tile == (20, 20, 20)
    assert make_predictor((16, 16, 16), whole=2, memory_gb=1.2 * patch_gb).tiling((64, 64, 64)).tile == (16, 16, 16)


def test_only_the_largest_piece_is_kept_when_asked():
    from hyoid.prediction.postprocess import keep_largest

    array = np.zeros((1, 6, 12), np.uint8)
    array[0, 1:3, 1:3], array[0, 1:5, 6:10], array[0, 5, 0] = 1, 1, 5
    cleaned = keep_largest(Image(array, Grid.plain((6, 12)), "labels"), Labels.of({1: "liver", 5: "spleen"}), ["liver"])
    assert cleaned.array[0, 1, 1] == 0 and cleaned.array[0, 2, 7] == 1 and cleaned.array[0, 5, 0] == 5


def test_another_number_of_channels_is_refused():
    image = Image(np.zeros((2, 20, 20), np.float32), Grid.plain((20, 20)))
    with pytest.raises(DataError, match="the net learned from 1 channels; this image has 2"):
        make_predictor((16, 16)).predict(Case("two", image))


def test_another_number_of_dimensions_is_refused():
    with pytest.raises(DataError, match="2D"):
        make_predictor((16, 16)).predict(make_case((4, 20, 20)))


@pytest.mark.parametrize(("mirror", "mirrored"), [(None, True), (False, False), (True, True)])
def test_2d_nets_mirror_unless_told_otherwise(mirror: bool | None, mirrored: bool):
    predictor = make_predictor((16, 16), mirror=mirror)
    tiles = torch.randn(1, 1, 16, 16, generator=torch.Generator().manual_seed(0))
    answer, flipped = predictor.forward(tiles), predictor.forward(tiles.flip(2)).flip(2)
    assert torch.allclose(answer, flipped, atol=1e-5) == mirrored
