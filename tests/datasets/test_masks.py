"""However masks arrive, they are recognised, mapped, and it is told."""

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture
from scipy import ndimage

from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.datasets.dataset import Dataset, open_dataset
from hyoid.files.formats import read_image, write_image

RNG = np.random.default_rng(3)
SHAPE = (48, 60)


@pytest.fixture(autouse=True)
def the_same_numbers_in_any_order(monkeypatch):
    monkeypatch.setitem(globals(), "RNG", np.random.default_rng(3))


def disc(radius: float = 14.0) -> np.ndarray:
    rows, columns = np.ogrid[: SHAPE[0], : SHAPE[1]]
    return (rows - 24) ** 2 + (columns - 30) ** 2 < radius**2


def opened(root: Path, masks: dict[str, np.ndarray], suffix: str = ".png", **options) -> Dataset:
    """A data set of flat grey images with these masks, written by Pillow as they are."""
    for name, mask in masks.items():
        write_image(
            root / "images" / f"{name}.png",
            Image(RNG.integers(0, 255, (1, *SHAPE)).astype(np.uint8), Grid.plain(SHAPE)),
        )
        (root / "masks").mkdir(exist_ok=True)
        Picture.fromarray(mask).save(root / "masks" / f"{name}{suffix}", **options)
    return open_dataset(root)


def noted(dataset: Dataset, words: str) -> bool:
    return any(words in sentence for sentence in (*dataset.notes, *dataset.warnings))


def test_zero_and_one(tmp_path):
    dataset = opened(tmp_path, {"a": disc().astype(np.uint8)})
    assert dataset.labels.names == ("foreground",) and dataset.labels.values == ((1,),)


def test_zero_and_255_stay_viewable(tmp_path):
    dataset = opened(tmp_path, {"a": disc().astype(np.uint8) * 255})
    assert dataset.labels.values == ((255,),) and dataset.labels.written == (255,)
    np.testing.assert_array_equal(dataset.read("a").truth.array[0] == 255, disc())


def test_rgb_of_zero_and_255(tmp_path):
    dataset = opened(tmp_path, {"a": np.repeat(disc()[..., None], 3, axis=2).astype(np.uint8) * 255})
    assert dataset.labels.values == ((255,),)
    assert read_image(tmp_path / "masks" / "a.png", "labels").array.shape == (1, *SHAPE)


def test_one_bit(tmp_path):
    dataset = opened(tmp_path, {"a": disc()})
    assert dataset.labels.values == ((1,),)
    np.testing.assert_array_equal(dataset.read("a").truth.array[0], disc())


def test_one_bit_tiff_with_white_as_zero(tmp_path):
    picture = Picture.fromarray(disc())
    picture.save(tmp_path / "a.tif", tiffinfo={262: 0}, compression="group4")
    np.testing.assert_array_equal(
        read_image(tmp_path / "a.tif", "labels").array[0] > 0, np.asarray(Picture.open(tmp_path / "a.tif"))
    )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_floating_zero_and_one(tmp_path, dtype):
    grid = Grid.plain((4, *SHAPE), (1.0, 1.0, 1.0))
    write_image(tmp_path / "images" / "a.nii.gz", Image(RNG.random((1, *grid.shape)).astype(np.float32), grid))
    write_image(tmp_path / "labels" / "a.nii.gz", Image(np.tile(disc(), (1, 4, 1, 1)).astype(dtype), grid))
    dataset = open_dataset(tmp_path)
    assert noted(dataset, "stored as floating point numbers in a")
    labels = dataset.read("a").truth.array
    assert labels.dtype.kind in "iu" and set(np.unique(labels)) == {0, 1}


