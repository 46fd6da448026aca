"""The mean mask: where structures usually are."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.classical import Examples
from hyoid.classical.mean_mask import MeanMask
from hyoid.core.case import Case, Image
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels

ONE = Labels.of({7: "block"})


def case(labels: np.ndarray, annotated: tuple[str, ...] | None = None) -> Case:
    grid = Grid.plain(labels.shape)
    image, truth = Image(np.zeros((1, *labels.shape)), grid), Image(labels[None], grid, "labels")
    return Case("case", image, truth, annotated=annotated)


def block(start: int, stop: int, value: int = 7, size: int = 40) -> np.ndarray:
    labels = np.zeros((size, size), np.uint8)
    labels[:, start * size // 40 : stop * size // 40] = value
    return labels


def answer(cases: list[Case], image: Case, labels: Labels = ONE) -> np.ndarray:
    baseline = MeanMask()
    baseline.fit(Examples(cases, labels))
    return baseline.segment(image.image).array[0]


def test_the_threshold_is_the_best_on_the_cases_and_sizes_do_not_matter() -> None:
    # Columns 10 to 20 are in all cases, 20 to 30 in two of four: Dice is best with both, (1 + 1 + 2/3 + 2/3) / 4.
    cases = [case(block(10, stop, size=size)) for stop, size in ((20, 40), (20, 80), (30, 40), (30, 160))]
    found = answer(cases, case(np.zeros((20, 40), np.uint8)))
    assert found.shape == (20, 40) and set(np.unique(found)) == {0, 7}
    assert (found[0] == 7).nonzero()[0].tolist() == list(range(10, 30))


def test_structures_that_exclude_each_other_share_places_by_their_leads() -> None:
    labels = Labels.of({1: "a", 2: "b"})
    cases = [case(block(0, 20, 1) + block(20, 40, 2)), case(block(0, 20, 1) + block(20, 40, 2))]
    assert np.array_equal(answer(cases, cases[0], labels), cases[0].truth.array[0])


def test_regions_are_painted_in_their_order() -> None:
    labels = Labels(names=("whole", "core"), values=((1, 2), (2,)))
    cases = [case(np.where(block(10, 20), 2, block(0, 30, 1)))]
    assert np.array_equal(answer(cases, cases[0], labels), cases[0].truth.array[0])


def test_cases_without_a_structure_and_structures_not_annotated_in_a_case() -> None:
    labels = Labels.of({1: "a", 2: "b"})
    cases = [case(block(0, 20, 1)), case(block(0, 20, 1), annotated=("b",))]
    assert np.array_equal(answer(cases, cases[0], labels), block(0, 20, 1))
    assert not answer([case(block(0, 0))], cases[0]).any()


def test_volumes_are_turned_to_the_axes_of_the_body() -> None:
    labels = np.zeros((16, 16, 8), np.uint8)
    labels[:4] = 7
    grid = Grid.plain(labels.shape, (1.0, 1.0, 2.0))
    image = Image(labels[None], grid, "labels")
    turned = Image(np.ascontiguousarray(labels[::-1])[None], grid.flipped(0), "labels")
    baseline = MeanMask()
    baseline.fit(Examples([Case("a", image, image)], ONE))
    assert np.array_equal(baseline.segment(turned).array, turned.array)


def test_wrong_input_gives_one_sentence() -> None:
    baseline = MeanMask()
    with pytest.raises(ConfigError, match="fit"):
        baseline.segment(case(block(0, 9)).image)
    with pytest.raises(DataError, match="no annotated"):
        baseline.fit(Examples([], ONE))
    baseline.fit(Examples([case(block(0, 9))], ONE))
    with pytest.raises(DataError, match="2D"):
        baseline.segment(Image(np.zeros((1, 4, 4, 4)), Grid.plain((4, 4, 4))))
