"""What is measured of a data set, against numbers worked out by hand."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.core.progress import listening
from hyoid.datasets.dataset import open_dataset
from hyoid.planning.fingerprint import Fingerprint, measure_dataset
from hyoid.planning.intensity import intensity_of
from hyoid.planning.settings import PlanningSettings


@dataclass
class Few:
    """As much of a data set as is measured."""

    cases: list[Case]
    labels: Labels = field(default_factory=lambda: Labels.of({1: "ball", 2: "sheet"}))
    channel_names: tuple[str, ...] = ("first",)
    root: Path = Path("few")

    @property
    def seen(self) -> dict[str, Grid]:
        return {case.id: case.image.grid for case in self.cases}

    @property
    def ids(self) -> list[str]:
        return [case.id for case in self.cases]

    def group_of(self, case_id: str) -> str:
        return case_id

    def read(self, case_id: str) -> Case:
        return next(case for case in self.cases if case.id == case_id)


def case_of(image: np.ndarray, labels: np.ndarray | None, spacing=None, name: str = "a", codes: str = "") -> Case:
    image = image if labels is not None and image.ndim > labels.ndim else image[None]
    grid = Grid.plain(image.shape[1:], spacing)
    grid = grid.oriented(codes) if codes else grid
    return Case(name, Image(image, grid), None if labels is None else Image(labels[None], grid, "labels"))


def two_objects() -> tuple[np.ndarray, np.ndarray]:
    labels = np.zeros((40, 40, 40), np.uint8)
    distance = sum((i - 15.0) ** 2 for i in np.indices(labels.shape)) ** 0.5
    labels[distance < 10] = 1
    labels[35:39] = 2
    return labels.astype(np.int16) * 100 + 7, labels


def test_objects_are_counted_and_measured_in_millimetres() -> None:
    image, labels = two_objects()
    ball, sheet = measure_dataset(Few([case_of(image, labels, (2.0, 2.0, 2.0))])).structures
    assert (ball.num_objects, sheet.num_objects) == (1, 1)
    assert ball.width_mm == pytest.approx(40, rel=0.06)
    assert ball.extent_mm == pytest.approx(38)
    assert ball.object_mm3 == pytest.approx((labels == 1).sum() * 8)
    assert sheet.width_mm == pytest.approx(8, rel=0.3)
    assert sheet.fine_mm == pytest.approx(8, rel=0.3)
    assert ball.fine_mm > sheet.fine_mm


def test_frequencies_are_shares_of_all_annotated_voxels() -> None:
    image, labels = two_objects()
    fingerprint = measure_dataset(Few([case_of(image, labels), case_of(image, np.zeros_like(labels), name="b")]))
    assert fingerprint.structures[1].share == pytest.approx((labels == 2).sum() / (2 * labels.size))
    assert fingerprint.structures[1].num_cases == 1
    assert fingerprint.object_share == pytest.approx((labels > 0).sum() / (2 * labels.size))


def test_ignored_voxels_count_nowhere() -> None:
    image, labels = two_objects()
    few = Few([case_of(image, labels)], Labels(names=("ball",), values=((1,),), ignore=2))
    fingerprint = measure_dataset(few)
    assert fingerprint.structures[0].share == pytest.approx((labels == 1).sum() / (labels != 2).sum())
    assert fingerprint.channels[0].maximum == 107


def test_intensities_come_from_the_structures_only() -> None:
    image, labels = two_objects()
    channel = measure_dataset(Few([case_of(image, labels)])).channels[0]
    assert (channel.minimum, channel.maximum, channel.num_samples) == (107, 207, (labels > 0).sum())
    assert channel.mean == pytest.approx(image[labels > 0].mean())
    assert channel.std == pytest.approx(image[labels > 0].std())
    assert (channel.low, channel.high) == pytest.approx(np.percentile(image[labels > 0], (0.5, 99.5)))


def test_drawn_intensities_keep_the_statistics(monkeypatch) -> None:
    monkeypatch.setattr("hyoid.planning.fingerprint.SAMPLES", 1000)
    image = np.random.default_rng(0).normal(50, 10, (64, 64, 64)).astype(np.float32)
    few = Few([case_of(image, np.ones(image.shape, np.uint8))])
    once, again = measure_dataset(few, seed=1), measure_dataset(few, seed=1)
    assert once == again
    assert once.channels[0].num_samples == 1000
    assert once.channels[0].mean == pytest.approx(50, abs=1.5)


def test_cases_without_annotation_count_for_geometry() -> None:
    image, labels = two_objects()
    fingerprint = measure_dataset(Few([case_of(image, labels), case_of(image[:20], None, name="b")]))
    assert (len(fingerprint.cases), fingerprint.num_labelled) == (2, 1)
    assert fingerprint.cases[1].object_share is None
    assert fingerprint.channels[0].num_samples == (labels > 0).sum()


def test_without_any_annotation_the_content_is_measured() -> None:
    image = np.zeros((16, 16, 16), np.float32)
    image[4:8, 4:8, 4:8] = 0.25
    fingerprint = measure_dataset(Few([case_of(image, None)]))
    assert fingerprint.channels[0].mean == pytest.approx(0.25)
    assert fingerprint.cases[0].content_shape == (4, 4, 4)
    assert fingerprint.content_share == pytest.approx(1 / 64)


def test_empty_images_and_labels_are_measured_without_fuss() -> None:
    empty = np.zeros((8, 8), np.uint8)
    fingerprint = measure_dataset(Few([case_of(empty, empty)]))
    assert fingerprint.object_share == 0 and fingerprint.content_share == 1
    assert all(structure.num_cases == 0 for structure in fingerprint.structures)


def test_a_structure_that_fills_the_image_has_its_size() -> None:
    image, full = np.ones((8, 16), np.uint8), np.ones((8, 16), np.uint8)
    assert measure_dataset(Few([case_of(image, full)])).structures[0].width_mm == 16


def test_ct_is_recognised_by_its_numbers() -> None:
    labels = np.ones((8, 8, 8), np.uint8)
    hounsfield = np.linspace(-1024, 900, 512).reshape(labels.shape).astype(np.int16)
    assert measure_dataset(Few([case_of(hounsfield, labels)])).channels[0].modality == "ct"
    assert measure_dataset(Few([case_of(hounsfield / 7, labels)])).channels[0].modality == "general"


@pytest.mark.parametrize(("low", "high", "modality"), [(0, 255, "general"), (0, 1, "general"), (-90, 300, "ct")])
def test_a_name_makes_no_hounsfield_units_of_pictures(low: int, high: int, modality: str) -> None:
    labels = np.ones((8, 8, 8), np.uint8)
    image = np.linspace(low, high, 512).reshape(labels.shape)
    found = measure_dataset(Few([case_of(image, labels)], channel_names=("CT",)))
    assert found.channels[0].modality == modality
    (note,) = intensity_of(found, PlanningSettings())[1]
    assert ("no Hounsfield units" in note) == (modality != "ct")


def test_colours_are_recognised_by_three_channels_of_bytes() -> None:
    labels = np.ones((8, 8), np.uint8)
    colours = np.arange(192, dtype=np.uint8).reshape(3, 8, 8)
    assert {c.modality for c in measure_dataset(Few([case_of(colours, labels)])).channels} == {"rgb"}
    assert {c.modality for c in measure_dataset(Few([case_of(colours[:2], labels)])).channels} == {"general"}


def test_axes_are_those_of_most_cases() -> None:
    image, labels = two_objects()
    codes = {"a": "LPS", "b": "RAS", "c": "SAL"}
    cases = [case_of(image, labels, (1.0, 1.0, 1.0), name, letters) for name, letters in codes.items()]
    fingerprint = measure_dataset(Few(cases))
    assert fingerprint.axes == "RAS"
    assert [case.orientation for case in fingerprint.cases] == ["LPS", "RAS", "SAL"]


def test_mixed_dimensions_are_refused_with_both_names() -> None:
    flat, volume = np.ones((8, 8), np.uint8), np.ones((8, 8, 8), np.uint8)
    with pytest.raises(DataError, match=r"b: it has 3 dimensions.*a has 2"):
        measure_dataset(Few([case_of(flat, flat), case_of(volume, volume, name="b")]))


def test_no_cases_is_an_error() -> None:
    with pytest.raises(DataError, match="no cases"):
        measure_dataset(Few([]))


def test_measuring_tells_how_far_it_is() -> None:
    class Told:
        done = 0.0

        def start(self, what: str, total: float | None) -> None:
            assert total == 1

        def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
            self.done += amount

        def stop(self) -> None:
            self.done *= 2

    told, (image, labels) = Told(), two_objects()
    with listening(told):
        measure_dataset(Few([case_of(image, labels)]))
    assert told.done == 2


def test_a_fingerprint_survives_yaml(tmp_path: Path) -> None:
    image, labels = two_objects()
    fingerprint = measure_dataset(Few([case_of(image, labels)]))
    fingerprint.write(tmp_path / "fingerprint.yaml")
    assert Fingerprint.read(tmp_path / "fingerprint.yaml") == fingerprint
    assert "1 case in 3D, 1 annotated" in fingerprint.describe()[0]


@pytest.mark.slow
def test_real_vessels_are_thin_and_a_real_heart_is_not(real_data: Path) -> None:
    vessels = measure_dataset(open_dataset(real_data / "stare_vessels")).structures[0]
    ventricle = measure_dataset(open_dataset(real_data / "sunnybrook_lv")).structures[0]
    assert vessels.fine_mm < 8 < 16 < ventricle.fine_mm
    assert vessels.extent_mm > 10 * vessels.width_mm
    assert ventricle.num_objects == 1 and ventricle.share < 0.03


def test_equal_images_are_known_whatever_type_and_file_hold_them() -> None:
    image, labels = two_objects()
    turned = image.copy()
    turned[0, 0, 0] += 1
    cases = [
        case_of(image, labels, name="a"),
        case_of(image.astype(np.float64), None, (2.0, 2.0, 2.0), name="b"),
        case_of(turned, None, name="c"),
        case_of(image.reshape(40, 20, 80), None, name="d"),
    ]
    digests = [case.digest for case in measure_dataset(Few(cases)).cases]
    assert digests[0] == digests[1] and len(set(digests)) == 3


def test_structures_are_counted_in_each_annotated_case() -> None:
    image, labels = two_objects()
    found = measure_dataset(Few([case_of(image, labels, name="a"), case_of(image, None, name="b")]))
    assert found.cases[0].voxels == (int((labels == 1).sum()), int((labels == 2).sum()))
    assert found.cases[1].voxels is None


def test_the_histogram_holds_all_but_the_outermost_voxels() -> None:
    labels = np.ones((20, 50), np.uint8)
    found = measure_dataset(Few([case_of(np.arange(1000.0).reshape(20, 50), labels)])).channels[0]
    assert len(found.histogram) == 40 and sum(found.histogram) == pytest.approx(1, abs=1e-3)
    assert found.histogram[20] == pytest.approx(1 / 40, rel=0.1)


def test_lengths_of_all_are_in_voxels_where_one_case_does_not_know_its_own() -> None:
    image, labels = two_objects()
    mixed = [case_of(image, labels, (0.3, 0.3, 2.0)), case_of(image, labels, name="b")]
    found, plain = (measure_dataset(Few(cases)) for cases in (mixed, mixed[1:]))
    assert found.structures[0].width_mm == plain.structures[0].width_mm
    assert [(case.spacing_mm, case.calibrated) for case in found.cases] == [((1.0, 1.0, 1.0), False)] * 2
