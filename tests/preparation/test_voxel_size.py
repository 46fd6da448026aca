"""A mistaken voxel size is refused; images that are small, or finer than what is asked for, are not."""

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.preparation.pipeline import PreparationSettings, prepare, spacing_of
from hyoid.preparation.store import prepare_all
from hyoid.preparation.voxel_size import check_voxel_size
from phantoms import make_case, make_predictor

MM = (1.0, 1.0, 1.0)


def check(shape, spacing_mm, asked):
    check_voxel_size("case", Grid.plain(shape, spacing_mm), asked)


def test_micrometres_read_as_millimetres_are_told_with_what_to_do():
    with pytest.raises(DataError) as error:
        make_predictor((8, 8, 8), spacing_mm=MM).prepared(make_case((35, 51, 40), (0.001, 0.001, 0.002)))
    assert str(error.value) == (
        "case: its voxels are 0.001 × 0.001 × 0.002 mm, and at the 1 × 1 × 1 mm of the plan 1 × 1 × 1 voxels would be "
        "made of its 35 × 51 × 40. Correct the voxel size in its header, or the unit that is stated there."
    )


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "asked"),
    [
        ((512, 512, 60), (0.0007, 0.0007, 0.005), MM),  # thick slices, the unit of the header mistaken
        ((100_000, 80_000), (2.5e-7, 2.5e-7), (0.008, 0.008)),  # a whole slide, in metres
        ((20, 512, 512), (3.0, 0.0007, 0.0007), (None, 1.0, 1.0)),  # slices of a 2D net, which are not resampled
        ((35, 51, 35), (1000.0, 1000.0, 1000.0), MM),
    ],
)
def test_a_mistaken_voxel_size_is_refused(shape, spacing_mm, asked):
    with pytest.raises(DataError, match=r"^case: its voxels are .* Correct the voxel size"):
        check(shape, spacing_mm, asked)


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "asked"),
    [
        ((100_000, 80_000), (0.00025, 0.00025), (0.008, 0.008)),  # histology planned at 8 micrometres
        ((256, 256), (0.00025, 0.00025), (0.008, 0.008)),  # a tile of it
        ((20_000, 16_000), (0.00025, 0.00025), (0.032, 0.032)),  # tissue looked at from far
        ((512, 512, 400), (0.3, 0.3, 0.3), (3.0, 3.0, 3.0)),
        ((16, 16, 16), (0.3, 0.3, 0.3), (3.0, 3.0, 3.0)),
        ((1, 1, 1), MM, MM),
        ((3, 2, 2), (10.0, 1.0, 1.0), MM),
        ((20, 30), (0.001, 0.001), (None, None)),
    ],
)
def test_small_images_and_strong_downsampling_are_no_mistake(shape, spacing_mm, asked):
    check(shape, spacing_mm, asked)


def test_axes_are_compared_after_orientation():
    grid = Grid.from_affine(np.diag([0.02, 0.02, 2.0, 1.0]), (64, 64, 4))
    settings = PreparationSettings(orientation="SRA", spacing_mm=(2.0, 0.02, 0.02))
    assert prepare(Case("case", Image(np.ones((1, 64, 64, 4), np.float32), grid)), settings).image.grid.shape == (
        4,
        64,
        64,
    )


def test_a_data_set_with_a_mistaken_case_is_not_prepared(tmp_path):
    class Data:
        cases = (
            type(
                "Entry", (), {"id": "case", "images": (), "label": None, "target": None, "other": (), "annotated": None}
            ),
        )

        def read(self, case_id):
            return make_case((20, 20, 20), (0.001, 0.001, 0.001))

    with pytest.raises(DataError, match=r"^case: its voxels are 0\.001 × 0\.001 × 0\.001 mm"):
        prepare_all(Data(), PreparationSettings(spacing_mm=MM), tmp_path)


@pytest.mark.parametrize(
    ("unit", "own_mm", "wanted_mm"),
    [
        ("mm", (0.5, 0.5), (2.0, 3.0)),
        ("mm", None, None),  # taken to be as the plan has it
        ("voxel", (0.5, 0.25), (1.0, 0.75)),
        ("voxel", None, (2.0, 3.0)),
        (None, None, (2.0, 3.0)),
    ],
)
def test_a_plan_counts_millimetres_or_the_voxels_of_each_file(unit, own_mm, wanted_mm):
    settings = PreparationSettings(spacing_mm=(2.0, 3.0), unit=unit)
    assert spacing_of(Grid.plain((8, 8), own_mm), settings) == wanted_mm
