"""Rows, reports and their files."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.errors import ConfigError, DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_case, evaluate_pairs
from hyoid.metrics import Rules, measure

LABELS = Labels.of({1: "liver", 2: "tumour"})


def volume(*boxes: tuple[int, slice], spacing=(1.0, 1.0, 2.0)) -> Image:
    array = np.zeros((1, 10, 10, 10), np.uint8)
    for value, part in boxes:
        array[0, part, 2:8, 2:8] = value
    return Image(array, Grid.plain((10, 10, 10), spacing), "labels")


BOTH = volume((1, slice(1, 5)), (2, slice(5, 8)))
NO_TUMOUR = volume((1, slice(1, 5)))
SMALL = volume((1, slice(1, 4)), (2, slice(5, 7)))


def report(*answers: tuple[Image | None, Image], groups: str = "", **options) -> Report:
    cases = [Judged(f"c{i}", lambda pair=pair: pair, groups[i : i + 1]) for i, pair in enumerate(answers)]
    return evaluate_pairs(cases, LABELS, EvaluationSettings(**options))


def test_one_row_for_each_structure():
    rows = evaluate_case("c", SMALL, BOTH, LABELS)
    assert [(row.structure, row.finding) for row in rows] == [("liver", "found"), ("tumour", "found")]
    assert rows[0].values["dice"] == pytest.approx(2 * 3 / 7, abs=1e-6)
    assert (rows[0].reference_size, rows[0].prediction_size) == (0.288, 0.216)
    assert rows[0].group == "c"


def test_finding_less_never_improves_an_average():
    better = report((SMALL, BOTH), (BOTH, BOTH))
    worse = report((NO_TUMOUR, BOTH), (BOTH, BOTH))
    for name, metric in better.metrics.items():
        if name != "precision":
            sign = 1 if metric.higher_is_better else -1
            one, other = (sign * found.summary("tumour", name).spread.mean for found in (better, worse))
            assert other < one, name
    assert worse.summary("tumour", "dice").num_missed == 1
    assert worse.summary("tumour", "hd95").spread.mean == pytest.approx(math.hypot(10, 10, 20) / 2, abs=1e-5)


def test_an_absent_structure_counts_as_perfect_unless_left_out():
    usual = report((NO_TUMOUR, NO_TUMOUR), (SMALL, BOTH))
    strict = report((NO_TUMOUR, NO_TUMOUR), (SMALL, BOTH), rules=Rules(both_empty="exclude"))
    assert usual.summary("tumour", "dice").num_counted == 2
    assert strict.summary("tumour", "dice").num_counted == 1
    assert strict.summary("tumour", "dice").spread.mean == pytest.approx(0.8)
    assert strict.summary("tumour", "dice").num_present == 1
    assert "left out" in strict.to_dict()["rules"][0]
    assert "perfect" in usual.to_dict()["rules"][0]


def test_no_prediction_counts_as_missed():
    rows = evaluate_case("c", None, BOTH, LABELS)
    assert [row.finding for row in rows] == ["missed", "missed"]
    assert [row.values["dice"] for row in rows] == [0.0, 0.0]


def test_the_mean_is_that_of_the_structures_also_when_some_cases_are_left_out():
    found = report((SMALL, BOTH), (NO_TUMOUR, NO_TUMOUR), rules=Rules(both_empty="exclude"))
    means = [found.summary(name, "dice").spread.mean for name in LABELS.names]
    assert found.summary("mean", "dice").spread.mean == pytest.approx(np.mean(means), abs=1e-6)
    assert found.summary("mean", "dice").num_counted == 2


def test_the_mean_is_over_structures_and_cases():
    found = report((SMALL, BOTH), (NO_TUMOUR, BOTH))
    expected = np.mean([[6 / 7, 0.8], [1.0, 0.0]])
    assert found.summary("mean", "dice").spread.mean == pytest.approx(expected, abs=1e-6)


def test_a_structure_that_is_nowhere_does_not_lift_the_mean():
    found = report((volume((1, slice(1, 4))), NO_TUMOUR), (None, NO_TUMOUR))
    assert found.judged == ("liver",)
    assert found.summary("tumour", "dice").spread.mean == 1.0
    assert found.summary("mean", "dice").spread == found.summary("liver", "dice").spread
    assert found.score("c1") == 0.0
    assert "tumour (never made up)" in found.unjudged


def test_a_structure_that_no_reference_holds_is_left_out_and_told(tmp_path):
    found = report((BOTH, NO_TUMOUR), (BOTH, NO_TUMOUR), (NO_TUMOUR, NO_TUMOUR))
    assert found.judged == ("liver",)
    assert found.summary("tumour", "dice").num_spurious == 2
    assert found.summary("mean", "dice").spread == found.summary("liver", "dice").spread
    assert found.unjudged == "In no reference, so not part of the mean of structures: tumour (made up in 2 cases)."
    found.write(tmp_path)
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["unjudged"] == found.unjudged
    assert report((BOTH, BOTH)).unjudged == ""


def test_cases_are_ranked_from_worst_to_best():
    found = report((BOTH, BOTH), (NO_TUMOUR, BOTH), (SMALL, BOTH))
    assert found.ranked() == ("c1", "c2", "c0")
    by_distance = report((BOTH, BOTH), (NO_TUMOUR, BOTH), (SMALL, BOTH), metrics=("hd95",))
    assert by_distance.ranked() == ("c1", "c2", "c0")


def test_a_report_reads_back_as_it_was_written(tmp_path):
    rules = Rules(both_empty="exclude")
    found = report((SMALL, BOTH), (NO_TUMOUR, NO_TUMOUR), (None, BOTH), groups="aab", rules=rules)
    found.write(tmp_path / "out")
    again = Report.read(tmp_path / "out")
    assert again.to_dict() == found.to_dict()
    assert repr(again) == repr(found)


def test_equal_reports_have_equal_bytes_whatever_the_number_of_workers(tmp_path):
    cases = [Judged(f"c{i}", lambda: (SMALL, BOTH)) for i in range(6)]
    for workers in (1, 3):
        evaluate_pairs(cases, LABELS, workers=workers).write(tmp_path / str(workers))
    for name in ("cases.csv", "report.json"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "3" / name).read_bytes()


def test_undefined_numbers_are_null_and_never_nan(tmp_path):
    report((NO_TUMOUR, NO_TUMOUR), rules=Rules(both_empty="exclude")).write(tmp_path)
    text = (tmp_path / "report.json").read_text()
    assert "NaN" not in text
    tumour = next(one for one in json.loads(text)["summary"] if one["structure"] == "tumour")
    assert tumour["mean"] is None
    assert "tumour,absent,0.000000,0.000000,,,,,,,," in (tmp_path / "cases.csv").read_text()


def test_pixels_of_unknown_size_are_counted_in_pixels():
    array = np.zeros((1, 8, 8), np.uint8)
    array[0, 2:6, 2:6] = 1
    image = Image(array, Grid.plain((8, 8)), "labels")
    found = evaluate_pairs([Judged("c", lambda: (image, image))], Labels.of({1: "cell"}))
    assert (found.length_unit, found.size_unit, found.unit("hd95")) == ("px", "px²", "px")
    assert found.rows[0].reference_size == 16


def test_pixels_of_micrometres_are_judged_and_shown_in_micrometres():
    truth, guess = np.zeros((1, 32, 32), np.uint8), np.zeros((1, 32, 32), np.uint8)
    truth[0, 4:20, 4:20] = guess[0, 4:20, 8:24] = 1
    reference, prediction = (Image(one, Grid.plain((32, 32), (0.00065, 0.00065)), "labels") for one in (truth, guess))
    found = evaluate_pairs([Judged("c", lambda: (prediction, reference))], Labels.of({1: "cell"}))
    (row,) = found.rows
    assert (found.length_unit, found.size_unit, found.unit("hd95")) == ("µm", "µm²", "µm")
    assert (found.settings.tolerance_mm, found.length(found.settings.tolerance_mm)) == (0.00065, "0.65 µm")
    assert row.values["hd95"] == pytest.approx(4 * 0.65) and row.reference_size == pytest.approx(256 * 0.4225)
    alone = measure(guess[0] > 0, truth[0] > 0, (0.00065,) * 2)["nsd"]
    assert row.values["nsd"] == pytest.approx(alone, abs=1e-6) and alone < 0.8


def test_where_one_image_does_not_know_its_pixel_size_all_are_judged_in_pixels():
    array = np.zeros((1, 8, 8), np.uint8)
    array[0, 2:6, 2:6] = 1
    moved = np.roll(array, 2, 2)
    grids = Grid.plain((8, 8)), Grid.plain((8, 8), (0.5, 0.5))
    cases = [
        Judged(f"c{n}", lambda g=g: (Image(moved, g, "labels"), Image(array, g, "labels"))) for n, g in enumerate(grids)
    ]
    found = evaluate_pairs(cases, Labels.of({1: "cell"}))
    assert [row.values["hd95"] for row in found.rows] == [2.0, 2.0] and "in pixels" in found.notes[0]


def test_grids_that_differ_are_an_error_that_names_both():
    other = volume((1, slice(1, 5)), spacing=(1.0, 1.0, 3.0))
    with pytest.raises(DataError, match=r"c: .* not on one grid: spacings 1x1x3 and 1x1x2 mm"):
        evaluate_case("c", other, BOTH, LABELS)


def test_several_channels_are_refused():
    image = Image(np.zeros((2, 4, 4), np.uint8), Grid.plain((4, 4)), "labels")
    with pytest.raises(DataError, match="2 channels"):
        evaluate_case("c", image, image, LABELS)


def test_a_volume_metric_refuses_flat_images():
    image = Image(np.ones((1, 4, 4), np.uint8), Grid.plain((4, 4)), "labels")
    with pytest.raises(ConfigError, match="volume_error_ml needs 3D images"):
        evaluate_case("c", image, image, LABELS, EvaluationSettings(metrics=("volume_error_ml",)))


def test_nothing_to_judge_is_an_error():
    with pytest.raises(DataError, match="nothing to evaluate"):
        evaluate_pairs([], LABELS)


def test_a_damaged_report_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        Report.read(tmp_path)
    report((SMALL, BOTH)).write(tmp_path)
    (tmp_path / "cases.csv").write_text("case\nc0\n")
    with pytest.raises(DataError, match="not a report that hyoid wrote"):
        Report.read(tmp_path)


def test_tolerance_reaches_the_metric_and_the_file():
    loose = report((SMALL, BOTH), tolerance_mm=5.0)
    assert loose.summary("liver", "nsd").spread.mean == 1.0
    assert loose.to_dict()["settings"]["tolerance_mm"] == 5.0


def test_metrics_of_every_kind_are_measured_by_name():
    names = ("dice", "hd95_area", "mcc", "cl_dice", "betti_error", "lesion_f1", "panoptic_quality", "voi")
    found = report((BOTH, BOTH), (SMALL, BOTH), metrics=names)
    assert all(found.rows[0].values[name] == found.metrics[name].best for name in names)
    assert found.rows[2].values["lesion_f1"] == 1.0
    assert found.rows[2].values["panoptic_quality"] == pytest.approx(3 / 4)
    assert found.unit("voi") == "bits"


def test_a_missed_structure_is_a_failure_and_not_a_gap_in_the_mean():
    everything = ("dice", "hd95", "hd95_area", "nsd_area", "boundary_iou", "mcc", "cl_dice", "object_f1", "voi")
    found = report((NO_TUMOUR, BOTH), (BOTH, BOTH), metrics=everything)
    for name in everything:
        one = found.summary("tumour", name)
        assert (one.num_counted, one.num_missed) == (2, 1)
        value = found.rows[1].values[name]
        assert found.rows[1].finding == "missed"
        assert one.spread.mean == pytest.approx((value + found.metrics[name].best) / 2, abs=1e-5)
        assert value in (
            found.metrics[name].worst,
            pytest.approx(math.hypot(10, 10, 20), abs=1e-5),
            pytest.approx(math.log2(1000), abs=1e-5),
        )


def test_object_numbers_tell_touching_objects_apart_unless_pieces_are_asked_for():
    mask = np.zeros((1, 8, 8), np.uint8)
    mask[0, 2:6, 2:6] = 1
    numbers = mask[0] * (1 + (np.arange(8) >= 4)).astype(np.uint8)
    image = Image(mask, Grid.plain((8, 8)), "labels")
    cases = [Judged("c", lambda: (image, image), numbers=lambda: (None, numbers))]
    for objects, expected in (("numbers", 0.0), ("pieces", 1.0)):
        settings = EvaluationSettings(metrics=("object_f1",), objects=objects)
        assert evaluate_pairs(cases, Labels.of({1: "cell"}), settings).rows[0].values["object_f1"] == expected


def test_options_reach_the_metric_they_name():
    halved = report((SMALL, BOTH), metrics=("f_beta",), options={"f_beta": {"beta": 1.0}})
    assert halved.rows[0].values["f_beta"] == pytest.approx(6 / 7, abs=1e-6)
    with pytest.raises(ConfigError, match="hd95 is not measured"):
        report((SMALL, BOTH), metrics=("dice",), options={"hd95": {}})
    with pytest.raises(ConfigError, match="no option 'gamma'"):
        report((SMALL, BOTH), metrics=("f_beta",), options={"f_beta": {"gamma": 1.0}})


def test_what_is_known_of_a_case_is_carried_and_read_back(tmp_path):
    facts = ({"site": "A", "dice": "clash"}, {"site": "B", "age": "61"})
    cases = [Judged(f"c{i}", lambda: (SMALL, BOTH), facts=facts[i]) for i in range(2)]
    found = evaluate_pairs(cases, LABELS)
    found.write(tmp_path)
    assert found.columns == ("site", "age")
    assert (tmp_path / "cases.csv").read_text().splitlines()[0].endswith(",volume_error,site,age")
    again = Report.read(tmp_path)
    assert again.facts == {"c0": {"site": "A", "age": ""}, "c1": {"site": "B", "age": "61"}}
    assert again.to_dict() == found.to_dict()


def test_numbered_objects_are_judged_one_by_one_and_as_a_structure():
    labels = Labels(names=("cell",), values=((1,),), ignore=-1, objects=True)
    grid = Grid.plain((1, 10))
    truth = Image(np.array([[[0, 4, 4, 4, 9, 9, 9, 0, 0, -1]]], np.int32), grid, "labels")
    joined = Image(np.array([[[0, 1, 1, 1, 1, 1, 1, 0, 0, 7]]], np.int32), grid, "labels")
    apart = Image(np.array([[[0, 1, 1, 1, 300, 300, 0, 0, 0, 0]]], np.int32), grid, "labels")
    names = ("dice", "object_f1")
    values = [
        evaluate_case("a", one, truth, labels, EvaluationSettings(metrics=names))[0].values for one in (joined, apart)
    ]
    assert [one["dice"] for one in values] == [1.0, pytest.approx(10 / 11)]
    assert [one["object_f1"] for one in values] == [0.0, 1.0]
    pieces = EvaluationSettings(metrics=names, objects="pieces")
    assert evaluate_case("a", joined, truth, labels, pieces)[0].values["object_f1"] == 1.0


def test_voxels_of_numbered_objects_are_counted_as_those_of_their_structure():
    labels = Labels(names=("cell",), values=((1,),), objects=True)
    grid = Grid.plain((1, 4))
    truth, answer = (Image(np.array([[row]], np.int32), grid, "labels") for row in ([0, 5, 5, 900], [0, 0, 2, 3]))
    report = evaluate_pairs([Judged("a", lambda: (answer, truth))], labels, EvaluationSettings(metrics=("dice",)))
    assert report.confusion.counts == ((1, 0), (1, 2))


def partly(folder):
    """Three cases, of which the second was annotated for the liver alone; a tumour is predicted there."""
    pairs = {"a": (SMALL, BOTH, None), "b": (SMALL, NO_TUMOUR, ("liver",)), "c": (BOTH, BOTH, None)}
    cases = [
        Judged(case, lambda pair=(guess, truth): pair, annotated=known) for case, (guess, truth, known) in pairs.items()
    ]
    found = evaluate_pairs(cases, LABELS, EvaluationSettings(metrics=("dice", "hd95")))
    found.write(folder)
    return found


def test_a_structure_is_judged_only_where_it_was_annotated(tmp_path):
    found = partly(tmp_path)
    row = found.rows_of_case("b")[1]
    assert (row.structure, row.finding) == ("tumour", "unknown")
    assert all(math.isnan(number) for number in (row.reference_size, row.prediction_size, *row.values.values()))
    line = next(line for line in (tmp_path / "cases.csv").read_text().splitlines() if line.startswith("b,b,tumour"))
    assert line == "b,b,tumour,unknown,,,,"
    without = report((SMALL, BOTH), (BOTH, BOTH), metrics=("dice", "hd95"))
    for metric in ("dice", "hd95"):
        mine, other = (one.summary("tumour", metric) for one in (found, without))
        assert mine.spread.mean == other.spread.mean and mine.num_cases == other.num_cases == 2
        assert (mine.num_spurious, mine.num_present) == (0, 2)
    assert found.summary("liver", "dice").num_cases == 3
    assert found.score("b") == found.rows_of_case("b")[0].values["dice"]
    assert found.agreements["tumour"].bias == without.agreements["tumour"].bias
    assert "tumour was not annotated in 1 of 3 cases, where it is not judged." in found.notes


def test_what_was_not_annotated_is_not_in_the_table_of_mistakes(tmp_path):
    found = partly(tmp_path)
    column = found.confusion.names.index("tumour")
    only = report((SMALL, BOTH), (BOTH, BOTH)).confusion
    assert [row[column] for row in found.confusion.counts] == [row[column] for row in only.counts]


def test_a_report_of_partly_annotated_cases_is_read_back(tmp_path):
    found = partly(tmp_path)
    again = Report.read(tmp_path)
    assert again.means == found.means and again.rows_of_case("b")[1].finding == "unknown"


def test_objects_are_counted_one_by_one_where_one_mask_holds_several():
    truth = np.zeros((1, 12, 30), np.uint8)
    truth[0, 2:10, 2:28:6] = truth[0, 2:10, 3:28:6] = 1
    blob = np.zeros_like(truth)
    blob[0, 2:10, 2:28] = 1
    prediction, reference = (Image(one, Grid.plain((12, 30)), "labels") for one in (blob, truth))
    found = evaluate_pairs([Judged("c", lambda: (prediction, reference))], Labels.of({1: "nucleus"}))
    assert found.settings.metrics[-1] == "object_f1" and found.rows[0].values["object_f1"] == 0.0
    single = evaluate_pairs([Judged("c", lambda: (reference, prediction))], Labels.of({1: "nucleus"}))
    assert "object_f1" not in single.metrics and "object_f1" not in single.rows[0].values