def test_probabilities_slightly_over_one(tmp_path):
    grid = Grid.plain((4, *SHAPE), (1.0, 1.0, 1.0))
    soft = ndimage.gaussian_filter(disc().astype(np.float32), 1) * 1.02
    write_image(tmp_path / "images" / "a.nii.gz", Image(RNG.random((1, *grid.shape)).astype(np.float32), grid))
    write_image(tmp_path / "labels" / "a.nii.gz", Image(np.tile(soft, (1, 4, 1, 1)), grid))
    dataset = open_dataset(tmp_path)
    assert noted(dataset, "probabilities; above 0.5")
    np.testing.assert_array_equal(dataset.read("a").truth.array[0, 0] == 1, soft > 0.5)


def volumes(root: Path, masks: dict[str, np.ndarray]) -> Dataset:
    """A data set of volumes whose annotations are floating point numbers."""
    grid = Grid.plain((4, *SHAPE), (1.0, 1.0, 1.0))
    for name, mask in masks.items():
        write_image(root / "images" / f"{name}.nii.gz", Image(RNG.random((1, *grid.shape)).astype(np.float32), grid))
        write_image(root / "labels" / f"{name}.nii.gz", Image(np.tile(mask.astype(np.float32), (1, 4, 1, 1)), grid))
    return open_dataset(root)


@pytest.mark.parametrize("factor", [0.7, 3.3])
def test_fractions_in_one_file_do_not_merge_the_classes_of_all(tmp_path, factor):
    classes = disc(18).astype(np.float32) + disc(8)
    masks = dict.fromkeys("abcdef", classes) | {"c": classes * factor}
    with pytest.raises(
        DataError, match=r"Annotations of c hold fractions .* the others \(5\) hold .* the values 1, 2\."
    ):
        volumes(tmp_path, masks)


def test_a_single_class_that_is_not_1_is_no_probability_either(tmp_path):
    with pytest.raises(DataError, match=r"Annotations of a hold fractions .* whole numbers such as the value 4"):
        volumes(tmp_path, {"a": disc() * 0.9, "b": disc() * 4})


@pytest.mark.parametrize("white", [1, 255])
def test_masks_and_probabilities_mix(tmp_path, white):
    soft = ndimage.gaussian_filter(disc().astype(np.float32), 1)
    dataset = volumes(tmp_path, {"a": soft, "b": disc() * white, "c": np.zeros(SHAPE)})
    assert dataset.labels.values == ((1,),) and noted(dataset, "Labels of a are probabilities; above 0.5")
    np.testing.assert_array_equal(dataset.read("a").truth.array[0, 0] == 1, soft > 0.5)
    np.testing.assert_array_equal(dataset.read("b").truth.array[0, 0] == 1, disc())


def test_images_given_as_labels_are_refused(tmp_path):
    grid = Grid.plain((4, *SHAPE), (1.0, 1.0, 1.0))
    for folder in ("images", "labels"):
        write_image(tmp_path / folder / "a.nii.gz", Image(100 * RNG.random((1, *grid.shape)).astype(np.float32), grid))
    with pytest.raises(DataError, match="whole numbers or probabilities"):
        open_dataset(tmp_path)


def test_jpeg_masks_are_cut_at_half(tmp_path):
    masks = {n: np.repeat(disc(r)[..., None], 3, axis=2).astype(np.uint8) * 255 for n, r in (("a", 10), ("b", 17))}
    dataset = opened(tmp_path, masks, ".jpg", quality=80)
    assert dataset.encoding.kind == "threshold" and noted(dataset, "grey edges or specks")
    assert dataset.labels.values == ((255,),)
    assert (dataset.read("b").truth.array[0] > 0).sum() == pytest.approx(disc(17).sum(), rel=0.02)


def test_jpeg_masks_of_several_greys_are_refused(tmp_path):
    mask = disc(20).astype(np.uint8) * 128 + disc(8).astype(np.uint8) * 127
    with pytest.raises(DataError, match="JPEG has changed their values"):
        opened(tmp_path, {"a": mask}, ".jpg")


def test_grey_edges_in_lossless_files(tmp_path):
    soft = (ndimage.gaussian_filter(disc(18).astype(float), 0.6) * 255).round().astype(np.uint8)
    dataset = opened(tmp_path, {"a": soft}, ".tif")
    assert dataset.encoding.kind == "threshold"
    np.testing.assert_array_equal(dataset.read("a").truth.array[0] == 255, soft > 127.5)


