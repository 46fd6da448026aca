"""Prepared cases on disk."""

import json
import os
import pickle
import re
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from hyoid.core.case import Case, Image
from hyoid.core.errors import DataError, HyoidError
from hyoid.core.grid import Grid
from hyoid.core.progress import Listener, listening
from hyoid.ops.resample import onto
from hyoid.preparation import packing
from hyoid.preparation.intensity import IntensitySettings
from hyoid.preparation.packing import pack, sample_places
from hyoid.preparation.pipeline import PreparationSettings, prepare
from hyoid.preparation.store import Store, prepare_all, store_folder


@dataclass
class Entry:
    id: str
    images: tuple[Path, ...]
    label: Path | None
    target: Path | None = None
    other: tuple[Path, ...] = ()
    annotated: tuple[str, ...] | None = None


@dataclass
class Folder:
    """A data set of NumPy files that counts how often it is read."""

    cases: tuple[Entry, ...]
    encoding: str = "as they are"
    read_ids: list[str] = field(default_factory=list)

    def read(self, case_id: str) -> Case:
        self.read_ids.append(case_id)
        entry = next(entry for entry in self.cases if entry.id == case_id)
        array = np.load(entry.images[0])
        grid = Grid.plain(array.shape[1:], (1.0, 1.0, 2.0))
        truth = None if entry.label is None else Image(np.load(entry.label), grid, "labels")
        return Case(case_id, Image(array, grid), truth, {"patient": "1"})


@pytest.fixture
def dataset(tmp_path: Path) -> Folder:
    rng = np.random.default_rng(0)
    entries = []
    for case_id in ("a", "b.1", ".hidden/ü"):
        image, label = tmp_path / f"{len(entries)}.npy", tmp_path / f"{len(entries)}_label.npy"
        np.save(image, rng.normal(50, 9, (2, 10, 11, 12)).astype(np.float32))
        np.save(label, (rng.random((1, 10, 11, 12)) > 0.9).astype(np.uint8) * 3)
        entries.append(Entry(case_id, (image,), label))
    return Folder(tuple(entries))


SETTINGS = PreparationSettings(orientation="SAR", spacing_mm=(2.0, 1.5, 1.5))


def test_a_store_gives_back_what_was_prepared(dataset: Folder, tmp_path: Path):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert store.ids == ("a", "b.1", ".hidden/ü")
    for case_id in store.ids:
        expected = prepare(dataset.read(case_id), SETTINGS)
        np.testing.assert_allclose(np.asarray(store.image(case_id)), expected.image.array, atol=1e-3)
        np.testing.assert_array_equal(store.labels(case_id), expected.truth.array)
        assert store.labels(case_id).dtype == np.uint8
        assert store.grid(case_id) == expected.image.grid
        assert store.source_grid(case_id) == dataset.read(case_id).image.grid
        assert store.facts(case_id)["facts"] == {"patient": "1"}
        assert store.voxels(case_id) == {3: int((expected.truth.array == 3).sum())}


def test_a_patch_is_read_without_the_case(dataset: Folder, tmp_path: Path):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    image = store.image("a")
    assert isinstance(image.stored, np.memmap) and image.stored.dtype == np.int16
    whole = np.asarray(image)
    np.testing.assert_array_equal(image[:, 1:4, 2:3, :5], whole[:, 1:4, 2:3, :5])
    np.testing.assert_array_equal(image[1:, ..., 3], whole[1:, ..., 3])
    np.testing.assert_array_equal(image[1], whole[1])
    assert image[:, :2].dtype == np.float32


def test_a_second_run_reads_nothing(dataset: Folder, tmp_path: Path):
    first = prepare_all(dataset, SETTINGS, tmp_path / "store")
    dataset.read_ids.clear()
    assert prepare_all(dataset, SETTINGS, tmp_path / "store") == first
    assert dataset.read_ids == []


def test_only_a_changed_file_is_prepared_again(dataset: Folder, tmp_path: Path):
    prepare_all(dataset, SETTINGS, tmp_path / "store")
    dataset.read_ids.clear()
    os.utime(dataset.cases[1].label, (1, 1))
    prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert dataset.read_ids == ["b.1"]


def test_another_meaning_of_the_masks_prepares_all_again(dataset: Folder, tmp_path: Path):
    prepare_all(dataset, SETTINGS, tmp_path / "store")
    dataset.read_ids.clear()
    dataset.encoding = "255 is 1"
    prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert sorted(dataset.read_ids) == sorted(entry.id for entry in dataset.cases)


def test_other_settings_go_to_another_folder(dataset: Folder, tmp_path: Path):
    first = prepare_all(dataset, SETTINGS, tmp_path / "store")
    second = prepare_all(dataset, SETTINGS.changed({"crop": "content"}), tmp_path / "store")
    assert first.folder != second.folder
    assert PreparationSettings.read(second.folder / "settings.yaml").crop == "content"
    assert Store.open(first.folder, first.ids).grid("a") == first.grid("a")


