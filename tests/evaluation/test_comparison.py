"""Runs side by side: what is shared, what differs, and for whom."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from hyoid import workflow
from hyoid.core.case import Image
from hyoid.core.errors import DataError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_pairs
from hyoid.evaluation.comparison import Comparison
from hyoid.evaluation.report import rounded_size
from hyoid.metrics import Rules

LABELS = Labels.of({1: "liver", 2: "tumour"})
METRICS = ("dice", "hd95", "volume_error")


def report(shift: int, cases: int = 8, lost: tuple[int, ...] = (), **options) -> Report:
    judged = []
    for i in range(cases):
        reference = np.zeros((1, 14, 12), np.uint8)
        reference[0, 2 : 7 + i % 3, 2:8] = 1
        reference[0, 10:12, 2:8] = 2
        reference = np.roll(reference, options.get("moved", 0), 1)
        prediction = np.roll(reference, shift if i % 2 else shift // 2, 2).copy()
        if i in lost:
            prediction[prediction == 2] = 0
        grid = Grid.plain((14, 12), (1.0, 1.5))
        pair = Image(prediction, grid, "labels"), Image(reference, grid, "labels")
        facts = {"site": "AB"[i % 2], "age": str(30 + 5 * i), "name": f"n{i}"}
        judged.append(Judged(f"c{i}", lambda pair=pair: pair, f"p{i // 2}" if options.get("paired") else "", facts))
    options.pop("paired", None)
    options.pop("moved", None)
    return evaluate_pairs(judged, LABELS, EvaluationSettings(metrics=METRICS, **options))


def test_the_better_run_wins_with_an_interval_and_a_corrected_p():
    found = Comparison.of({"rough": report(2), "fine": report(0)})
    one = found.differences[0]
    assert (one.metric, one.structure, one.base, one.other, one.better) == ("dice", "mean", "rough", "fine", "fine")
    expected = found.values("fine", "dice").mean() - found.values("rough", "dice").mean()
    assert one.found.mean == pytest.approx(expected) and one.found.low > 0
    assert one.found.permutation <= one.adjusted < 0.05
    assert next(row for row in found.differences if row.metric == "hd95").better == "fine"
    assert found.ranking.places == (2, 1) and found.ranking.wins[1, 0] == 1.0


def test_equal_runs_do_not_differ():
    found = Comparison.of({"one": report(1), "same": report(1)})
    assert all(row.better == "" and row.found.mean == 0 and row.adjusted == 1 for row in found.differences)
    assert found.ranking.places == (1, 1)


def test_a_run_that_misses_a_structure_loses():
    found = Comparison.of({"whole": report(0), "blind": report(0, lost=(0, 1, 2, 3, 4, 5, 6, 7))})
    tumour = next(row for row in found.differences if (row.metric, row.structure) == ("dice", "tumour"))
    assert tumour.found.mean == -1.0 and tumour.better == "whole"
    assert found.volumes["blind", "tumour"].bias < 0


def test_only_what_is_shared_is_compared_and_said():
    found = Comparison.of({"long": report(1), "short": report(0, cases=5)})
    assert len(found.first.cases) == 5
    assert found.notes == ("3 cases of long are not in all and are left out.",)
    with pytest.raises(DataError, match="two evaluated runs"):
        Comparison.of({"one": report(0)})
    with pytest.raises(DataError, match="empty masks"):
        Comparison.of({"one": report(0), "other": report(0, rules=Rules(both_empty="exclude"))})
    with pytest.raises(DataError, match="share 1 cases"):
        Comparison.of({"one": report(0), "other": report(0, cases=1)})


def test_metrics_with_other_options_are_not_compared():
    loose = EvaluationSettings(metrics=("dice", "nsd"), tolerance_mm=3.0)
    tight = EvaluationSettings(metrics=("dice", "nsd"), tolerance_mm=1.0)
    base = report(1)
    both = {name: Report(base.rows, base.structures, one) for name, one in (("loose", loose), ("tight", tight))}
    found = Comparison.of(both)
    assert found.metrics == ("dice",) and found.notes[0].endswith("with the same tolerance and options: nsd.")
    rows = tuple(replace(row, values={"dice": 1.0, "aji": 1.0}) for row in base.rows)
    pieces, numbers = (EvaluationSettings(metrics=("dice", "aji"), objects=kind) for kind in ("pieces", "numbers"))
    both = {name: Report(rows, base.structures, one) for name, one in (("pieces", pieces), ("numbers", numbers))}
    assert Comparison.of(both).metrics == ("dice",)


@pytest.mark.parametrize("scale", [1, 2.9e-8])
def test_runs_judged_against_other_references_are_refused(tmp_path, scale):
    found = report(1)
    sized = [replace(row, reference_size=rounded_size(scale * row.reference_size)) for row in found.rows]
    replace(found, rows=tuple(sized)).write(tmp_path)
    found = Report.read(tmp_path)  # with six digits of what is small
    assert [row.reference_size for row in found.rows] == [row.reference_size for row in sized]
    other = replace(found, rows=tuple(replace(row, reference_size=1.5 * row.reference_size) for row in found.rows))
    with pytest.raises(DataError, match=r"c0: liver measures .* same references only"):
        Comparison.of({"one": found, "other": other})


def test_references_of_equal_sizes_are_told_apart(tmp_path):
    one, moved = report(1), report(1, moved=1)
    assert [row.reference_size for row in one.rows] == [row.reference_size for row in moved.rows]
    one.write(tmp_path / "one")
    with pytest.raises(DataError, match=r"c0: liver is as large in the reference of moved as in that of one, but"):
        Comparison.of({"one": Report.read(tmp_path / "one"), "moved": moved})


def test_reports_from_before_references_were_marked_are_compared(tmp_path):
    report(1).write(tmp_path)
    facts = json.loads((tmp_path / "report.json").read_text())
    del facts["references"]
    (tmp_path / "report.json").write_text(json.dumps(facts))
    assert len(Comparison.of({"old": Report.read(tmp_path), "new": report(2)}).first.cases) == 8


def test_gaps_between_sites_and_bands_of_age():
    found = report(2)
    assert found.comparable == ("site", "age")
    a, b = found.subgroups_of("site")
    assert (a.kind, a.num_cases, b.kind, b.num_cases) == ("A", 4, "B", 4)
    assert a.gap == pytest.approx(a.mean - b.mean) == pytest.approx(-b.gap)
    assert 0 < a.gap_low <= a.gap <= a.gap_high
    bands = found.subgroups_of("age")
    assert [one.kind for one in bands] == ["30 to 40", "45 to 55", "60 to 65"]
    assert sum(one.num_cases for one in bands) == 8
    widths = replace(
        found, facts={case: {"width": "256" if i < 6 else str(300 + i)} for i, case in enumerate(found.cases)}
    )
    assert [one.kind for one in widths.subgroups_of("width")] == ["256", "306", "307"]
    with pytest.raises(DataError, match=r"no column 'scanner'; known: site, age, name"):
        found.subgroups_of("scanner")


def test_the_verb_writes_a_page_that_needs_nothing_else_and_a_file_without_nan(tmp_path):
    for name, shift in (("rough", 2), ("fine", 0), ("middle", 1)):
        report(shift, paired=True).write(tmp_path / name)
    found = workflow.compare([tmp_path / "rough", tmp_path / "fine", tmp_path / "middle"], into=tmp_path / "out")
    page = (tmp_path / "out" / "comparison.html").read_text(encoding="utf-8")
    assert "from 4 groups" in page and "Subgroups" in page
    assert not re.search(r"(?:src|href)=\"(?!#|data:)", page) and "<script" not in page
    facts = json.loads((tmp_path / "out" / "comparison.json").read_text(encoding="utf-8"), parse_constant=pytest.fail)
    assert facts["runs"] == ["rough", "fine", "middle"]
    assert len(facts["differences"]) == len(found.differences) == 3 * 3 * 3
    assert facts["ranking"]["places"] == [3, 1, 2]


def test_runs_of_one_name_are_told_apart_by_their_folders(tmp_path):
    for name in ("x/run", "y/run"):
        report(0).write(tmp_path / name)
    assert list(workflow.compare([tmp_path / "x/run", tmp_path / "y/run"]).reports) == ["x/run", "y/run"]


def test_seeds_are_pooled_by_case_and_an_interval_is_by_patient():
    pools = {
        "fine (2 seeds)": {"s0": report(0, paired=True), "s1": report(2, paired=True)},
        "rough": {"rough": report(4, paired=True)},
    }
    found = Comparison.of_pools(pools)
    s0, s1 = (Comparison.of({"a": one, "b": one}).values("a", "dice") for one in pools["fine (2 seeds)"].values())
    np.testing.assert_allclose(found.values("fine (2 seeds)", "dice"), (s0 + s1) / 2, atol=1e-6)
    assert found.differences[0].found.num_groups == 4 and len(found.first.cases) == 8
    (spread,) = (one for one in found.seeds["fine (2 seeds)"] if one.metric == "dice")
    assert spread.means == pytest.approx({"s0": s0.mean(), "s1": s1.mean()})
    assert spread.sd == pytest.approx(np.std([s0.mean(), s1.mean()], ddof=1))
    assert found.to_json()["seeds"].keys() == {"fine (2 seeds)"}


def test_seeds_that_were_judged_on_different_cases_or_references_are_not_pooled():
    rough = {"rough": report(4)}
    with pytest.raises(
        DataError, match=r"s0 and s1 differ by their seed alone, but were judged on different cases .*c7"
    ):
        Comparison.of_pools({"fine": {"s0": report(0), "s1": report(0, cases=7)}, "rough": rough})
    with pytest.raises(DataError, match="other voxels"):
        Comparison.of_pools({"fine": {"s0": report(0), "s1": report(0, moved=1)}, "rough": rough})