def test_stray_greys_near_black_and_white(tmp_path):
    mask = disc(18).astype(np.uint8) * 255
    mask[0, :3], mask[24, 28:31] = (1, 2, 3), (254, 253, 250)
    dataset = opened(tmp_path, {"a": mask})
    assert dataset.labels.values == ((255,),)


def test_nine_codes_up_to_255_are_classes(tmp_path):
    codes = (np.arange(SHAPE[1]) // 7 * 32).clip(0, 255).astype(np.uint8)
    codes[-4:] = 255
    dataset = opened(tmp_path, {"a": np.tile(codes, (SHAPE[0], 1))})
    assert dataset.encoding.kind == "values"
    assert dataset.labels.names[0] == "label_32" and dataset.labels.values[-1] == (255,)


def test_void_of_255_beside_classes_is_kept(tmp_path):
    mask = disc(18).astype(np.uint8)
    mask[:2] = 255
    assert opened(tmp_path, {"a": mask}).labels.values == ((1,), (255,))


def test_sets_that_mix_1_and_255(tmp_path):
    dataset = opened(tmp_path, {"a": disc().astype(np.uint8), "b": disc().astype(np.uint8) * 255})
    assert dataset.labels.values == ((255,),) and noted(dataset, "Some masks are 0 and 1, others 0 and 255")
    np.testing.assert_array_equal(dataset.read("a").truth.array, dataset.read("b").truth.array)


def test_palette_indices_are_values(tmp_path):
    picture = Picture.fromarray(disc().astype(np.uint8) * 2)
    picture.putpalette([0, 0, 0, 9, 9, 9, 200, 0, 0])
    dataset = opened(tmp_path, {"a": disc().astype(np.uint8)})
    picture.save(tmp_path / "masks" / "a.png")
    dataset = open_dataset(tmp_path)
    assert dataset.labels.values == ((2,),)


def test_colours_become_values(tmp_path):
    mask = np.zeros((*SHAPE, 3), np.uint8)
    mask[disc(18)] = (255, 0, 0)
    mask[disc(8)] = (0, 255, 0)
    dataset = opened(tmp_path, {"a": mask})
    assert dataset.labels.names == ("colour_00ff00", "colour_ff0000") and noted(dataset, "#00ff00 = 1, #ff0000 = 2")
    labels = dataset.read("a").truth.array[0]
    assert (labels[disc(8)] == 1).all() and (labels == 2).sum() == disc(18).sum() - disc(8).sum()


def test_grey_and_coloured_masks_together(tmp_path):
    red = np.zeros((*SHAPE, 3), np.uint8)
    red[disc(8)] = (255, 0, 0)
    dataset = opened(tmp_path, {"a": red, "b": disc().astype(np.uint8) * 255})
    assert dataset.labels.names == ("colour_ff0000", "colour_ffffff")
    assert (dataset.read("b").truth.array[0] == 2).sum() == disc().sum() == dataset.seen["b"].counts[2]


def cells(count: int, first: int = 1, step: int = 1) -> np.ndarray:
    mask = np.zeros(SHAPE, np.uint16)
    places = RNG.permutation(60)[:count]
    for k, place in enumerate(places):
        row, column, size = place // 10 * 8, place % 10 * 6, RNG.integers(3, 6)
        mask[row : row + size, column : column + 4] = first + step * k
    return mask


def test_object_numbers_with_gaps_are_one_structure(tmp_path):
    masks = {f"c{k}": cells(n, 1 + k, 1 + k % 3) for k, n in enumerate((20, 35, 8, 50))}
    dataset = opened(tmp_path, masks)
    assert dataset.encoding.kind == "instances" and dataset.labels.names == ("object",)
    assert noted(dataset, "Labels number single objects (up to 50 in a case)")
    np.testing.assert_array_equal(dataset.read("c1").truth.array[0] > 0, masks["c1"] > 0)
    np.testing.assert_array_equal(dataset.read_instances("c1").array[0], masks["c1"])
    assert dataset.seen["c1"].counts.keys() == {0, 1}


def test_a_single_map_of_objects_is_recognised(tmp_path):
    assert opened(tmp_path, {"a": cells(40)}).encoding.kind == "instances"


def test_many_classes_in_fixed_places_are_no_objects(tmp_path):
    def organs(shift: int) -> np.ndarray:
        mask, row = np.zeros(SHAPE, np.uint8), 0
        for value in range(1, 25):  # sizes that belong to the value, as organs have
            height, width = 1 + value % 3, 2 + value * 2
            mask[row : row + height, shift : shift + width] = value
            row = (row + height) % 46
        return mask

    dataset = opened(tmp_path, {"a": organs(0), "b": organs(2), "c": organs(5)})
    assert dataset.encoding.kind == "values" and len(dataset.labels.names) > 15


def test_a_few_numbers_that_vary_are_a_doubt(tmp_path):
    dataset = opened(tmp_path, {"a": cells(8), "b": cells(3), "c": cells(6)})
    assert dataset.encoding.kind == "values" and noted(dataset, "write `instances: true` into a labels.yaml")


def stacks(root: Path, masks: dict[str, np.ndarray]) -> Dataset:
    for name, mask in masks.items():
        grid = Grid.plain(mask.shape, (1.0, 1.0, 1.0))
        write_image(root / "images" / f"{name}.nii.gz", Image(RNG.random((1, *mask.shape), np.float32), grid))
        write_image(root / "labels" / f"{name}.nii.gz", Image(mask[None], grid, "labels"))
    return open_dataset(root)


def pages(axis: int, counts=(20, 35, 28, 40)) -> np.ndarray:
    return np.stack([cells(count) for count in counts], axis)


@pytest.mark.parametrize("axis", [0, 2])
def test_a_stack_of_pages_that_number_objects_anew_is_never_many_classes(tmp_path, axis):
    masks = {"a": pages(axis), "b": pages(axis, (30, 12, 50, 9))}
    dataset = stacks(tmp_path, masks)
    assert dataset.labels.names == ("object",) and noted(dataset, "a: values number objects anew on each of 4 pages")
    assert dataset.read_instances("a").array.max() > 100  # 123 on four pages, of which few meet by chance
    (tmp_path / "labels.yaml").write_text("objects: true\n")
    confirmed = open_dataset(tmp_path)
    assert confirmed.encoding.restarts and not noted(confirmed, "anew on each")


def test_many_values_in_a_volume_that_go_on_from_page_to_page_are_classes_with_a_warning(tmp_path):
    dataset = stacks(tmp_path, dict.fromkeys("ab", np.repeat(cells(20)[..., None], 4, -1).astype(np.uint8)))
    assert len(dataset.labels.names) == 20 and noted(dataset, "20 values without names are taken for as many classes")


def test_names_for_values_decide_against_objects(tmp_path):
    masks = {"a": cells(20), "b": cells(20)}
    (tmp_path / "labels.yaml").write_text("\n".join(f"{v}: class {v}" for v in range(1, 21)))
    assert opened(tmp_path, masks).encoding.kind == "values"


def test_a_table_can_say_that_values_number_objects(tmp_path):
    (tmp_path / "labels.yaml").write_text("instances: true\n")
    dataset = opened(tmp_path, {"a": cells(4), "b": cells(2)})
    assert dataset.labels.names == ("object",) and dataset.read_instances("a").array.max() == 4


def test_ordinary_labels_have_no_object_numbers(tmp_path):
    with pytest.raises(DataError, match="do not number single objects"):
        opened(tmp_path, {"a": disc().astype(np.uint8)}).read_instances("a")


def test_all_empty_is_an_error(tmp_path):
    with pytest.raises(DataError, match="All 2 annotations are empty"):
        opened(tmp_path, {"a": np.zeros(SHAPE, np.uint8), "b": np.zeros(SHAPE, np.uint8)})


def test_some_empty_is_a_note(tmp_path):
    assert noted(opened(tmp_path, {"a": disc(), "b": np.zeros(SHAPE, bool)}), "Nothing is labelled in b")


def test_a_class_without_cases_is_a_warning(tmp_path):
    (tmp_path / "labels.yaml").write_text("1: disc\n2: ring\n")
    dataset = opened(tmp_path, {"a": disc().astype(np.uint8)})
    assert dataset.warnings == ("No case has the structure 'ring'; it cannot be learnt or judged.",)


def test_values_that_no_name_covers_are_an_error(tmp_path):
    (tmp_path / "labels.yaml").write_text("1: disc\n")
    with pytest.raises(DataError, match=r"b: the annotation has the value 3, which the declared labels do not name"):
        opened(tmp_path, {"a": disc().astype(np.uint8), "b": disc().astype(np.uint8) * 3})


def test_a_slip_of_the_pen_is_a_warning(tmp_path):
    mask = disc(20).astype(np.uint8)
    mask[0, 0] = 2
    assert noted(opened(tmp_path, {"a": mask}), "Value 2 has only 1 voxels")


def test_outlines_are_a_warning(tmp_path):
    ring = disc(20) & ~ndimage.binary_erosion(disc(20), iterations=1)
    assert noted(opened(tmp_path, {"a": ring}), "Masks look like outlines in a; fill them first")
    assert not noted(opened(tmp_path / "filled", {"a": disc(20)}), "outlines")


def test_a_declared_structure_names_255(tmp_path):
    (tmp_path / "labels.yaml").write_text("1: polyp\n")
    dataset = opened(tmp_path, {"a": disc().astype(np.uint8) * 255})
    assert dataset.labels.names == ("polyp",) and noted(dataset, "255 is read as the declared value 1")
    assert dataset.read("a").truth.array.max() == 1


def test_a_declared_structure_names_jpeg_masks(tmp_path):
    (tmp_path / "labels.yaml").write_text("1: polyp\n")
    assert opened(tmp_path, {"a": disc().astype(np.uint8) * 255}, ".jpg").read("a").truth.array.max() == 1


def test_objects_of_one_size_are_recognised(tmp_path):
    squares = np.kron(np.arange(1, 21).reshape(4, 5), np.ones((8, 8))).astype(np.uint16)
    mask = np.zeros(SHAPE, np.uint16)
    mask[:32, :40] = np.where(np.kron(np.ones((4, 5)), np.pad(np.ones((6, 6)), 1)) > 0, squares, 0)
    assert opened(tmp_path, {"a": mask, "b": mask[::-1].copy()}).encoding.kind == "instances"


def test_negative_values_are_refused_unless_ignored(tmp_path):
    grid = Grid.plain((4, *SHAPE), (1.0, 1.0, 1.0))
    labels = np.tile(disc(), (1, 4, 1, 1)).astype(np.int16)
    labels[0, 0, 0, 0] = -1
    write_image(tmp_path / "images" / "a.nii.gz", Image(labels, grid))
    write_image(tmp_path / "labels" / "a.nii.gz", Image(labels, grid))
    with pytest.raises(DataError, match="negative value -1"):
        open_dataset(tmp_path)
    (tmp_path / "labels.yaml").write_text("1: disc\nignore: -1\n")
    assert open_dataset(tmp_path).read("a").truth.array.min() == -1


@pytest.mark.parametrize(
    ("mode", "words"),
    [("L", "Masks are 0 and 255;"), ("RGB", "0 and 255, stored as RGB;"), ("1", "Masks are 0 and 1;")],
)
def test_black_and_white_masks_are_told(tmp_path, mode, words):
    for folder in ("images", "labels"):
        (tmp_path / folder).mkdir()
    mask = np.zeros((9, 12), np.uint8)
    mask[2:5, 3:7] = 255
    Picture.fromarray(mask + np.arange(12, dtype=np.uint8)).save(tmp_path / "images" / "a.png")
    Picture.fromarray(mask).convert(mode).save(tmp_path / "labels" / "a.png")
    assert any(words in note and "is the structure" in note for note in open_dataset(tmp_path).notes)


def noisy(mask: np.ndarray, most: int = 6) -> np.ndarray:
    return (mask.astype(int) + RNG.integers(-most, most + 1, mask.shape)).clip(0, 255).astype(np.uint8)


def was_jpeg(mask: np.ndarray) -> np.ndarray:
    buffer = io.BytesIO()
    Picture.fromarray(mask).save(buffer, "jpeg", quality=75)
    return np.asarray(Picture.open(buffer))


def resized(mask: np.ndarray) -> np.ndarray:
    small = Picture.fromarray(mask).resize((47, 39), Picture.Resampling.BILINEAR)
    return np.asarray(small.resize(mask.shape[::-1], Picture.Resampling.BILINEAR))


@pytest.mark.parametrize(
    ("spoil", "lines"), [(noisy, False), (noisy, True), (was_jpeg, False), (was_jpeg, True), (resized, False)]
)
def test_shades_of_black_and_white_are_one_structure(tmp_path, spoil, lines):
    mask = disc() if not lines else np.tile(np.arange(SHAPE[1]) % 17 < 2, (SHAPE[0], 1)) & disc(28)
    masks = {name: spoil(np.roll(mask, k, 1).astype(np.uint8) * 255) for k, name in enumerate("abc")}
    dataset = opened(tmp_path, masks)
    assert dataset.labels.names == ("foreground",) and noted(dataset, "numbers above 127.5 are the structure")
    found = dataset.read("a").truth.array[0] > 0
    assert (found != mask).mean() < (0.02 if spoil is resized else 1e-9)


def test_whites_that_differ_from_file_to_file_are_one_structure(tmp_path):
    dataset = opened(
        tmp_path, {name: disc().astype(np.uint8) * white for name, white in {"a": 255, "b": 254, "c": 1}.items()}
    )
    assert dataset.labels.values == ((255,),) and noted(dataset, "Some masks are 0 and 1, others 0 and 254, others")


def test_noise_in_16_bits_is_no_structure(tmp_path):
    dataset = opened(tmp_path, {"a": disc() * np.uint16(64000) + RNG.integers(0, 50, SHAPE).astype(np.uint16)})
    np.testing.assert_array_equal(dataset.read("a").truth.array[0] > 0, disc())
    assert len(dataset.labels.names) == 1


@pytest.mark.parametrize(("white", "kind"), [(100, np.uint8), (4095, np.uint16), (65535, np.uint16), (400, np.int32)])
def test_soft_edges_are_known_whatever_white_is(tmp_path, white, kind):
    soft = {name: resized(np.roll(disc(), k).astype(np.uint8) * 255) for k, name in enumerate("abc")}
    dataset = opened(tmp_path, {name: (mask / 255 * white).astype(kind) for name, mask in soft.items()}, ".tif")
    assert dataset.labels.names == ("foreground",) and noted(dataset, f"numbers above {white / 2:g} are the structure")
    assert ((dataset.read("a").truth.array[0] > 0) != disc()).mean() < 0.02


def test_soft_edges_between_several_levels_are_refused(tmp_path):
    levels = resized(disc(20).astype(np.uint8) * 127 + disc(10).astype(np.uint8) * 128)
    with pytest.raises(DataError, match="soft edges between the levels 0, 127, 255, and a grey between two of them"):
        opened(tmp_path, dict.fromkeys("ab", levels))


def test_shades_without_levels_are_a_warning(tmp_path):
    depth = (ndimage.distance_transform_edt(disc(18)) * 9).astype(np.uint8)
    dataset = opened(tmp_path, dict.fromkeys("ab", depth))
    assert noted(dataset, "values form no areas of their own") and not noted(dataset, "slip of the pen")


def test_values_without_any_area_are_refused(tmp_path):
    with pytest.raises(DataError, match="values forms an area, so this is a noisy mask or an image"):
        opened(tmp_path, {"a": (disc() * 90 + RNG.integers(0, 10, SHAPE)).astype(np.uint8)})


@pytest.mark.parametrize("shape", [(30, 40), (6, 30, 40)])
def test_a_hundred_organs_of_many_sizes_stay_structures(tmp_path, shape):
    seeds = np.stack([RNG.integers(0, size, 104) for size in shape])
    away = np.linalg.norm(np.indices(shape)[:, None] - seeds.reshape(len(shape), 104, *(1,) * len(shape)), axis=0)
    mask = np.where(away.min(0) < 5, away.argmin(0) + 1, 0).astype(np.int16)
    mask[..., 30:] = 7
    grid = Grid.plain(shape, (1.0,) * len(shape))
    for name in ("images/a", "labels/a", "images/b", "labels/b"):
        write_image(tmp_path / f"{name}.nii.gz", Image(mask[None], grid))
    dataset = open_dataset(tmp_path)
    assert dataset.encoding.kind == "values" and len(dataset.labels.names) == len(np.unique(mask)) - 1


def test_jpeg_masks_in_colours_are_refused(tmp_path):
    with pytest.raises(DataError, match="in colours, and JPEG has changed them; save it as PNG"):
        opened(tmp_path, {"a": np.array([(0, 0, 0), RED, BLUE], np.uint8)[disc(20).astype(int) + disc(8)]}, ".jpg")


def test_a_mask_that_is_inverted_among_others_is_remarked(tmp_path):
    masks = {name: np.where(disc() != (name == "c"), 255, 0).astype(np.uint8) for name in "abcd"}
    assert noted(opened(tmp_path, masks), "covers most of the image in c, and little in the others")


@pytest.mark.parametrize("levels", [(0, 85, 170, 255), (0, 40, 255), (0, 128, 249)])
def test_shades_of_several_levels_become_the_levels(tmp_path, levels):
    clean = np.array(levels, np.uint8)[np.tile(np.arange(SHAPE[1]) // 5 % len(levels), (SHAPE[0], 1))]
    dataset = opened(tmp_path, {name: noisy(clean, 5) for name in "ab"})
    assert dataset.encoding.kind == "levels" and noted(dataset, "the nearest counts")
    np.testing.assert_allclose([0, *(group[0] for group in dataset.labels.values)], levels, atol=2)
    found = dataset.read("a").truth.array[0]
    assert len(np.unique(found[clean == levels[1]])) == 1 and set(dataset.seen["a"].counts) == set(np.unique(found))
    np.testing.assert_allclose(found.astype(int), clean, atol=2)


def test_photographs_in_place_of_masks_are_refused(tmp_path):
    photo = (ndimage.gaussian_filter(RNG.random(SHAPE), 2) * 1275 - 510).clip(0, 255).astype(np.uint8)
    photo[0, :2] = 0, 255
    with pytest.raises(DataError, match="a picture with several grey levels; save it as PNG"):
        opened(tmp_path, {"a": noisy(photo)})


@pytest.mark.parametrize("size", [3, 4])
def test_classes_in_many_small_areas_are_no_shades(tmp_path, size):
    areas = RNG.choice([0, 1, 2, 3, 4, 5, 6, 255], (SHAPE[0] // size, SHAPE[1] // size)).astype(np.uint8)
    dataset = opened(tmp_path, {"a": np.kron(areas, np.ones((size, size), np.uint8))[: SHAPE[0], : SHAPE[1]]})
    assert dataset.encoding.kind == "values"
    assert noted(dataset, "Value 255 beside classes that count from 1 usually marks borders")


@pytest.mark.parametrize("factor", [0.9998, 254.1 / 255])
def test_numbers_that_are_almost_whole_are_rounded_and_told(tmp_path, factor):
    classes = disc(18).astype(np.float32) + disc(8)
    dataset = volumes(tmp_path, dict.fromkeys("ab", classes * factor))
    assert dataset.labels.values == ((1,), (2,)) and noted(dataset, "miss whole numbers by up to")
    np.testing.assert_array_equal(dataset.read("a").truth.array[0, 0], classes)


def in_palette(mask: np.ndarray, colours: list[tuple[int, int, int]], path: Path) -> None:
    picture = Picture.fromarray(mask, "P")
    picture.putpalette([part for colour in colours for part in colour])
    path.parent.mkdir(exist_ok=True, parents=True)
    picture.save(path)


NIGHT, RED, BLUE = (0, 0, 0), (200, 0, 0), (0, 0, 200)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_palettes_in_another_order_are_read_by_their_colours(tmp_path, suffix):
    classes = disc(18).astype(np.uint8) + disc(8)
    opened(tmp_path, {"a": classes, "b": classes})
    in_palette(classes, [NIGHT, RED, BLUE], tmp_path / "masks" / f"a{suffix}")
    in_palette((2 - classes).astype(np.uint8), [BLUE, RED, NIGHT], tmp_path / "masks" / f"b{suffix}")
    for path in (tmp_path / "masks").glob("*.png") if suffix == ".tif" else ():
        path.unlink()
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("colour_0000c8", "colour_c80000")
    assert noted(dataset, "Palettes differ (#000000 is 0 in a, 2 in b)")
    for name in "ab":
        np.testing.assert_array_equal(dataset.read(name).truth.array[0], np.array([0, 2, 1])[classes])
        assert dataset.seen[name].counts[1] == (classes == 2).sum()
    (tmp_path / "labels.yaml").write_text("1: ring\n2: disc\n")
    with pytest.raises(DataError, match="Save all annotations with one palette"):
        open_dataset(tmp_path)


def test_palettes_and_colours_in_one_set_are_colours(tmp_path):
    classes = disc(18).astype(np.uint8) + disc(8)
    opened(tmp_path, {"a": classes, "b": np.array([NIGHT, RED, BLUE], np.uint8)[classes]})
    in_palette(classes, [NIGHT, RED, BLUE], tmp_path / "masks" / "a.png")
    dataset = open_dataset(tmp_path)
    np.testing.assert_array_equal(dataset.read("a").truth.array, dataset.read("b").truth.array)
    assert len(dataset.labels.names) == 2


def test_colours_in_gif_are_known_by_themselves(tmp_path):
    classes = disc(18).astype(np.uint8) + disc(8)
    opened(tmp_path, {"a": classes})
    (tmp_path / "masks" / "a.png").unlink()
    in_palette((2 - classes).astype(np.uint8), [BLUE, RED, NIGHT], tmp_path / "masks" / "a.gif")
    dataset = open_dataset(tmp_path)
    assert dataset.labels.names == ("colour_0000c8", "colour_c80000")
    np.testing.assert_array_equal(dataset.read("a").truth.array[0], np.array([0, 2, 1])[classes])


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.where(disc(), 0, 255).astype(np.uint8), "Value 255 covers 79 % of all voxels"),
        (np.where(disc()[..., None], RED, (255, 255, 255)).astype(np.uint8), "#ffffff covers 79 % of all voxels"),
    ],
)
def test_masks_that_label_their_background_are_remarked(tmp_path, mask, words):
    assert any(words in warning for warning in opened(tmp_path, {"a": mask, "b": mask}).warnings)


def test_what_is_transparent_in_a_mask_is_background_and_told(tmp_path):
    table = np.array([[255, 255, 255, 0], [*RED, 255], [*BLUE, 255]], np.uint8)
    dataset = opened(tmp_path, {"a": table[disc(18).astype(np.uint8) + disc(8)]})
    assert dataset.labels.names == ("colour_0000c8", "colour_c80000") and noted(dataset, "Transparent pixels")
