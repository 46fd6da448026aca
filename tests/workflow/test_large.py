"""Images that do not fit the memory: answered in parts, they get the answers of images that do."""

import logging
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest
import tifffile
import zarr

from hyoid.core.errors import ConfigError, DataError
from hyoid.core.labels import Labels
from hyoid.datasets.cases import find_images
from hyoid.files.formats import read_header, read_image
from hyoid.nets.unet import UNetSpec
from hyoid.prediction.predictor import Predictor
from hyoid.prediction.settings import PredictionSettings
from hyoid.preparation.intensity import IntensitySettings
from hyoid.preparation.pipeline import PreparationSettings
from hyoid.tasks import task_for
from hyoid.training.quiet import seeded
from hyoid.workflow.answers import predict_entries
from phantoms import make_plan

RNG = np.random.default_rng(0)
LITTLE_GB, AMPLE_GB = 5e-4, 100


def predictor_for(patch, channels=1, scheme="zscore", preparation=None, **settings) -> Predictor:
    spec = UNetSpec(dims=len(patch), in_channels=channels, out_channels=3, channels=(4, 8))
    preparation = PreparationSettings(intensity=(IntensitySettings(scheme=scheme),) * channels, **(preparation or {}))
    plan = make_plan(patch, preparation.spacing_mm, preparation=preparation, net=spec)
    task = task_for(Labels.of({1: "liver", 5: "spleen"}))
    return Predictor.of(seeded(spec.build, 0), task, plan, PredictionSettings(whole=0, **settings))


def predict(predictor, source: Path, into: Path, memory_gb: float, channels: int = 1, **options) -> Path:
    """The answer to one image, within a memory that is a little too small for it or ample."""
    dataset = SimpleNamespace(channel_names=("c",) * channels, seen={})
    entries = find_images(source, channels)
    (path,) = predict_entries(predictor, dataset, entries, into, memory_gb=memory_gb, **options)
    return path


def slide(folder: Path, *shape: int) -> Path:
    smooth = np.add.outer(np.sin(np.arange(shape[0]) / 9), np.cos(np.arange(shape[1]) / 7))[..., None]
    array = np.clip(120 + 50 * smooth + RNG.normal(0, 9, (*shape, 3)), 0, 255).astype(np.uint8)
    described = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.5}
    path = folder / "slide.ome.tif"
    tifffile.imwrite(path, array, tile=(64, 80), compression="zlib", photometric="rgb", metadata=described)
    return path


def volume(folder: Path, *shape: int) -> Path:
    array = (RNG.normal(0, 40, shape) + 100 * np.sin(np.indices(shape).sum(0) / 8)).astype(np.int16)
    image = nibabel.Nifti1Image(array, np.diag([-1.5, 1.0, 2.0, 1.0]))
    image.header.set_xyzt_units("mm")
    nibabel.save(image, folder / "scan.nii")
    return folder / "scan.nii"


@pytest.mark.parametrize("scheme", ["rgb", "zscore", "percentiles"])
@pytest.mark.parametrize(
    ("shape", "blending_gb"), [pytest.param((300, 210), 1.5, marks=pytest.mark.slow), ((210, 300), 1e-4)]
)
def test_a_slide_in_parts_is_answered_as_in_memory(shape, blending_gb, scheme, tmp_path, caplog):
    source = slide(tmp_path, *shape)
    predictor = predictor_for((64, 64), 3, scheme, memory_gb=blending_gb)
    whole = predict(predictor, source, tmp_path / "whole", AMPLE_GB, 3)
    with caplog.at_level(logging.INFO, "hyoid"):
        parts = predict(predictor, source, tmp_path / "parts", LITTLE_GB, 3)
    assert "slide: in memory it would take about" in caplog.text and "written in parts" in caplog.text
    expected, found = read_image(whole, "labels"), read_image(parts, "labels")
    assert len(np.unique(expected.array)) == 3
    # In windows the ring is float16, and both ways are decoded a little differently there.
    assert (found.array == expected.array).mean() > (0.999 if blending_gb < 1 else 1 - 1e-9)
    assert found.grid == expected.grid == read_header(source).grid and found.grid.spacing_mm == (5e-4, 5e-4)
    assert {one.name for one in (tmp_path / "parts").iterdir()} == {parts.name, "answers.jsonl"}


def test_an_image_of_a_common_extent_in_parts_is_answered_as_in_memory(tmp_path):
    source = slide(tmp_path, 210, 300)
    predictor = predictor_for((64, 64), 3, preparation={"extent": 190.0})
    expected = read_image(predict(predictor, source, tmp_path / "whole", AMPLE_GB, 3), "labels")
    found = read_image(predict(predictor, source, tmp_path / "parts", LITTLE_GB, 3), "labels")
    assert expected.array.any() and (found.array == expected.array).mean() > 0.999
    assert found.grid == expected.grid == read_header(source).grid


