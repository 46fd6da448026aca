"""Figures are deterministic, follow the page and survive odd data."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hyoid.core.errors import DataError
from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.reporting.data_figures import structure_sizes
from hyoid.reporting.data_sheet import DataSheet
from hyoid.reporting.figures import distribution, has_patches, learning_curves, read_curves
from hyoid.reporting.small_figures import forest


def report(*values: float, metric: str = "dice", finding: str = "found") -> Report:
    rows = tuple(Row(f"c{i}", f"c{i}", "a", finding, 1, 1, {metric: value}) for i, value in enumerate(values))
    return Report(rows, ("a",), EvaluationSettings(metrics=(metric,)))


def curves(num_structures: int = 2) -> dict[str, np.ndarray]:
    steps = np.arange(60.0)
    dice = {f"dice:s{i}": np.where(steps % 10 == 0, steps / 100, np.nan) for i in range(num_structures)}
    return {"step": steps, "loss": 1 / (1 + steps), "learning_rate": 0.1 * (1 - steps / 60), **dice}


def test_curves_are_read_with_gaps_as_nan(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("step,loss,dice:a\n0,1.5,\n10,0.5,0.25\n")
    found = read_curves(path)
    assert found["loss"].tolist() == [1.5, 0.5]
    assert np.isnan(found["dice:a"][0])


def test_damaged_curves_are_one_sentence(tmp_path):
    path = tmp_path / "curves.csv"
    path.write_text("step,loss\n0,much\n")
    with pytest.raises(DataError, match="a cell is not a number"):
        read_curves(path)
    with pytest.raises(DataError, match="no such file"):
        read_curves(tmp_path / "none.csv")


@pytest.mark.parametrize("num_structures", [1, 3, 20])
def test_each_recorded_curve_has_a_figure(num_structures):
    figures = learning_curves(curves(num_structures))
    assert list(figures) == ["loss", "dice", "learning_rate"]
    assert all(svg.startswith("<svg") and svg.endswith("</svg>") for svg in figures.values())
    assert (">s0</text>" in figures["dice"]) == (num_structures <= 8)


@pytest.mark.parametrize("num_structures", [2, 20])
def test_patches_are_a_second_line_where_they_were_recorded(num_structures):
    plain = curves(num_structures)
    both = plain | {name.replace("dice:", "patch_dice:"): np.full(60, 0.5) for name in plain if "dice:" in name}
    one, two = (learning_curves(found)["dice"] for found in (plain, both))
    assert "patches" in two and "patches" not in one
    assert two.count("<path") > one.count("<path")
    assert has_patches(both) and not has_patches(plain)


@pytest.mark.parametrize("column", ["psnr", "psnr:picture"])
def test_the_score_that_decides_is_drawn_on_its_own_scale(column):
    steps = np.arange(4.0)
    known = {"step": steps, "loss": steps, column: 20 + steps, "hd95:picture": steps}
    figures = learning_curves(known, "psnr")
    assert list(figures) == ["loss", "psnr"]
    assert ">PSNR</text>" in figures["psnr"] and ">22.0</text>" in figures["psnr"]
    assert f">{column.removeprefix('psnr:')}</text>" in figures["psnr"]


def test_curves_that_were_not_recorded_are_left_out():
    assert learning_curves({}) == {}
    assert list(learning_curves({"step": np.arange(3.0), "loss": np.ones(3)})) == ["loss"]


def test_colours_are_those_of_the_page():
    svg = learning_curves(curves())["dice"]
    assert "var(--series-0)" in svg
    assert "var(--line)" in svg
    assert "#0" not in svg.replace('href="#', "").replace("url(#", "")


def test_figures_have_the_same_bytes_every_time_and_text_as_text():
    assert learning_curves(curves()) == learning_curves(curves())
    svg = distribution(report(0.5, 0.9, 0.7), "dice")
    assert svg == distribution(report(0.5, 0.9, 0.7), "dice")
    assert ">Dice</text>" in svg


def test_every_case_is_a_dot():
    svg = distribution(report(*np.linspace(0.1, 0.9, 12)), "dice")
    assert len(re.findall(r"<use [^>]*fill: var\(--accent\)", svg)) == 12


def test_of_thousands_of_cases_only_the_odd_ones_are_dots():
    svg = distribution(report(*np.linspace(0.8, 0.9, 3000), 0.1), "dice")
    assert len(re.findall(r"<use [^>]*fill: var\(--accent\)", svg)) == 1


@pytest.mark.parametrize("metric", ["dice", "hd95", "volume_error"])
@pytest.mark.parametrize("values", [(0.0,), (0.5, 0.5), (float("nan"), 0.3), (float("nan"),)])
@pytest.mark.parametrize("finding", ["found", "missed"])
def test_odd_values_still_give_a_figure(metric, values, finding):
    assert distribution(report(*values, metric=metric, finding=finding), metric).endswith("</svg>")


def test_missed_structures_do_not_squeeze_the_scale_of_distances():
    found = report(1.0, 2.0, metric="hd95")
    missed = Row("m", "m", "a", "missed", 1, 0, {"hd95": 900.0})
    svg = distribution(Report((*found.rows, missed), ("a",), found.settings), "hd95")
    assert ">800</text>" not in svg
    assert ">2.0</text>" in svg


def test_no_interval_of_a_forest_ends_on_its_frame():
    svg = forest([("a", 0.1, -0.5, 0.3, False), ("b", 0.2, 0.1, 1.0, True)], "gap")
    *lines, frame = [tuple(map(float, ends)) for ends in re.findall(r'x1="([\d.]+)" y1="[\d.]+" x2="([\d.]+)"', svg)]
    assert min(min(ends) for ends in lines) > frame[0] and max(max(ends) for ends in lines) < frame[1]


@pytest.mark.parametrize("most", [2.4, 80.0, 3e6])
def test_sizes_are_written_without_powers(most):
    sizes = {"a": {f"c{i}": float(size) for i, size in enumerate(np.geomspace(0.9, most, 9))}}
    sheet = DataSheet({}, [(8, 8, 8)] * 9, [(1.0, 1.0, 1.0)] * 9, sizes=sizes, size_unit="ml")
    svg = structure_sizes(sheet)
    written = re.findall(r">([\d.\u2009]+)</text>", svg)
    assert len(written) >= 3 and "times" not in svg
