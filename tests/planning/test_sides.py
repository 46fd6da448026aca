"""Which axes may be mirrored, by where structures are in the cases."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from hyoid.augmentation.spatial import Rotation
from hyoid.augmentation.transform import Frame
from hyoid.core.case import Case, Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.datasets.phantoms import cells, twins
from hyoid.planning.fingerprint import Fingerprint
from hyoid.planning.measure import measure_case
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.planning.sides import find_sides
from hyoid.tasks import task_for

NAMELESS = Labels.of({1: "label_1", 2: "label_2"})
Change = Callable[[np.random.Generator, np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]


def sides(make: Callable, num_cases: int, change: Change | None = None, num_patients: int = 99):
    """The sides found in generated cases that were changed, array axes left as they are."""
    rows = []
    for index in range(num_cases):
        rng = np.random.default_rng([7, index])
        image, truth = make(rng, 32, index)
        arrays = (image.array[0], truth.array[0])
        pixels, values = arrays if change is None else change(rng, *arrays)
        grid = Grid.plain(pixels.shape)
        case = Case(str(index), Image(pixels[None], grid), Image(np.ascontiguousarray(values)[None], grid, "labels"))
        rows.append(measure_case(case, NAMELESS, 10, rng, shaped=True).places)
    return find_sides(rows, NAMELESS.names, [str(index % num_patients) for index in range(num_cases)])


def flat(rng, size, index):
    return twins(rng, size, index, dims=2)


def lateral(rng, size, index):
    return twins(rng, size, index, dims=2, annotated=1)


def deep(rng, size, index):
    return twins(rng, size, index, dims=3)


def anywhere(rng, image, labels):
    """Turned by quarters and mirrored at random, as photographs of what has no up."""
    turns, mirror = rng.integers(4), rng.integers(2)
    return tuple(np.rot90(a[:, ::-1] if mirror else a, turns) for a in (image, labels))


def bright(rng, image, labels):
    """The second organ looks different from the first."""
    return np.where(labels == 2, 250, image), labels


def bright_only(rng, image, labels):
    """The annotated organ looks different from anything else."""
    return np.where(labels == 1, 250, image), labels


def middle(rng, image, labels):
    """One organ a little left of the middle."""
    return np.roll(image, 13 - 16, 1), np.roll((image > 90).astype(np.uint8), 13 - 16, 1)


def below(rng, image, labels):
    """The second organ is far below the first, and a little to its side."""
    image, labels = (np.concatenate([a, a, a, a]) for a in (image, labels))
    rows = np.arange(len(labels))[:, None]
    gone = ((labels == 1) & (rows >= 32)) | ((labels == 2) & (rows < 96))
    return np.where(gone, 150, image), np.where(gone, 0, labels)


def across_rows(rng, image, labels):
    return image.T, labels.T


@pytest.mark.parametrize(
    ("make", "num_cases", "change", "axes"),
    [
        (flat, 8, None, [1]),  # one side is missing in cases 3 and 7
        (flat, 8, across_rows, [0]),
        (flat, 8, below, [0]),
        (flat, 2, None, [1]),
        (flat, 12, anywhere, []),
        (flat, 8, bright, []),
        (deep, 5, None, [0]),
        (lateral, 8, None, [1]),
        (lateral, 4, None, []),  # in 1 of 8 sets by chance
        (lateral, 12, anywhere, []),
        (lateral, 8, bright_only, []),
        (flat, 8, middle, []),
        (cells, 8, None, []),
    ],
)
def test_axes_that_would_mislead(make, num_cases, change, axes) -> None:
    assert [side.axis for side in sides(make, num_cases, change)] == axes


def test_several_images_of_one_patient_are_one_piece_of_evidence() -> None:
    assert not sides(lateral, 12, num_patients=4) and sides(lateral, 12, num_patients=5)


def test_structures_that_are_never_together_are_compared_by_their_places() -> None:
    def alone(rng, image, labels):
        keep = rng.integers(1, 3)
        return np.where((labels > 0) & (labels != keep), 150, image), labels * (labels == keep)

    (side,) = sides(flat, 10, alone)
    assert (side.axis, side.other) == (1, "label_2") and side.num_agreeing == side.num_cases


def test_every_case_is_turned_to_the_axes_of_the_body(tmp_path) -> None:
    from hyoid.datasets.dataset import open_dataset
    from hyoid.datasets.phantoms import write_phantoms
    from hyoid.planning.fingerprint import measure_dataset

    found = measure_dataset(open_dataset(write_phantoms(tmp_path, "organs", 5, 24)))
    assert found.axes[found.sides[0].axis] == "R" and found.sides[0].num_agreeing == 5


@pytest.mark.parametrize(("fixed", "mirrored", "word"), [(None, (0,), "not mirrored: s0"), ((0, 1), (0, 1), "warning")])
def test_the_plan_follows_the_data_and_says_so(fingerprint_of, fixed, mirrored, word: str) -> None:
    side = {"axis": 1, "structure": "s0", "other": "s1", "num_agreeing": 19, "num_cases": 20, "contrast": 0.2}
    fingerprint: Fingerprint = fingerprint_of((64, 64), structures=2, num_objects=30, sides=[side])
    settings = PlanningSettings(memory_gb=4, channels=(8, 16), patch=(32, 32), batch=2, mirror_axes=fixed)
    for changes in ({}, {"preset": "nnunet"}):
        plan = make_plan(fingerprint, task_for(NAMELESS), settings.changed(changes), steps=20, device="cpu")
        assert plan.mirror_axes == mirrored
        (reason,) = [reason for reason in plan.reasons if word in reason]
        assert "in 19 of 20 cases" in reason


def test_the_axis_of_a_side_is_that_of_prepared_volumes(fingerprint_of) -> None:
    side = {"axis": 0, "structure": "s0", "num_agreeing": 9, "num_cases": 9, "contrast": 0.2}
    fingerprint = fingerprint_of((64, 64, 20), (1.0, 1.0, 3.0), orientation="RAS", num_objects=30, sides=[side])
    for dims, mirrored in ((3, (0, 2)), (2, (2,))):
        settings = PlanningSettings(memory_gb=4, channels=(8, 16), patch=(16, 32, 32), batch=2, dims=dims)
        plan = make_plan(fingerprint, task_for(Labels.of({1: "s0"})), settings, steps=9, device="cpu")
        assert (plan.orientation, plan.mirror_axes) == ("SRA", mirrored)


def test_what_may_not_be_mirrored_is_not_turned_over() -> None:
    def frame(*mirrored):
        return Frame((32, 32), (1.0, 1.0), mirrored, (0, 1))

    assert [Rotation().largest(frame(*axes)) for axes in ((0, 1), (0,), ())] == [180, 30, 30]
