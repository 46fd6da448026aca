"""What a net had learned from before its own training is known from run to run, by the content of images."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import hyoid
from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.datasets.phantoms import write_phantoms
from hyoid.evaluation.report import Report
from hyoid.files.formats import read_image, write_image
from hyoid.prediction.ensemble import Ensemble, Member
from hyoid.run_folder import RunFolder, open_run
from hyoid.workflow.data_story import split_rule
from hyoid.workflow.lineage import doubts, flatters, known_in, learned, past_of, remember

from .test_ensembles import trained

SMALL = ("planning.patch=[16,16]", "num_folds=3")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Cells and a run on them; the same as TIFF under other names, with three new ones, once with an own split."""
    folder = tmp_path_factory.mktemp("lineage")
    cells = write_phantoms(folder / "cells", "cells", num_cases=6, size=32, seed=1)
    new = write_phantoms(folder / "new", "cells", num_cases=3, size=32, seed=2)
    trained(cells, folder / "first", *SMALL)
    split = RunFolder.open(folder / "first").split
    rows = ["case,split"]
    for prefix, source in (("old", cells), ("new", new)):
        for file in sorted((source / "images").iterdir()):
            name = f"{prefix}_{file.stem[-3:]}"
            image, labels = (read_image(source / kind / file.name) for kind in ("images", "labels"))
            write_image(folder / "more" / "images" / f"{name}.tif", image)
            write_image(folder / "more" / "labels" / f"{name}.tif", Image(labels.array, labels.grid, "labels"))
            seen = prefix == "old" and file.stem == split.training[0]
            rows.append(f"{name},{'val' if seen or name == 'new_000' else 'train'}")
    shutil.copytree(folder / "more", folder / "other_split")
    (folder / "other_split" / "cases.csv").write_text("\n".join(rows))
    return folder


def started(folder: Path, data: str, into: Path, start: Path, *changes: str) -> RunFolder:
    run = RunFolder.open(trained(folder / data, into, *SMALL, f"training.start_from={start}", *changes, seed=5))
    remember(run)
    return run


def test_cases_keep_their_part_whatever_seed_name_and_format(folder, tmp_path, caplog):
    caplog.set_level("INFO", logger="hyoid")
    before = RunFolder.open(folder / "first").split
    same = started(folder, "cells", tmp_path / "same", folder / "first", "fold=1").split
    assert (same.training, same.validation, same.inherited) == (before.training, before.validation, "first")
    assert "fold 1 has no effect: all cases keep their part." in caplog.text and "new ones" not in split_rule(
        RunFolder.open(tmp_path / "same")
    )
    more = started(folder, "more", tmp_path / "more", folder / "first" / "weights" / "last.safetensors")
    kept = {name.replace("cells", "old") for name in before.validation}
    assert {name for name in more.split.validation if "old" in name} == kept
    assert sum("new" in name for name in more.split.validation) == 1  # of three new ones in three folds
    assert flatters(more) == () and doubts(more) == () and "new ones were dealt" in split_rule(more)
    caplog.clear()
    started(folder, "new", tmp_path / "new", folder / "first", "fold=1")
    assert "The split of first could not be kept, since none of its cases is here." in caplog.text
    assert "no effect" not in caplog.text


def test_a_split_of_its_own_is_compared_through_a_chain_whose_first_run_is_gone(folder, tmp_path):
    shutil.copytree(folder / "first", tmp_path / "first")
    second = started(folder, "cells", tmp_path / "second", tmp_path / "first")
    shutil.rmtree(tmp_path / "first")
    third = started(folder, "other_split", tmp_path / "third", second.path)
    (text,) = flatters(third)
    assert text.startswith("1 of 2 validation cases were training cases of the run it started from")
    assert f"is {second.split.training[0]} of first" in text or f"is {second.split.training[0]} of second" in text
    assert set(learned(second).taught) < set(learned(third).taught)
    Ensemble(members=(Member(run="third"),)).write(tmp_path / "ensemble.yaml")
    assert flatters(open_run(tmp_path)) == (text,)


