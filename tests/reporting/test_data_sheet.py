"""What is told of a data set: leaks, copies, sizes, and what differs."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.reporting import DataSheet, RunFacts
from hyoid.reporting.data_sheet import Intensities
from hyoid.reporting.page import write_page
from hyoid.reporting.sections.data import alike, data
from hyoid.reporting.wording import shortly

SPLIT = {"training": ["a", "b", "c"], "validation": ["d", "e"]}
REPORT = Report((Row("d", "d", "x", "found", 1, 1, {"dice": 0.5}),), ("x",), EvaluationSettings(metrics=("dice",)))


def sheet(**changes) -> DataSheet:
    facts = {
        "split": SPLIT,
        "shapes": [(10, 20), (12, 20), (30, 20)],
        "spacings_mm": [(1.0, 1.0)] * 3,
        "digests": {case: case for case in "abcde"},
        "sizes": {"x": {"a": 2.0, "b": 4.0, "c": 0.0, "d": 3.0, "e": 3.2}},
        "intensities": [Intensities("ct", -120.0, 2400.0, [0.25] * 4)],
        "choices": [("Spacing", "1", "2")],
    }
    return DataSheet(**(facts | changes))


def shown(folder, found: DataSheet) -> str:
    return write_page(folder, REPORT, RunFacts(data_sheet=found)).read_text()


def test_a_patient_in_two_parts_is_a_leak(tmp_path):
    found = sheet(groups={"a": "p1", "d": "p1", "b": "p2", "c": "p2"})
    assert found.leaks() == ("p1",)
    assert found.to_dict()["groups_in_several_parts"] == ["p1"]
    assert "1 group has cases in more than one part: p1" in shown(tmp_path, found)


def test_the_same_image_under_two_names_is_told_and_across_parts_it_is_a_leak(tmp_path):
    inside = sheet(digests={"a": "1", "b": "1", "c": "2", "d": "3", "e": ""})
    assert inside.copies() == (("a", "b"),) and inside.leaking_copies() == ()
    page = shown(tmp_path, inside)
    assert "The same image under several names: a = b" in page and "No image lies in two parts" in page
    across = sheet(digests={"a": "1", "e": "1", "b": "2", "c": "2"})
    assert across.leaking_copies() == (("a", "e"),)
    page = shown(tmp_path, across)
    assert "the same image lies in more than one part under several names: a = e" in page
    assert "Training and validation share images: these numbers flatter." in page
    assert "The same image under several names: a = e, b = c" in page


def test_images_without_digest_are_no_copies(tmp_path):
    assert sheet(digests={"a": "", "d": ""}).copies() == ()
    assert "two parts" not in shown(tmp_path, sheet(digests={}))


def test_structures_are_summed_by_part_where_they_are_present():
    rows = sheet().to_dict()["structures"]
    assert [(row["part"], row["present"], row["median"]) for row in rows] == [
        ("training", 2, 3.0),
        ("validation", 2, 3.1),
    ]
    absent = sheet(sizes={"x": {"a": 0.0}}).to_dict()["structures"]
    assert absent[0]["present"] == 0 and absent[0]["median"] is None


def test_ranges_are_along_each_axis():
    assert sheet().to_dict()["shape"] == {"smallest": [10, 20], "median": [12, 20], "largest": [30, 20]}
    assert DataSheet().to_dict()["shape"] is None
    json.dumps(sheet().to_dict(), allow_nan=False)


def test_only_what_differs_is_drawn(tmp_path):
    titles = [title for _, title, _ in data(REPORT, RunFacts(data_sheet=sheet()))["figures"]]
    assert titles == [
        "The size differs up to 3-fold between cases",
        "Structures are about as large in validation as in training",
        "ct: 99 % lie between −120 and 2\u2009400",
    ]
    assert data(REPORT, RunFacts(data_sheet=DataSheet()))["figures"] == []
    page = shown(tmp_path, sheet())
    assert "Not in each of the 5 annotated cases: x in 4." in page
    assert len(re.findall(r'<figure role="img" aria-label="[^"]+">', page)) >= 3


@pytest.mark.parametrize(
    ("factor", "text"),
    [(2.0, "x is 2.1 times larger in validation"), (0.5, "x is 1.9 times smaller in validation")],
)
def test_validation_cases_of_another_size_are_told(factor, text):
    sizes = {"a": 2.0, "b": 4.0, "c": 3.0, "d": 3.0 * factor, "e": 3.1 * factor, "f": 3.2 * factor}
    split = {"training": list("abc"), "validation": list("def")}
    assert alike(sheet(sizes={"x": sizes}, split=split)).startswith(text)


def test_parts_of_one_or_two_cases_are_not_compared():
    assert "as large" in alike(sheet(sizes={"x": {"a": 1.0, "b": 1.0, "c": 1.0, "d": 300.0, "e": 300.0}}))


def test_of_many_rare_structures_the_rarest_are_named():
    sizes = {f"s{i:02}": {"a": 1.0, "b": float(i > 3)} for i in range(20)} | {"all": {"a": 1.0, "b": 1.0}}
    told = data(REPORT, RunFacts(data_sheet=sheet(sizes=sizes)))["seldom"]
    assert told == "Not in each of the 2 annotated cases: s00 in 1, s01 in 1, s02 in 1, s03 in 1."
    many = {f"s{i:02}": {"a": 1.0, "b": 0.0} for i in range(20)}
    assert data(REPORT, RunFacts(data_sheet=sheet(sizes=many)))["seldom"].endswith("s07 in 1 and 12 more.")


def test_sizes_without_a_split_are_those_of_all_cases(tmp_path):
    found = sheet(split={})
    assert np.sort(found.sizes_by_part("x")["all cases"]).tolist() == [2.0, 3.0, 3.2, 4.0]
    assert "<svg" in shown(tmp_path, found)


@pytest.mark.parametrize(("value", "text"), [(0.0123, "0.0123"), (4.567, "4.57"), (-268811.2, "−268\u2009811")])
def test_numbers_of_any_size_have_few_digits(value, text):
    assert shortly(value) == text
