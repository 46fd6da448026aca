"""report.json fulfils its published schema."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from jsonschema import Draft202012Validator

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_pairs
from hyoid.evaluation.record import FORMAT, plain, schema


def report(labels: Labels, num_cases: int = 3) -> Report:
    rng = np.random.default_rng(0)
    grid = Grid.plain((9, 8), (1.0, 1.0))

    def pair() -> tuple[Image, Image]:
        masks = rng.integers(0, 3, (2, 1, 9, 8)).astype(np.uint8)
        return Image(masks[0], grid, "labels"), Image(masks[1], grid, "labels")

    cases = [Judged(f"c{i}", pair, facts={"site": "AB"[i % 2]}) for i in range(num_cases)]
    return evaluate_pairs(cases, labels, EvaluationSettings(metrics=("dice", "hd95"), resamples=100))


def complaints(found: Report, folder) -> list[str]:
    found.write(folder)
    values = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    return [f"{list(one.absolute_path)}: {one.message}" for one in Draft202012Validator(schema()).iter_errors(values)]


def test_the_schema_is_one_and_names_this_format():
    Draft202012Validator.check_schema(schema())
    assert schema()["properties"]["format"]["const"] == FORMAT


@pytest.mark.parametrize("num_cases", [1, 3])
def test_classes_regions_and_single_cases_fulfil_it(num_cases, tmp_path):
    assert complaints(report(Labels.of({1: "a", 2: "b"}), num_cases), tmp_path) == []
    regions = Labels(names=("whole", "core"), values=((1, 2), (2,)))
    assert complaints(report(regions, num_cases), tmp_path) == []


def test_what_it_does_not_know_is_refused(tmp_path):
    odd = replace(report(Labels.of({1: "a"})), certainty={"margin_mm": 10.0, "structures": [], "guess": []})
    assert any("'guess' was unexpected" in text for text in complaints(odd, tmp_path))


def test_numbers_are_plain():
    assert plain({"a": float("nan"), "b": (1.23456789, None), "c": None, 4: -0.0}) == {
        "a": None,
        "b": [1.234568, None],
        "4": 0.0,
    }


def test_what_could_be_told_apart_follows_from_the_spread_of_patients():
    found = report(Labels.of({1: "a", 2: "b"}), 8)
    scores = np.array([found.score(case) for case in found.cases])
    # t(0.975, 7) = 2.3646 and t(0.8, 7) = 0.8960.
    assert found.detectable == pytest.approx((2.3646 + 0.8960) * scores.std(ddof=1) / np.sqrt(8), rel=1e-3)
    assert np.isnan(report(Labels.of({1: "a"}), 1).detectable)
