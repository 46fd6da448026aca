"""A view keeps labels exact, left left, and its size."""

from __future__ import annotations

import base64
from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.reporting.facts import Overlay
from hyoid.reporting.views import View, allowance, view


def unfolded(address: str, one: View) -> np.ndarray:
    """The mosaic as slices x rows x columns."""
    flat = np.asarray(Pillow.open(BytesIO(base64.b64decode(address.split(",")[1]))).convert("L"))
    slices, rows, columns = one.shape
    down = flat.shape[0] // rows
    return flat.reshape(down, rows, one.columns, columns).swapaxes(1, 2).reshape(-1, rows, columns)[:slices]


def volume(shape=(20, 16, 12), spacing=(1.0, 1.0, 2.0)) -> Overlay:
    reference = np.zeros(shape, np.int32)
    reference[3:6, 4:10, 2:8] = 700
    reference[6:9, 4:10, 2:8] = 2
    prediction = np.roll(reference, 1, 0)
    image = np.random.default_rng(0).normal(size=(1, *shape)).astype(np.float32) + (reference > 0)
    labels = Labels(names=("left", "both"), values=((700,), (700, 2)))
    return Overlay("a", image, reference, prediction, Grid.plain(shape, spacing), labels)


def test_structures_travel_exactly_and_left_stays_left():
    overlay = volume()
    one = view(overlay, 100_000)
    codes = unfolded(one.reference, one)
    assert one.thinned == (1, 1, 1) and one.spacing == (2.0, 1.0, 1.0)
    found = np.isin(codes, one.codes["left"])
    truth = overlay.reference[:, :, ::-1][:, ::-1][::-1].transpose(2, 1, 0) == 700  # columns from right to left
    box = tuple(slice(h.min(), h.max() + 1) for h in np.nonzero(found))
    whole = tuple(slice(h.min(), h.max() + 1) for h in np.nonzero(truth))
    assert np.array_equal(found[box], truth[whole]) and found.sum() == truth.sum()
    assert np.isin(codes, one.codes["both"]).sum() == (overlay.reference > 0).sum()
    other = [code for code in one.codes["both"] if code not in one.codes["left"]]
    places = [np.nonzero(np.isin(codes, kind))[2].mean() for kind in (one.codes["left"], other)]
    assert places[0] > places[1]  # a smaller x lies further to the left of the patient, right on the screen


@pytest.mark.parametrize("num_bytes", [20_000, 4_000])
def test_a_view_keeps_to_its_bytes(num_bytes):
    rng = np.random.default_rng(1)
    shape = (60, 50, 40)
    reference = (rng.random(shape) > 0.6).astype(np.uint8)
    one = view(Overlay("a", rng.normal(size=(1, *shape)), reference, reference, Grid.plain(shape)), num_bytes)
    assert one.num_bytes <= num_bytes
    assert max(one.thinned) > 1
    assert set(np.unique(unfolded(one.reference, one))) <= {0, 1}


def test_colours_of_a_flat_image_stay():
    image = np.zeros((3, 30, 40), np.uint8)
    image[0] = 200
    one = view(Overlay("a", image, np.zeros((30, 40)), np.zeros((30, 40)), Grid.plain((30, 40))), 50_000)
    picture = Pillow.open(BytesIO(base64.b64decode(one.image.split(",")[1]))).convert("RGB")
    assert one.shape == (1, 30, 40) and picture.size == (40, 30)
    red, green, _ = picture.getpixel((20, 15))
    assert red > 180 and green < 30


def test_voxels_that_nobody_annotated_are_not_judged():
    reference = np.zeros((8, 8), np.uint8)
    reference[:4] = 9
    labels = Labels.of({1: "cell"}, ignore=9)
    one = view(Overlay("a", np.zeros((1, 8, 8)), reference, np.ones((8, 8)), Grid.plain((8, 8)), labels), 50_000)
    assert set(np.unique(unfolded(one.reference, one))) == {0, 255}


def test_many_cases_share_the_page():
    assert allowance(74) * 74 < 4_000_000
    assert allowance(1) == 300_000


@pytest.mark.parametrize("flat", [False, True])
def test_without_an_image_the_masks_travel_alone(flat):
    overlay = volume()
    if flat:
        overlay = replace(
            overlay,
            image=overlay.image[..., 4],
            reference=overlay.reference[..., 4],
            prediction=overlay.prediction[..., 4],
            grid=Grid.plain((20, 16)),
        )
    seen, bare = view(overlay, 100_000), view(replace(overlay, image=None), 100_000)
    assert bare == replace(seen, image="")
    assert bare.num_bytes < seen.num_bytes
