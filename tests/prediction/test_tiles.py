"""Tiles cover, blend to one everywhere, and read beyond the border as told."""

from functools import reduce
from itertools import pairwise, product

import numpy as np
import pytest
import torch

from hyoid.prediction.tiles import Tiling, Window, blend_weights, cheapest_tile, stitch, tile_starts, windows


def cut(shape, tile, margin=None, share=0.5, border="zero"):
    """A tiling whose tiles share a part of themselves."""
    return Tiling(tuple(shape), tile, margin or (0,) * len(tile), tuple(share * n for n in tile), border)


@pytest.mark.parametrize(
    ("size", "tile", "expected"), [(10, 4, (0, 2, 4, 6)), (4, 4, (0,)), (3, 4, (0,)), (5, 4, (0, 1))]
)
def test_starts_by_hand(size, tile, expected):
    assert tile_starts(size, tile, tile / 2) == expected


@pytest.mark.parametrize("size", [7, 31, 64, 100, 129])
@pytest.mark.parametrize("tile", [1, 2, 7])
@pytest.mark.parametrize("overlap", [0, 0.25, 0.5, 0.8])
def test_tiles_cover_the_axis_and_overlap_enough(size, tile, overlap):
    starts = tile_starts(size, tile, overlap * tile)
    assert starts[0] == 0 and starts[-1] == size - tile
    # Starts are whole numbers, so a single step may be up to a voxel longer than the mean one.
    assert all(0 < b - a <= max(1, np.ceil(tile * (1 - overlap))) for a, b in pairwise(starts))


@pytest.mark.parametrize(("size", "tile"), [(10, 4), (64, 64), (129, 32), (33, 32), (200, 7)])
def test_weights_sum_to_one_at_every_voxel(size, tile):
    starts = tile_starts(size, tile, tile / 2)
    total = np.zeros(size)
    for start, weights in zip(starts, blend_weights(size, tile, starts), strict=True):
        total[start : start + tile] += weights
    np.testing.assert_allclose(total, 1, rtol=1e-12)


def test_the_rim_of_a_tile_gives_way_to_the_middle_of_its_neighbour():
    weights = blend_weights(48, 32, (0, 16))
    assert weights[0][16] > 0.99 and weights[0][31] < 0.01


@pytest.mark.parametrize("shape", [(20, 33), (5, 40), (9, 21, 17), (3, 3, 3)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float16, 2e-3)])
def test_ones_come_back_as_ones_corners_too(shape, batch, dtype, tolerance):
    tiling = cut(shape, (8,) * len(shape))
    slabs = list(stitched(torch.ones_like, np.zeros((2, *shape), np.float32), tiling, batch, None, dtype))
    whole = torch.cat(slabs, tiling.long_axis + 1)
    assert whole.shape == (2, *shape) and whole.dtype == dtype
    torch.testing.assert_close(whole.float(), torch.ones(2, *shape), rtol=0, atol=tolerance)


@pytest.mark.parametrize(("most", "longest"), [(1, 1), (10, 2), (10_000, 8)])
def test_slabs_follow_one_another_without_gaps(most, longest):
    tiling = cut((5, 40), (8, 8))
    slabs = stitch(torch.ones_like, np.zeros((1, 5, 40)), tiling, most=most)
    sizes = [(first, slab.shape[2]) for first, slab in slabs]
    assert max(size for _, size in sizes) == longest
    assert [first for first, _ in sizes] == list(np.cumsum([0, *(size for _, size in sizes)])[:-1])
    assert sum(size for _, size in sizes) == 40