def test_a_broken_case_is_named_and_leaves_nothing(dataset: Folder, tmp_path: Path):
    dataset.cases[1].images[0].write_bytes(b"this is no array")
    with pytest.raises(DataError, match=r"b\.1: this case could not be prepared"):
        prepare_all(dataset, SETTINGS, tmp_path / "store", workers=1)
    (folder,) = (tmp_path / "store").iterdir()
    assert "a" in Store.open(folder).ids and "b.1" not in Store.open(folder).ids
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_missing_file_is_named(dataset: Folder, tmp_path: Path):
    dataset.cases[1].label.unlink()
    with pytest.raises(DataError, match=r"b\.1: .*1_label\.npy cannot be read"):
        prepare_all(dataset, SETTINGS, tmp_path / "store")


def test_an_interrupted_write_leaves_the_earlier_case(dataset: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    before = np.asarray(store.image("a"))
    other = prepare(dataset.read("b.1"), SETTINGS)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("hyoid.preparation.store.sample_places", full)
    with pytest.raises(HyoidError, match="No space left"):
        store.write(Case("a", other.image, other.truth))
    again = Store.open(store.folder)
    np.testing.assert_array_equal(np.asarray(again.image("a")), before)
    assert [path.name for path in store.folder.iterdir() if path.name.startswith(".")] == [".lock"]


def test_a_written_case_replaces_what_was_read(dataset: Folder, tmp_path: Path):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert store.locations("a")
    other = prepare(dataset.read("b.1"), SETTINGS)
    store.write(Case("a", other.image))
    np.testing.assert_allclose(np.asarray(store.image("a")), other.image.array, atol=1e-3)
    assert store.locations("a") == {} and store.voxels("a") == {}
    with pytest.raises(DataError, match=r"a: .*no labels"):
        store.labels("a")


def test_a_store_without_a_case_says_so(tmp_path: Path):
    with pytest.raises(DataError, match="no prepared case 'x'"):
        Store.open(tmp_path, ["x"])
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "facts.json").write_text("{")
    with pytest.raises(DataError, match=r"facts\.json"):
        Store.open(tmp_path, ["x"]).grid("x")


def test_a_store_travels_to_another_process_without_its_arrays(dataset: Folder, tmp_path: Path):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    np.asarray(store.image("a"))
    sent = pickle.dumps(store)
    assert len(sent) < 1000 and pickle.loads(sent) == store


def test_further_arrays_lie_beside_the_case(dataset: Folder, tmp_path: Path):
    def weight(case: Case) -> np.ndarray:
        return case.truth.array[0].astype(np.float16) + 1

    store = prepare_all(dataset, SETTINGS, tmp_path / "store", extra={"weight": weight})
    assert isinstance(store.extra("a", "weight"), np.memmap)
    np.testing.assert_array_equal(store.extra("a", "weight"), store.labels("a")[0] + 1.0)
    plain = prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert plain.folder != store.folder
    with pytest.raises(DataError, match="extra-weight"):
        plain.extra("a", "weight")


def test_locations_are_voxels_of_their_value(dataset: Folder, tmp_path: Path):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    (value,) = store.locations("a")
    places = store.locations("a")[value]
    labels = store.labels("a")[0]
    assert (labels[tuple(places.T)] == value).all()
    assert len(np.unique(places, axis=0)) == (labels == value).sum()


def test_locations_of_large_structures_are_a_fair_sample():
    labels = np.zeros((100, 75, 50), np.int16)
    labels[10:90] = 7
    labels[5, 5, 5:8] = 300
    places, counts = sample_places(labels, "case")
    assert counts == {7: 80 * 75 * 50, 300: 3}
    assert places[7].shape == (10_000, 3) and len(np.unique(places[7], axis=0)) == 10_000
    np.testing.assert_allclose(places[7].mean(0), [49.5, 37, 24.5], atol=1)
    assert places[300].tolist() == [[5, 5, 5], [5, 5, 6], [5, 5, 7]]
    np.testing.assert_array_equal(sample_places(labels, "case")[0][7], places[7])
    assert not np.array_equal(sample_places(labels, "other")[0][7], places[7])


def test_images_are_packed_within_a_thousandth_of_their_deviation():
    array = np.random.default_rng(0).normal(3, 2, (2, 30, 30)).astype(np.float32)
    array[1] *= 1000
    stored, scale, offset = pack(array)
    unpacked = stored * scale[:, None, None] + offset[:, None, None]
    assert stored.dtype == np.int16
    assert (np.abs(unpacked - array).max((1, 2)) < 1e-3 * array.std((1, 2))).all()