@pytest.mark.parametrize(
    "preparation",
    [
        {},
        {"orientation": "SAR", "crop": "content"},
        {"orientation": "LPI", "spacing_mm": (1.9, 1.6, 1.5)},
        {"spacing_mm": (1.2, 1.2, 1.2), "order": 1},
    ],
)
def test_a_volume_in_parts_is_answered_as_in_memory(preparation, tmp_path):
    source = volume(tmp_path, 120, 24, 23)
    predictor = predictor_for((16, 16, 16), preparation=preparation)
    expected = read_image(predict(predictor, source, tmp_path / "whole", AMPLE_GB), "labels")
    found = read_image(predict(predictor, source, tmp_path / "parts", LITTLE_GB), "labels")
    assert (found.array == expected.array).mean() > (0.9999 if "spacing_mm" in preparation else 1 - 1e-9)
    assert found.grid == expected.grid


def test_zarr_gives_zarr(tmp_path):
    array = RNG.integers(0, 999, (120, 24, 23), np.uint16)
    dataset = {"path": "0", "coordinateTransformations": [{"type": "scale", "scale": [4.0, 2.0, 2.0]}]}
    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "zyx"]
    facts = {"ome": {"version": "0.5", "multiscales": [{"axes": axes, "datasets": [dataset]}]}}
    source = tmp_path / "sheet.ome.zarr"
    zarr.create_group(source, attributes=facts).create_array("0", data=array, chunks=(16, 16, 16))
    predictor = predictor_for((16, 16, 16))
    whole = predict(predictor, source, tmp_path / "whole", AMPLE_GB)
    parts = predict(predictor, source, tmp_path / "parts", LITTLE_GB)
    assert whole.name == parts.name == "sheet.ome.zarr"
    np.testing.assert_array_equal(read_image(parts, "labels").array, read_image(whole, "labels").array)
    assert read_header(parts).grid == read_header(source).grid == read_header(whole).grid


@pytest.mark.parametrize(
    ("options", "settings", "words"),
    [
        ({"probabilities": True}, {}, "--probabilities"),
        ({}, {"largest_component": ("liver",)}, "prediction.largest_component"),
        ({}, {"refine": "dense_crf"}, "prediction.refine"),
    ],
)
def test_what_needs_the_whole_answer_is_refused_before_work_begins(options, settings, words, tmp_path):
    source = slide(tmp_path, 300, 210)
    with pytest.raises(ConfigError, match=f"slide: .* cannot be answered with {words}"):
        predict(predictor_for((64, 64), 3, **settings), source, tmp_path / "parts", LITTLE_GB, 3, **options)
    assert not (tmp_path / "parts").exists()


def test_a_file_that_cannot_be_read_in_parts_is_read_whole_and_told(tmp_path, caplog):
    source = volume(tmp_path, 120, 24, 23)
    nibabel.save(nibabel.load(source), tmp_path / "packed.nii.gz")
    answer = predict(predictor_for((16, 16, 16)), tmp_path / "packed.nii.gz", tmp_path / "parts", LITTLE_GB)
    assert "packed: in memory" in caplog.text and "read whole all the same" in caplog.text
    assert answer.is_file()


def test_what_fails_on_the_way_is_told_and_leaves_nothing(tmp_path, caplog):
    source = slide(tmp_path, 300, 210)
    with tifffile.TiffFile(source) as file:
        offset = file.pages[0].dataoffsets[-1]
    content = bytearray(source.read_bytes())
    content[offset : offset + 40] = bytes(40)
    source.write_bytes(content)
    with pytest.raises(DataError, match="1 of 1 images were not predicted: slide"):
        predict(predictor_for((64, 64), 3, "rgb"), source, tmp_path / "parts", LITTLE_GB, 3)
    assert "damaged" in caplog.text
    assert [one.name for one in (tmp_path / "parts").iterdir()] == ["answers.jsonl"]


def test_a_stop_leaves_no_broken_answer(tmp_path, monkeypatch):
    source = slide(tmp_path, 300, 210)
    predictor = predictor_for((64, 64), 3, "rgb")
    calls = []

    def stop(tiles):
        calls.append(1)
        if len(calls) > 3:
            raise KeyboardInterrupt
        return Predictor.forward(predictor, tiles)

    monkeypatch.setattr(predictor, "forward", stop)
    with pytest.raises(KeyboardInterrupt):
        predict(predictor, source, tmp_path / "parts", LITTLE_GB, 3)
    assert [one.name for one in (tmp_path / "parts").iterdir()] == ["answers.jsonl"]


def test_probabilities_take_at_most_a_third_of_the_memory():
    predictor = predictor_for((16, 16, 16), memory_gb=1.5)
    assert predictor.within(3).settings.memory_gb == 1 and predictor.within(30).settings.memory_gb == 1.5
    assert predictor.settings.memory_gb == 1.5
