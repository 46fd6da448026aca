"""The sections of numbers say what report.json says, and their titles are findings."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_pairs
from hyoid.evaluation.belief import Measuring, write_beliefs
from hyoid.evaluation.certainty import Certainty
from hyoid.evaluation.confusion import Confusion
from hyoid.reporting import write_page
from hyoid.reporting.facts import RunFacts
from hyoid.reporting.sections.findings import certainty_found
from hyoid.reporting.small_figures import confusion_matrix, most_confused
from hyoid.reporting.wording import number

LABELS = Labels.of({1: "spot", 2: "organ"})
SHAPE = (16, 18)


@pytest.fixture(scope="module")
def report(tmp_path_factory) -> Report:
    """Twelve cases of six patients at two sites; at site B half of the organ is called a spot."""
    folder = tmp_path_factory.mktemp("beliefs")
    grid = Grid.plain(SHAPE, (1.0, 1.0))
    rng = np.random.default_rng(0)
    cases = []
    for index in range(12):
        truth = np.zeros(SHAPE, np.uint8)
        truth[1:3, 1:3] = truth[1:4, 8 : 10 + index % 3] = 1
        truth[8:14, 3:9] = 2
        guess = truth.copy()
        guess[13, 3:9] = 0
        site = "AB"[index >= 6]
        if site == "B":
            guess[8:10, 3:9] = 1
        maps = np.stack([np.where(guess == value, 0.8, 0.1) for value in range(3)]).astype(np.float32)
        maps += rng.uniform(-0.05, 0.05, maps.shape).astype(np.float32)
        measuring = Measuring(Image(truth[None], grid, "labels"), LABELS, ["spot"])
        measuring.add(maps, grid, (slice(None), slice(None)))
        patient = f"p{index // 2}"
        write_beliefs(folder, f"c{index:02}", measuring.finished(f"c{index:02}", patient))
        pair = Image(guess[None], grid, "labels"), Image(truth[None], grid, "labels")
        cases.append(Judged(f"c{index:02}", lambda pair=pair: pair, patient, {"site": site, "patient": patient}))
    found = evaluate_pairs(cases, LABELS, EvaluationSettings(metrics=("dice",), resamples=200))
    sure = Certainty.read(folder, found.cases, found.structures)
    assert sure is not None
    return replace(found, certainty=sure.to_dict(10.0, 0.95, 200, 0))


@pytest.fixture(scope="module")
def folder(report, tmp_path_factory):
    folder = tmp_path_factory.mktemp("page")
    report.write(folder)
    write_page(folder, Report.read(folder))
    return folder


def told(page: str, kind: str) -> dict[str, str]:
    return dict(re.findall(rf'data-{kind}="([^"]+)">([^<]*)<', page))


def test_every_number_on_the_page_is_that_of_the_file(folder):
    page, facts = (folder / "report.html").read_text(), json.loads((folder / "report.json").read_text())
    sure = {
        f"{row['structure']}/{metric}": number(values["mean"])
        for row in facts["certainty"]["structures"]
        for metric, values in row["metrics"].items()
    }
    assert told(page, "certainty") == sure and len(sure) == 12
    sizes = {
        f"{row['structure']}/{key}": number(row[key])
        for row in facts["agreement"]
        for key in ("bias", "low", "high", "concordance")
    }
    sizes |= {
        f"{row['structure']}/relative_bias": f"{number(100 * row['relative_bias'], 1)} %" for row in facts["agreement"]
    }
    assert told(page, "agreement") == sizes and len(sizes) == 10
    assert told(page, "detectable") == {"dice": number(facts["detectable"])}
    kinds = {f"{name}/{row['kind']}": number(row["mean"]) for name, rows in facts["subgroups"].items() for row in rows}
    assert told(page, "subgroup") == kinds and set(kinds) == {"site/A", "site/B"}


def test_titles_are_findings(folder):
    page = (folder / "report.html").read_text()
    assert "16.7 % of the voxels of organ are missed; 16.7 % of organ are called spot" in page
    assert "organ: 12.0 mm² too small on average" in page
    assert "site: too few cases of each kind to tell" in page
    assert "spot: 100 % found at one false piece per case" in page


def test_few_patients_are_flagged(folder):
    assert "(n = 3, few)" in (folder / "report.html").read_text()


def test_every_figure_has_words_for_those_who_do_not_see_it(folder):
    figures = re.findall(r"<figure[^>]*>", (folder / "report.html").read_text())
    assert len(figures) >= 8
    assert all(re.search(r'aria-label="[^"]{10,}"', figure) for figure in figures)


def test_a_finding_of_certainty_names_the_direction():
    bins = [[0, 0, 0]] * 14
    row = {"structure": "a", "reliability": [*bins, [100, 97, 90]]}
    assert certainty_found(row) == "a: too sure; where marked, 97 % claimed and 90 % right"
    assert "not sure enough" in certainty_found({"structure": "a", "reliability": [*bins, [100, 95, 99]]})
    assert "rightly sure" in certainty_found({"structure": "a", "reliability": [*bins, [100, 97, 97]]})
    assert "never" in certainty_found({"structure": "a", "reliability": [*bins, [0, 0, 0]]})


def test_probabilities_before_a_correction_are_told_to_be_so(report, tmp_path):
    words = "the probabilities of the net, before dense_crf corrected them"
    assert write_page(tmp_path, report, RunFacts(refined="dense_crf")).read_text().count(words) == 2
    assert words not in write_page(tmp_path, report).read_text()


def test_only_the_most_confused_of_many_structures_are_drawn():
    counts = np.diag(np.full(41, 100))
    counts[7, 30] = counts[12, 0] = 50
    many = Confusion(("background", *(f"s{i}" for i in range(1, 41))), tuple(map(tuple, counts.tolist())))
    shown = most_confused(many)
    assert len(shown) == 16 and {0, 7, 12, 30} <= set(shown)
    svg = confusion_matrix(many)
    assert ">s7<" in svg and ">33.3<" in svg and ">s40<" not in svg


def test_without_probabilities_or_kinds_the_sections_are_left_out(report, tmp_path):
    bare = replace(report, certainty=None, facts={}, confusion=None)
    page = write_page(tmp_path, bare).read_text()
    assert not re.search('id="(certainty|detection|subgroups|confusion)"', page)
    assert 'id="agreement"' in page