def test_an_outlier_keeps_the_image_in_float32():
    array = np.random.default_rng(0).normal(size=(1, 300, 300)).astype(np.float32)
    array[0, 0, 0] = 1e6
    stored, scale, _ = pack(array)
    assert scale is None and stored.dtype == np.float32
    np.testing.assert_array_equal(stored, array)


def test_a_constant_channel_is_packed_exactly():
    stored, scale, offset = pack(np.full((1, 4, 4), 0.3, np.float32))
    assert (stored * scale + offset == np.float32(0.3)).all()


def test_two_runs_may_fill_one_store_at_once(dataset: Folder, tmp_path: Path):
    with ThreadPoolExecutor(2) as pool:
        runs = [pool.submit(prepare_all, dataset, SETTINGS, tmp_path / "store") for _ in range(2)]
    assert runs[0].result() == runs[1].result()
    assert sorted(Store.open(runs[0].result().folder).ids) == sorted(runs[0].result().ids)


def test_progress_counts_the_cases_that_are_new(dataset: Folder, tmp_path: Path):
    class Notes(Listener):
        said: ClassVar[list] = []

        def start(self, what: str, total: float | None) -> None:
            self.said.append((what, total))

    with listening(Notes()):
        prepare_all(dataset, SETTINGS, tmp_path / "store")
        dataset.cases[0].label.touch()
        prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert Notes.said == [("check", 3), ("prepare", 3), ("check", 3), ("prepare", 1)]


def test_facts_are_plain_json(dataset: Folder, tmp_path: Path):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    facts = json.loads((store.folder / "a" / "facts.json").read_text())
    assert facts["id"] == "a" and facts["grid"]["shape"] == list(store.grid("a").shape)


def test_content_only_is_measured_on_each_case(dataset: Folder, tmp_path: Path):
    settings = PreparationSettings(intensity=(IntensitySettings(options={"content_only": True}),) * 2)
    store = prepare_all(dataset, settings, tmp_path / "store")
    assert np.asarray(store.image("a")).std() == pytest.approx(1, abs=1e-2)


@pytest.mark.parametrize("slab", [1 << 22, 64])
def test_slabs_and_cases_without_any_structure_have_no_places(monkeypatch, slab):
    monkeypatch.setattr("hyoid.preparation.packing._SLAB", slab)
    labels = np.zeros((10, 8, 8), np.uint8)
    assert sample_places(labels, "empty") == ({}, {})
    labels[7, 2, 3] = 5
    places, counts = sample_places(labels, "one voxel")
    assert counts == {5: 1} and places[5].tolist() == [[7, 2, 3]]


def truths(folder: Path, kind: str, channels: int) -> tuple[Case, Store]:
    """A case whose truth is an image or a field, and a store that holds it prepared."""
    rng = np.random.default_rng(0)
    grid = Grid.plain((10, 11, 12), (1.0, 1.0, 2.0))
    smooth = np.indices(grid.shape).sum(0).astype(np.float32)
    truth = Image(np.stack([smooth * (k + 1) for k in range(channels)]), grid, kind)
    case = Case("a", Image(rng.normal(50, 9, (1, *grid.shape)).astype(np.float32), grid), truth, annotated=("liver",))
    store = Store(folder, ("a",))
    store.write(prepare(case, SETTINGS.changed({"target": [{"scheme": "zscore"}] * channels})), "key")
    return case, store


def test_a_target_image_is_prepared_with_a_scheme_of_its_own(tmp_path: Path):
    _, store = truths(tmp_path, "intensities", 2)
    target = np.asarray(store.truth("a"))
    assert target.shape == (2, *store.grid("a").shape) and target.dtype == np.float32
    np.testing.assert_allclose(target[0], target[1], atol=2e-2)
    assert abs(target.mean()) < 0.1 and 0.8 < target.std() < 1.2
    assert store.is_labelled("a") and store.annotated("a") == ("liver",) and store.locations("a") == {}
    np.testing.assert_array_equal(store.truth("a")[:, 1:3], target[:, 1:3])


def test_a_field_keeps_its_millimetres(tmp_path: Path):
    case, store = truths(tmp_path, "field", 3)
    expected = onto(case.truth, store.grid("a"))
    np.testing.assert_allclose(np.asarray(store.truth("a")), expected.array, atol=2e-2)


def test_a_target_of_other_channels_than_its_schemes_is_refused():
    grid = Grid.plain((4, 4))
    case = Case("a", Image(np.ones((1, 4, 4)), grid), Image(np.ones((2, 4, 4)), grid))
    with pytest.raises(DataError, match="a: expected a target of 1 channels, got 2"):
        prepare(case, PreparationSettings(target=(IntensitySettings(),)))


