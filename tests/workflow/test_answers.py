"""Where answers go, and what is told of them."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import nibabel
import numpy as np
import pytest

from hyoid.core.errors import ConfigError
from hyoid.io.cases import find_images
from hyoid.workflow.answers import _check_names_of_probabilities, predict_entries

from .test_large import predictor_for

DATASET = SimpleNamespace(channel_names=("c",), seen={})


def volumes(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        nibabel.save(nibabel.Nifti1Image(np.zeros((8, 8, 8), np.float32), np.eye(4)), folder / f"{name}.nii.gz")
    return folder


def answered(source: Path, into: Path, **options) -> list[Path]:
    return predict_entries(predictor_for((8, 8, 8)), DATASET, find_images(source, 1), into, **options)


def test_what_made_answers_is_noted_beside_them(tmp_path):
    source = volumes(tmp_path / "in", "a", "ward/b")
    for run in ("first", "second"):
        answered(source, tmp_path / "out", origin={"run": run})
    told = [json.loads(line) for line in (tmp_path / "out" / "answers.jsonl").read_text().splitlines()]
    assert [line["run"] for line in told] == ["first", "second"]
    assert told[0]["answers"] == ["a.nii.gz", "ward/b.nii.gz"]


def test_earlier_answers_are_not_taken_for_images(tmp_path):
    source = volumes(tmp_path / "in", "a")
    for place in ("one", "two"):
        assert len(answered(source, source / place, origin={})) == 1


def test_answers_do_not_lie_among_images(tmp_path):
    source = volumes(tmp_path / "in", "a", "ward/b")
    for into in (source, source / "ward"):
        with pytest.raises(ConfigError, match="would lie among images"):
            answered(source, into)
    assert not (source / "answers.jsonl").exists()


def test_probabilities_never_take_the_name_of_an_answer_or_of_one_another(tmp_path):
    with pytest.raises(ConfigError, match="a_liver would name the probabilities of liver of a and the answer to a_l"):
        answered(volumes(tmp_path / "in", "a", "a_liver"), tmp_path / "out", probabilities=True)
    assert not (tmp_path / "out").exists()
    predictor = SimpleNamespace(task=SimpleNamespace(structures=("tail", "b_tail")))
    with pytest.raises(ConfigError, match=r"a_b_tail would name .* of tail of a_b and .* of b_tail of a"):
        _check_names_of_probabilities(predictor, ["a", "a_b"])