@pytest.mark.parametrize("shape", [(20, 33), (11, 23, 17), (4, 40, 19)])
def test_windows_give_the_same_answer_as_the_whole(shape):
    image = np.random.default_rng(0).standard_normal((2, *shape)).astype(np.float32)
    tiling = cut(shape, (8,) * len(shape))
    forward = lambda x: x.sigmoid() * torch.linspace(0, 1, 8)  # noqa: E731
    whole = torch.cat(list(stitched(forward, image, tiling)), tiling.long_axis + 1)
    size = tiling.shape[tiling.cross_axis]
    for start in range(0, size, 5):
        window = Window(tiling.cross_axis, start, min(start + 5, size))
        part = torch.cat(list(stitched(forward, image, tiling, 2, window)), tiling.long_axis + 1)
        expected = whole.narrow(window.axis + 1, start, window.stop - start)
        torch.testing.assert_close(part, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("shape", [(20, 33), (11, 23, 17), (5, 40, 9)])
@pytest.mark.parametrize("batch", [1, 3])
@pytest.mark.parametrize("added", [1, 700, 2**19])
def test_logits_blended_part_by_part_equal_probabilities_weighed_tile_by_tile(monkeypatch, shape, batch, added):
    monkeypatch.setattr("hyoid.prediction.tiles.ADDED", added)
    image = np.random.default_rng(0).standard_normal((5, *shape)).astype(np.float32)
    tiling = cut(shape, (8, 7, 6)[-len(shape) :])
    forward = lambda x: (3 * x * torch.linspace(0, 1, x.shape[-1])).bfloat16()  # noqa: E731
    activate = lambda x: x.float().softmax(1)  # noqa: E731
    slabs = stitched(forward, image, tiling, batch, None, None, None, activate)
    whole = torch.cat(list(slabs), tiling.long_axis + 1)
    padded = torch.zeros(5, *map(max, shape, tiling.tile))
    for index in product(*map(range, map(len, tiling.starts))):
        first = [starts[i] for starts, i in zip(tiling.starts, index, strict=True)]
        place = tuple(slice(begin, begin + size) for begin, size in zip(first, tiling.tile, strict=True))
        tile = torch.from_numpy(tiling.read(image, index))[None]
        weight = torch.from_numpy(reduce(np.multiply.outer, [w[i] for w, i in zip(tiling.weights, index, strict=True)]))
        padded[(slice(None), *place)] += activate(forward(tile))[0] * weight
    inside = tuple(slice(begin, begin + size) for begin, size in zip(tiling.offset, shape, strict=True))
    torch.testing.assert_close(whole, padded[(slice(None), *inside)], rtol=1e-5, atol=1e-6)


def test_features_too_large_for_16_bits_count_as_the_largest():
    image = np.full((1, 20, 20), 1e6, np.float32)
    slabs = stitched(lambda x: x, image, cut((20, 20), (8, 8)), 1, None, torch.float16)
    expected = torch.full((1, 20, 20), 2.0**15, dtype=torch.float16)
    torch.testing.assert_close(torch.cat(list(slabs), 1), expected, rtol=1e-2, atol=0)


def test_windows_fit_the_memory():
    tiling = cut((512, 512, 400), (128, 128, 128))
    for channels in (3, 61, 400):
        parts, dtype = windows(tiling, channels, 1.5)
        width = 512 if parts[0] is None else max(part.stop - part.start for part in parts)
        size = 4 if dtype == torch.float32 else 2
        assert size * channels * 128 * 400 * width <= 1.5 * 2**30
        assert parts[0] is None or (parts[0].start == 0 and parts[-1].stop == 512)


def stitched(*arguments):
    """The slabs, copied: each is only valid until the next one is asked for."""
    return (slab.clone() for _, slab in stitch(*arguments))


def test_a_net_that_changes_nothing_gives_the_image_back():
    image = np.random.default_rng(0).standard_normal((2, 30, 19, 11)).astype(np.float32)
    tiling = cut(image.shape[1:], (8, 8, 16), (2, 2, 0), border="mirror")
    slabs = stitched(lambda x: x[:, :, 2:-2, 2:-2], image, tiling)
    np.testing.assert_allclose(torch.cat(list(slabs), 1 + tiling.long_axis), image, atol=1e-5)


def test_tiles_of_one_value_go_through_the_net_once():
    image = np.zeros((2, 40, 33), np.float32)
    image[1] = 7
    image[:, 12:15, 10:14] = 1
    tiling = cut(image.shape[1:], (8, 8), (1, 1), share=0.25, border="mirror")
    seen = []

    def forward(tiles: torch.Tensor) -> torch.Tensor:
        seen.extend(tiles)
        return (tiles[:, :, 1:-1, 1:-1] * torch.arange(1, 9)).cumsum(-1)  # places in a tile are told apart

    answer = torch.cat(list(stitched(forward, image, tiling, 3)), 1)
    assert len(seen) < tiling.num_tiles / 2
    flat = [tile for tile in seen if all(channel.unique().numel() == 1 for channel in tile)]
    assert len(flat) <= 3  # those of the first batch
    noisy = image + np.random.default_rng(0).normal(0, 1e-7, image.shape).astype(np.float32)
    noisy[0] += 1e-6 * np.arange(33, dtype=np.float32)  # no tile is like another, the answer nearly the same
    before = len(seen)
    other = torch.cat(list(stitched(forward, noisy, tiling, 3)), 1)
    assert len(seen) - before == tiling.num_tiles
    torch.testing.assert_close(answer, other, atol=5e-3, rtol=0)


def test_the_cheapest_tile_is_allowed_and_the_smallest_of_equals():
    work = lambda tile: 100 // tile[0] + 100 // tile[1]  # noqa: E731
    assert cheapest_tile([(10, 20), (10, 20)], 200, work) == (10, 20)
    assert cheapest_tile([(10, 20), (10, 20)], 0, work) == (10, 10)
    assert cheapest_tile([(10, 20), (10, 15)], 10_000, lambda tile: 1) == (10, 10)


def test_progress_adds_up_to_one():
    told = []
    tiling = cut((30, 30), (8, 8))
    list(stitch(lambda x: x, np.zeros((1, 30, 30), np.float32), tiling, 4, advance=told.append))
    assert sum(told) == pytest.approx(1)
