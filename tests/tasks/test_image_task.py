"""Tasks of an extension that learn images and fields: planned, trained, answered in files, judged and reported."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest

import hyoid
from hyoid.core.case import Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.files.formats import read_header, write_image
from hyoid.ops.resample import onto
from hyoid.run_folder import RunFolder

EXTENSION = Path(__file__).with_name("brightening_task.py")
CHANGES = [f"extensions=[{EXTENSION}]", "planning.batch=2", "planning.channels=[4,8]", "planning.policy=none"]
CHANGES += ["training.optimiser.learning_rate=0.01", "threads=1", "device=cpu", "num_folds=2"]
KINDS = {
    "picture": ("brightening", "image", ("bright",), ("psnr",), "tif"),
    "volume": ("twofold", "image", ("bright", "dark"), ("psnr", "ssim", "mae"), "nii.gz"),
    "field": ("moving", "field", ("field",), ("end_point_error", "folds"), "nii.gz"),
}
STEPS = 8


def oblique(index: int) -> Grid:
    """Another voxel size in each case, thick slices, axes that are turned and oblique in the body."""
    turn = np.array([[0, -0.8, 0.6], [-1, 0, 0], [0, 0.6, 0.8]])
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = turn @ np.diag([1.0 + 0.2 * index, 1.0, 2.5]), (-20, 30, 7.5)
    return Grid.from_affine(affine, (22 - index, 20, 12))


def write_set(root: Path, kind: str) -> Path:
    """Images whose targets are far from them in scale, and for a field motions that depend on the image."""
    column, suffix = ("field" if kind == "field" else "target"), "png" if kind == "picture" else "nii.gz"
    rng, rows = np.random.default_rng(0), [f"image,{column},split"]
    for index in range(5):
        grid = Grid.plain((32, 40)) if kind == "picture" else oblique(index)
        image = rng.integers(0, 100, (1, *grid.shape), np.uint8)
        numbers = image.astype(np.float32)
        made = {
            "picture": 1000.25 + 2 * numbers,
            "volume": np.concatenate([1000.25 + 2 * numbers, -500.5 - numbers]),
            "field": np.concatenate([3 + numbers / 50, -numbers / 70, 0 * numbers + 1.5]),
        }[kind]
        target = f"{index}_to.{'tif' if kind == 'picture' else 'nii.gz'}"
        write_image(root / f"{index}.{suffix}", Image(image, grid))
        write_image(root / target, Image(made, grid))
        rows.append(f"{index}.{suffix},{target},{'test' * (index == 4)}")
    (root / "manifest.csv").write_text("\n".join(rows) + "\n")
    return root / "manifest.csv"


@pytest.fixture(scope="module", params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture(scope="module")
def data(kind, tmp_path_factory) -> Path:
    return write_set(tmp_path_factory.mktemp(kind), kind)


@pytest.fixture(scope="module")
def run(kind, data, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "run"
    patch = "[32,32]" if kind == "picture" else "[8,16,16]"
    changes = [*CHANGES, f"task={KINDS[kind][0]}", f"planning.patch={patch}"]
    hyoid.run(data, into=folder, steps=STEPS, changes=changes)
    return folder


@pytest.fixture(scope="module")
def again(run, kind) -> Path:
    """A run of the same task on another split: with the same plan for a field, else with one of its own."""
    asked = json.loads((run / "asked.json").read_text())
    others = {"picture": "[24,24]", "volume": "[8,8,16]", "field": "[8,16,16]"}
    changes = [one for one in asked["changes"] if "patch" not in one] + [f"planning.patch={others[kind]}", "fold=1"]
    folder = run.parent / "again"
    hyoid.plan(asked["experiment"]["data"], into=folder, steps=2, changes=changes)
    hyoid.train(folder)
    return folder


def by_hand(folder: RunFolder, case_id: str) -> np.ndarray:
    """What the net says of a case, with the scale of targets undone, on the grid of its image."""
    predictor, case = hyoid.load(folder.path).predictor, folder.dataset.read(case_id)
    prepared = predictor.prepared(case)
    maps, scales = predictor.predict_prepared(prepared.array), predictor.plan.preparation.target
    for channel, scale in zip(maps, scales, strict=False):
        channel[...] = channel * scale.options["std"] + scale.options["mean"]
    assert predictor.engine.precision == "32-true"
    assert len(scales) == (0 if predictor.task.kind == "field" else len(maps))
    return onto(Image(maps, prepared.grid, predictor.task.kind), case.image.grid).array


def test_files_hold_the_numbers_of_the_net_in_the_units_of_targets_on_the_grid_of_the_image(kind, run):
    folder, suffix = RunFolder.open(run), KINDS[kind][-1]
    for case_id in folder.split.validation:
        file = run / "predictions" / f"{case_id}.{suffix}"
        case, answer = folder.dataset.read(case_id), hyoid.read_image(file)
        assert read_header(file).dtype == "float32" and answer.grid.matches(case.image.grid, 1e-4)
        np.testing.assert_allclose(answer.array, by_hand(folder, case_id), rtol=1e-5, atol=1e-4)
        assert not np.array_equal(answer.array, np.rint(answer.array))
        spread = np.abs(case.truth.array - answer.array).mean(axis=tuple(range(1, answer.array.ndim)))
        assert (spread < (5 if kind == "field" else 300)).all()  # 1000 or -500 apart unless the scale is undone


def test_the_report_has_rows_of_image_metrics_and_says_nothing_of_structures(kind, run, tmp_path):
    _, _, outputs, metrics, suffix = KINDS[kind]
    folder = RunFolder.open(run)
    with (run / "cases.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [(row["case"], row["structure"]) for row in rows] == [
        (c, o) for c in folder.split.validation for o in outputs
    ]
    for row in rows:
        answer = hyoid.read_image(run / "predictions" / f"{row['case']}.{suffix}").array.astype(float)
        truth = folder.dataset.read(row["case"]).truth.array.astype(float)
        channel = outputs.index(row["structure"])
        errors = {
            "mae": np.abs(answer - truth)[channel].mean(),
            "end_point_error": np.linalg.norm(answer - truth, axis=0).mean(),
            "psnr": 10 * np.log10(np.ptp(truth[channel]) ** 2 / ((answer - truth)[channel] ** 2).mean()),
        }
        assert set(metrics) <= set(row) and "dice" not in row
        for name in set(metrics) & set(errors):
            assert float(row[name]) == pytest.approx(errors[name], abs=1e-4)
    page = re.sub(r"<(style|script)\b.*?</\1>|<[^>]*>", "", (run / "report.html").read_text(), flags=re.DOTALL)
    for text in (page.split("extensions:")[0], (run / "MODEL_CARD.md").read_text()):
        assert not re.findall(r".*(?:Dice|missed|made up|[Ss]egment|[Ss]tructures [^n]).*", text)
    shutil.copytree(run, tmp_path / "copy")
    compared = hyoid.compare([run, tmp_path / "copy"], into=tmp_path / "comparison")
    assert compared.metrics == metrics and "Bias" not in (tmp_path / "comparison" / "comparison.html").read_text()
    found = hyoid.evaluate(run, test=True)
    assert found.cases == ("4",) and found.structures == outputs and (run / "test" / "report.html").is_file()
    assert set(json.loads((run / "training.json").read_text())["scores"]) == {"closeness"}


def test_a_loaded_run_answers_in_memory_as_in_files(kind, run, data):
    model, folder = hyoid.load(run), RunFolder.open(run)
    case_id = folder.split.validation[0]
    entry = folder.dataset.entry(case_id)
    answer = model.predict(entry.images[0])
    file = hyoid.read_image(run / "predictions" / f"{case_id}.{KINDS[kind][-1]}")
    np.testing.assert_array_equal(answer.array, file.array)
    array = model(hyoid.read_image(entry.images[0]).array, grid=answer.grid)
    np.testing.assert_array_equal(array, answer.array[0] if kind == "picture" else answer.array)
    maps = model.probabilities(entry.images[0])
    assert model.outputs == model.predictor.task.outputs and maps.array.shape == answer.array.shape
    assert maps.grid.matches(answer.grid)


def test_members_of_an_ensemble_answer_with_the_mean_of_their_answers(run, again, kind, tmp_path):
    (run.parent / "ensemble.yaml").write_text("members:\n- {run: run, weight: 3}\n- again\n")
    entry = RunFolder.open(run).dataset.entry(RunFolder.open(run).split.validation[0])
    one, other, both = (hyoid.load(path).predict(entry.images[0]).array for path in (run, again, run.parent))
    np.testing.assert_allclose(both, 0.75 * one + 0.25 * other, rtol=1e-5, atol=1e-4)
    assert not np.allclose(one, other)
    (file,) = hyoid.predict(run.parent, [entry.images[0]], into=tmp_path / "answers")
    np.testing.assert_array_equal(hyoid.read_image(file).array, both)
    if kind == "picture":
        hyoid.predict(run.parent)
        assert hyoid.evaluate(run.parent).settings.metrics == ("psnr",) and hyoid.report(run.parent).is_file()
        with pytest.raises(ConfigError, match="scale images each in its own way; only answers are averaged"):
            hyoid.load(run.parent).probabilities(entry.images[0])


def test_what_images_and_fields_cannot_have_is_refused_in_a_sentence(run, kind, data, tmp_path):
    image, task = RunFolder.open(run).dataset.cases[0].images[0], f"task={KINDS[kind][0]}"
    wanted, told = {"picture": ("png", "images with fractions of 2")}.get(kind, ("seg.nrrd", "of 3"))
    with pytest.raises(ConfigError, match=f"prediction.format = '{wanted}': .*{told} axes fit into"):
        hyoid.predict(run, [image], into=tmp_path / "answers", format=wanted)
    with pytest.raises(ConfigError, match="--baseline is for labels"):
        hyoid.evaluate(run, baseline=True)
    with pytest.raises(ConfigError, match=r"metrics: dice does not compare (images|fields); choose among"):
        hyoid.evaluate(run, into=tmp_path / "report", changes=["evaluation.metrics=[dice]"])
    for change, refusal in {
        f"planning.before={run}": "answers images or fields; a cascade follows structures",
        "evaluation.metrics=[hd95]": "hd95 does not compare",
        "plan.preparation.target=[{scheme: zscore}]": "'zscore' measures each target",
    }.items():
        with pytest.raises(ConfigError, match=refusal):
            hyoid.plan(data, into=tmp_path / "next", steps=2, changes=[*CHANGES, task, change])
