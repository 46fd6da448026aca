"""A case is compared with those that a net learned from, and differences come with the figures of both."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.planning.likeness import Known, facts_of, sentences

RNG = np.random.default_rng(0)


def case_of(low: float, high: float, shape=(12, 14, 16), spacing=(1.0, 1.0, 1.0), channels: int = 1, name="x") -> Case:
    noise = RNG.random((1, *shape)) if channels < 0 else RNG.random((channels, *shape))
    array = np.repeat(noise, -channels, 0) if channels < 0 else noise
    return Case(name, Image(low + (high - low) * array, Grid.plain(shape, spacing)))


def known(*cases: Case, is_ct: bool = False) -> Known:
    facts = tuple(map(facts_of, cases))
    return Known(facts, ("intensity", "green", "blue"), (is_ct,) * 3)


MR = [case_of(0, high) for high in (400, 500, 600, 700, 550, 450, 480, 520)]
CT = [case_of(-1000, high) for high in (900, 1000, 1100, 950) * 3]
PICTURES = [case_of(0, 255, (20, 30), None, 3) for _ in range(4)]


@pytest.mark.parametrize(
    ("there", "case", "kinds", "said"),
    [
        (known(*MR), case_of(0, 650), (), ""),
        (known(*MR), case_of(10, 900), (), ""),  # brighter, which normalising undoes
        (known(*MR), case_of(0, 65535), ("intensity",), "median 3"),
        (known(*MR), case_of(-1000, 400), ("intensity",), "(as Hounsfield numbers of a CT)"),
        (known(*MR), case_of(-200, 600), ("intensity",), "darkest 1 % up to -1"),
        (known(*CT, is_ct=True), case_of(0, 500), ("intensity",), "(no Hounsfield numbers)"),
        (known(*CT, is_ct=True), case_of(-1010, 980), (), ""),
        (known(*MR), case_of(0, 500, spacing=(1.0, 1.0, 5.0)), ("spacing", "size"), "spacing along S: 5 mm here, 1 mm"),
        (known(*MR), case_of(0, 500, shape=(12, 14, 80)), ("size",), "size along S: 80 mm here, 16 mm in training"),
        (known(*PICTURES), case_of(0, 255, (20, 30), None, -3), ("colours",), "grey here, coloured in training"),
        (known(*PICTURES), case_of(0, 255, (20, 30), None, 3), (), ""),
        (known(*PICTURES), case_of(0, 255, (20, 30), (6.5e-4, 6.5e-4), 3), (), ""),
        (known(*MR), case_of(0, 500, spacing=None), ("spacing",), "does not know its voxel size; 1x1x1 mm in training"),
    ],
)
def test_differences_with_figures(there, case, kinds, said):
    found = there.unlike(facts_of(case))
    assert tuple(found) == kinds and said in "; ".join(found.values())


def test_sizes_do_not_matter_where_all_images_get_one_extent():
    large = facts_of(case_of(0, 255, (400, 600), None, 3))
    assert set(known(*PICTURES).unlike(large)) == {"size"}
    assert not replace(known(*PICTURES), one_extent=True).unlike(large)


def test_dark_pictures_differ_whatever_their_scale():
    dark = case_of(0, 255)
    dark = Case("dark", dark.image.with_array(255 * (dark.image.array / 255) ** 6))
    assert "of the way from dark to bright here" in known(*MR).unlike(facts_of(dark))["intensity"]


def test_cases_that_differ_alike_are_told_in_one_sentence():
    found = {name: {"spacing": "spacing: 5 mm here, 1 mm in training"} for name in "abc"}
    (text,) = sentences(found, 7)
    assert text.startswith("3 of 7 cases, such as a, are unlike those the net learned from (spacing: 5 mm here")
    assert len(sentences(found | {"d": {"colours": "grey here, coloured in training"}}, 7)) == 2
