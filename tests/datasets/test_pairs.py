"""The second image of a pair: found in a folder or a column, compared with the first, read onto its grid."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.below import images_below
from hyoid.datasets.dataset import Dataset, open_dataset
from hyoid.datasets.inspect import inspect_path
from hyoid.files.formats import write_image

FLAT, SOLID = Grid.plain((20, 30)), Grid.from_affine(np.diag([1.0, 1.0, 2.0, 1.0]), (8, 9, 10))
BOTH = pytest.mark.parametrize(("grid", "suffix"), [(FLAT, ".png"), (SOLID, ".nii.gz")])


def put(path: Path, grid: Grid, seed: int = 0) -> np.ndarray:
    """Write a noisy image and give its array."""
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.random.default_rng(seed).integers(1, 250, (1, *grid.shape)).astype(np.uint8)
    write_image(path, Image(array, grid))
    return array


def folders(root: Path, grid: Grid = SOLID, suffix: str = ".nii.gz", cases: str = "abc") -> None:
    """Images and labels with equal names."""
    for seed, name in enumerate(cases):
        put(root / "images" / f"{name}{suffix}", grid, seed)
        write_image(
            put_label(root, name, suffix), Image(np.arange(np.prod(grid.shape)).reshape(1, *grid.shape) % 2, grid)
        )


def put_label(root: Path, name: str, suffix: str) -> Path:
    (root / "labels").mkdir(exist_ok=True)
    return root / "labels" / f"{name}{suffix}"


@BOTH
@pytest.mark.parametrize("where", ["others", "moving"])
def test_a_folder_gives_second_images(tmp_path, grid, suffix, where):
    folders(tmp_path, grid, suffix)
    arrays = {name: put(tmp_path / where / f"{name}{suffix}", grid, 9 + seed) for seed, name in enumerate("ab")}
    dataset = open_dataset(tmp_path)
    assert [dataset.read(name).other for name in "abc"] == [None] * 3
    for name in "ab":
        other = dataset.read(name, other=True).other
        np.testing.assert_array_equal(other.array, arrays[name])
        assert other.grid == dataset.read(name).image.grid
    assert dataset.read("c", other=True).other is None
    assert Dataset.from_dict(dataset.to_dict()) == dataset
    shown = inspect_path(tmp_path)
    assert not shown.problems and shown.facts["second images"] == "2 of 3"
    assert [row["other"] for row in shown.cases] == [f"a{suffix}", f"b{suffix}", "none"]
    assert "2 of 3 cases have a second image; only regimes that feed on `pairs` use it." in shown.notes


@BOTH
@pytest.mark.parametrize("column", ["other", "moving"])
def test_a_column_names_second_images(tmp_path, grid, suffix, column):
    folders(tmp_path, grid, suffix, "ab")
    arrays = [put(tmp_path / f"second_{number}{suffix}", grid, number) for number in range(2)]
    rows = [f"image_t1,image_t2,label,{column},site"]
    seconds = ";".join(f"second_{number}{suffix}" for number in range(2))
    rows += [f"images/{n}{suffix},images/{n}{suffix},labels/{n}{suffix},{seconds if n == 'a' else ''},X" for n in "ab"]
    (tmp_path / "manifest.csv").write_text("\n".join(rows))
    dataset = open_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.read("a", other=True).other.array, np.concatenate(arrays))
    assert dataset.entry("b").other == () and dataset.entry("a").facts == {"site": "X"}


def test_a_column_of_facts_stays_one(tmp_path):
    folders(tmp_path, cases="ab")
    rows = [f"images/{name}.nii.gz,labels/{name}.nii.gz,{'calm ' * 99},{'asthma ' * 99}" for name in "ab"]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,label,image_findings,other", *rows]))
    dataset = open_dataset(tmp_path)
    assert dataset.num_others == 0 and dataset.entry("a").facts["other"].startswith("asthma")


@pytest.mark.parametrize("shift", [(0, 0, 0), (2, 0, 0), (-1, 1, 2)])
def test_a_second_image_on_another_grid_is_put_where_it_lies(tmp_path, shift):
    folders(tmp_path, cases="a")
    affine = np.diag([1.0, 1.0, 2.0, 1.0])
    affine[:3, 3] = np.multiply(shift, (1, 1, 2))
    grid, array = Grid.from_affine(affine, (8, 9, 10)), np.zeros((1, 8, 9, 10), np.float32)
    array[0, 4, 4, 2] = 7
    (tmp_path / "others").mkdir()
    write_image(tmp_path / "others" / "a.nii.gz", Image(array, grid))
    dataset = open_dataset(tmp_path)
    assert any("Second images have a grid of their own" in note for note in dataset.notes) == (shift != (0, 0, 0))
    other = dataset.read("a", other=True).other
    assert other.grid == dataset.read("a").image.grid
    assert np.argwhere(other.array[0] > 6.9).tolist() == [np.add((4, 4, 2), shift).tolist()]


def test_what_is_no_pair_is_refused(tmp_path):
    folders(tmp_path, cases="a")
    put(tmp_path / "others" / "z.nii.gz", SOLID)
    with pytest.raises(DataError, match=r"others: 1 second image has no image of the same name in images/: z\."):
        open_dataset(tmp_path)
    (tmp_path / "others" / "z.nii.gz").unlink()
    far = np.diag([1.0, 1.0, 2.0, 1.0])
    far[0, 3] = 500
    put(tmp_path / "others" / "a.nii.gz", Grid.from_affine(far, (8, 9, 10)))
    with pytest.raises(DataError, match=r"a: .*are not on one grid: they start at"):
        open_dataset(tmp_path)


def test_flat_second_images_need_the_same_pixels(tmp_path):
    folders(tmp_path, FLAT, ".png", "a")
    put(tmp_path / "others" / "a.png", Grid.plain((20, 31)))
    with pytest.raises(DataError, match="not on one grid: shapes 20x31 and 20x30"):
        open_dataset(tmp_path)


def test_a_second_image_that_is_another_case_may_leak(tmp_path):
    folders(tmp_path, cases="ab")
    rows = ["images/a.nii.gz,labels/a.nii.gz,images/b.nii.gz", "images/b.nii.gz,labels/b.nii.gz,"]
    (tmp_path / "manifest.csv").write_text("\n".join(["image,label,other", *rows]))
    assert any("The second image of a is the image of another case" in text for text in open_dataset(tmp_path).warnings)


def test_second_images_are_left_out_of_prediction_only_beside_images(tmp_path, caplog):
    folders(tmp_path / "data", cases="a")
    put(tmp_path / "data" / "others" / "a.nii.gz", SOLID)
    assert list(images_below(tmp_path / "data").values()) == ["a"] and "second images" in caplog.text
    put(tmp_path / "wards" / "others" / "b.nii.gz", SOLID)
    assert list(images_below(tmp_path / "wards").values()) == ["others/b"]