def test_the_folder_of_a_store_depends_on_the_target_only_where_there_is_one(tmp_path: Path):
    with_target = SETTINGS.changed({"target": [{"scheme": "none"}]})
    assert store_folder(SETTINGS, tmp_path).name == "91f5f98fdc56a243"
    assert len({store_folder(SETTINGS, tmp_path), store_folder(with_target, tmp_path)}) == 2


def test_an_unlabelled_case_has_an_image_and_no_labels(dataset: Folder, tmp_path: Path):
    unlabelled = replace(dataset.cases[0], id="u", label=None)
    dataset.cases = (*dataset.cases, unlabelled)
    weight = {"weight": lambda case: np.ones(case.truth.array.shape[1:], np.float32)}
    store = prepare_all(dataset, SETTINGS, tmp_path / "store", extra=weight, entries=dataset.cases[2:])
    assert store.ids == (".hidden/ü", "u")
    assert store.is_labelled(".hidden/ü") and not store.is_labelled("u")
    np.testing.assert_array_equal(np.asarray(store.image("u")).shape, (2, *store.grid("u").shape))
    with pytest.raises(DataError, match="no labels for this case"):
        store.labels("u")


def test_places_of_numbered_objects_are_listed_under_their_class():
    labels = np.zeros((20, 20), np.int32)
    labels[2:4, 2:4], labels[9, 5:9], labels[15:18, 15:18] = 3, 40, 41
    places, counts = sample_places(labels, "case", numbered=True)
    classed, expected = sample_places(np.minimum(labels, 1), "case")
    assert counts == expected == {1: 17} and list(places) == [1]
    np.testing.assert_array_equal(places[1], classed[1])


def flip(path: Path) -> None:
    """Change one bit near the end of a file."""
    content = bytearray(path.read_bytes())
    content[-9] ^= 1
    path.write_bytes(content)


HARMS = {
    "image.npy has changed since it was written": lambda case: flip(case / "image.npy"),
    "labels.npy has changed since it was written": lambda case: flip(case / "labels.npy"),
    "places.npy is gone": lambda case: (case / "places.npy").unlink(),
    "image.npy is gone": lambda case: (case / "image.npy").unlink(),
    "image.npy has changed since": lambda case: (case / "image.npy").write_bytes(b""),
    "facts.json has changed since it was written": lambda case: (case / "facts.json").write_text(
        (case / "facts.json").read_text().replace('"offset": [', '"offset": [1')
    ),
    "facts.json: no prepared case can be read here": lambda case: (case / "facts.json").write_text("{"),
    "facts.json: no prepared case can be read": lambda case: (case / "facts.json").unlink(),
}


@pytest.mark.parametrize("told", HARMS)
def test_a_prepared_case_that_is_not_as_written_is_made_again(dataset: Folder, tmp_path: Path, told: str, caplog):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    before = np.asarray(store.image("a")), np.array(store.labels("a"))
    HARMS[told](store.folder / "a")
    with pytest.raises(DataError, match=r"no prepared case|`hyoid prepare` makes it again"):
        Store.open(store.folder, ["a"])
    dataset.read_ids.clear()
    again = prepare_all(dataset, SETTINGS, tmp_path / "store")
    file, _, what = told.replace(":", "").partition(" ")
    assert dataset.read_ids == ["a"]
    assert re.search(rf"a/{re.escape(file)}: .*{what}.*makes it again.* This is done now\.", caplog.text)
    for one, other in zip(before, (np.asarray(again.image("a")), again.labels("a")), strict=True):
        np.testing.assert_array_equal(one, other)
    Store.open(store.folder, ["a"])


def test_a_case_from_before_there_were_checksums_is_made_again_in_silence(dataset: Folder, tmp_path: Path, caplog):
    store = prepare_all(dataset, SETTINGS, tmp_path / "store")
    facts = json.loads((store.folder / "a" / "facts.json").read_text())
    del facts["checksums"]
    (store.folder / "a" / "facts.json").write_text(json.dumps(facts))
    dataset.read_ids.clear()
    prepare_all(dataset, SETTINGS, tmp_path / "store")
    assert dataset.read_ids == ["a"] and not caplog.text


def test_a_store_of_many_cases_keeps_few_files_open(tmp_path, monkeypatch):
    monkeypatch.setattr(packing, "_most_open", lambda: 3)
    store = Store(tmp_path, tuple("abcdefgh"))
    for number, case_id in enumerate(store.ids):
        store.write(Case(case_id, Image(np.full((1, 4, 4), number, np.float32), Grid.plain((4, 4)))))
    first = store.image("a")
    for number, case_id in enumerate(store.ids * 2):
        assert np.all(store.image(case_id)[:] == number % len(store.ids))
    assert len(store._maps._known) == 3
    assert np.all(first[:] == 0)