def test_weights_of_unknown_origin_are_called_so(folder, tmp_path):
    file = shutil.copy(folder / "first" / "weights" / "last.safetensors", tmp_path / "strange.safetensors")
    run = started(folder, "cells", tmp_path / "run", file)
    assert run.split.inherited == "" and flatters(run) == ()
    assert "strange.safetensors" in doubts(run)[0] and "not known" in doubts(run)[0]


@pytest.mark.slow
def test_the_report_is_red_and_the_comparison_says_it(folder, tmp_path, caplog):
    run = started(folder, "other_split", tmp_path / "run", folder / "first")
    shutil.copytree(run.path, tmp_path / "again")
    for path in (run.path, tmp_path / "again"):
        hyoid.predict(path)
        assert "1 of 2 validation cases" in hyoid.evaluate(path, changes=["evaluation.resamples=100"]).flatters[0]
    (run.path / "training.json").write_text(
        json.dumps(dict.fromkeys(("memory_gb", "steps", "step_seconds", "waiting", "seconds"), 1))
    )
    page = hyoid.report(run.path).read_text(encoding="utf-8")
    told = json.loads((run.path / "report.json").read_text(encoding="utf-8"))["run"]
    assert 'class="light failed"' in page and told["light"] == "red"
    assert "1 of 2 validation cases were training cases" in told["verdict"] and told["verdict"] in caplog.text
    assert Report.read(run.path).flatters
    assert sum("these numbers flatter" in note for note in hyoid.compare([run.path, tmp_path / "again"]).notes) == 2


@pytest.mark.slow
def test_a_test_case_that_an_origin_learned_from_is_told(folder, tmp_path):
    data = shutil.copytree(folder / "other_split", tmp_path / "data")
    text = (data / "cases.csv").read_text()
    first = RunFolder.open(folder / "first").split.training[0].replace("cells", "old")
    (data / "cases.csv").write_text(text.replace(f"{first},val", f"{first},test"))
    second = started(folder, "cells", tmp_path / "second", folder / "first")
    run = started(tmp_path, "data", tmp_path / "run", second.path)
    assert hyoid.evaluate(run.path, test=True).flatters[0].startswith("1 of 1 test cases are images of training")
    page = (run.path / "test" / "report.html").read_text(encoding="utf-8")
    assert "1 test cases, 1 of them seen before" in page and "never used" not in page


def test_a_channel_more_or_grey_as_colours_does_not_hide_an_image(folder, tmp_path):
    from hyoid.planning.content import content_of

    grey = np.random.default_rng(0).integers(0, 255, (1, 20, 30)).astype(np.uint8)
    blank = np.zeros_like(grey)
    known = {content_of(grey): "a"}
    for other in (np.concatenate([grey] * 3), np.concatenate([blank, 255 - grey, grey.astype(np.float32)])):
        assert known_in(known, content_of(other)) == "a"
    assert not known_in(known, content_of(255 - grey)) and not known_in({content_of(blank): "a"}, content_of(blank))
    flat = past_of(folder / "first", dims=3)
    assert flat.taught and flat.unknown == ("first, whose 2D images are not comparable with 3D ones",)
    assert past_of(folder / "first", dims=2).unknown == ()


def test_grids_of_other_formats_do_not_hide_an_image(tmp_path):
    from hyoid.planning.content import content_of, digest_of

    array = np.random.default_rng(0).integers(0, 255, (1, 8, 20, 30)).astype(np.uint8)
    turned = np.flip(array, 2).transpose(0, 3, 1, 2).astype(np.float32)
    assert content_of(array) == content_of(turned) and digest_of(array) != digest_of(turned)
    assert content_of(array) != content_of(np.roll(array, 1, 2))
    assert content_of(array[:, :1]) == content_of(array[:, 0])
    write_image(tmp_path / "a.nii.gz", Image(array, Grid.plain((8, 20, 30), (1, 1, 1))))
    assert content_of(read_image(tmp_path / "a.nii.gz").array) == content_of(array)
