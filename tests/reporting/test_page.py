"""The page is one file that says what report.json says."""

from __future__ import annotations

import base64
import json
import re
from html.parser import HTMLParser
from io import BytesIO

import numpy as np
import pytest
from PIL import Image as Pillow

from hyoid.core.case import Image
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.evaluation import EvaluationSettings, Judged, Report, evaluate_pairs
from hyoid.metrics import Rules
from hyoid.reporting import DataSheet, Overlay, RunFacts, Stage, write_page
from hyoid.reporting.wording import number

LABELS = Labels.of({1: "left_lung", 2: "right_lung"})
VOID = {"meta", "input", "img", "br", "link", "hr", "path", "use", "rect"}


class Page(HTMLParser):
    """Tags, attributes and cells of a page; complains about tags that are not closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.ids: list[str] = []
        self.numbers: dict[tuple[str, str], str] = {}
        self.open: list[str] = []
        self.cell: tuple[str, str] | None = None
        self.text = ""
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag, attrs):
        facts = dict(attrs)
        self.addresses += [facts[key] for key in ("src", "href", "action", "srcset") if facts.get(key)]
        self.ids += [facts["id"]] if "id" in facts else []
        if tag not in VOID:
            self.open.append(tag)
        if "data-structure" in facts:
            self.cell = (facts["data-structure"], facts["data-metric"])

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text += data
        if self.cell:
            self.numbers[self.cell] = data
            self.cell = None


def example(**options) -> Report:
    reference = np.zeros((1, 12, 10, 8), np.uint8)
    reference[:, 2:6, 3:7, 2:6] = 1
    reference[:, 8:11, 3:7, 2:6] = 2
    grid = Grid.plain((12, 10, 8), (1.0, 1.0, 2.5))
    answers = [np.roll(reference, shift, 2) for shift in (0, 1, 2)]
    answers.append(np.where(reference == 2, 0, reference))
    images = [(Image(answer, grid, "labels"), Image(reference, grid, "labels")) for answer in answers]
    cases = [Judged(f"case_{i}", lambda pair=pair: pair, f"p{i // 2}") for i, pair in enumerate(images)]
    return evaluate_pairs(cases, LABELS, EvaluationSettings(**options))


def overlay(case: str) -> Overlay:
    rng = np.random.default_rng(0)
    reference = np.zeros((12, 10, 8), np.uint8)
    reference[2:6, 3:7, 2:6] = 1
    image = rng.normal(size=(1, 12, 10, 8)).astype(np.float32) + reference
    return Overlay(case, image, reference, np.roll(reference, 1, 0), Grid.plain((12, 10, 8), (1.0, 1.0, 2.5)))


@pytest.fixture(scope="module")
def full(tmp_path_factory) -> RunFacts:
    curves = tmp_path_factory.mktemp("run") / "curves.csv"
    rows = [
        f"{i / 50},{i},{i * 0.5},{1 / (1 + i)},{0.01 * (1 - i / 50)},{0.5 if i % 10 == 0 else ''}" for i in range(50)
    ]
    curves.write_text("progress,step,seconds,loss,learning_rate,dice:left_lung\n" + "\n".join(rows) + "\n")
    split = {"training": ["t0", "t1"], "validation": [f"case_{i}" for i in range(4)]}
    return RunFacts(
        title="Lungs & <friends>",
        what="Validation cases",
        data="lungs",
        date="1 May 2026",
        seconds=754.0,
        command="hyoid run lungs --into run",
        curves=curves,
        data_sheet=DataSheet({"Layout": "folders"}, [(12, 10, 8)] * 4, [(1, 1, 2.5), (1, 1, 3)], split, {"t0": "x"}),
        plan={"Patch": "16 x 16 x 8"},
        candidates=[{"net": "small", "s/step": 0.25}, {"net": "large", "s/step": 0.75}],
        chosen=1,
        stages=[Stage("train", 601.0, 600.0)],
        costs={"Memory": ("2 GB", "1.8 GB")},
        environment={"Device": "CPU"},
        settings="training:\n  steps: 200\n",
        overlay=overlay,
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory, full) -> str:
    """The text of a page with every part."""
    return written(tmp_path_factory.mktemp("page"), example(), full)


def written(folder, report: Report, facts: RunFacts | None = None) -> str:
    return write_page(folder, report, facts).read_text(encoding="utf-8")


def test_nothing_outside_the_file_is_asked_for(whole):
    page = Page(whole)
    assert page.addresses
    assert all(address.startswith(("data:", "#")) for address in page.addresses)
    assert not re.search(r"https?:|@import|url\((?!#)", whole)


def test_links_inside_the_page_lead_somewhere(whole):
    page = Page(whole)
    targets = [address[1:] for address in page.addresses if address.startswith("#")]
    assert set(targets) <= set(page.ids)
    assert len(page.ids) == len(set(page.ids))


def test_numbers_are_those_of_report_json(tmp_path, whole):
    report = example()
    report.write(tmp_path)
    page = Page(whole)
    told = json.loads((tmp_path / "report.json").read_text())
    summary = told["summary"] + told["mean"]
    assert len(page.numbers) == len(summary) == 3 * len(report.settings.metrics)
    for one in summary:
        assert page.numbers[one["structure"], one["metric"]] == number(one["mean"])


def test_every_case_is_in_the_table_worst_first(tmp_path):
    text = written(tmp_path, example())
    table = text[text.index('id="case-table"') :]
    places = [table.index(f">{case}<") for case in example().ranked()]
    assert places == sorted(places)
    assert "missed: right_lung" in table


def test_the_rules_are_told(tmp_path):
    rules = Rules(both_empty="exclude")
    text = Page(written(tmp_path, example(rules=rules, tolerance_mm=2.5))).text
    for sentence in rules.sentences():
        assert sentence in text
    assert "NSD tolerates 2.5 mm" in text


def test_a_structure_that_is_nowhere_is_named(tmp_path):
    image = Image(np.ones((1, 6, 6), np.uint8), Grid.plain((6, 6)), "labels")
    report = evaluate_pairs([Judged("only", lambda: (image, image))], LABELS)
    text = Page(written(tmp_path, report)).text
    assert "not part of the mean of structures: right_lung (never made up)." in text
    assert "mean Dice of 1 structure\n" in text


def test_the_same_facts_give_the_same_bytes(tmp_path, full, whole):
    assert written(tmp_path, example(), full) == whole


def test_what_people_wrote_is_escaped(whole):
    assert "<friends>" not in whole
    assert "Lungs &amp; &lt;friends&gt;" in whole


def test_parts_that_are_not_known_are_not_shown(tmp_path, whole):
    alone, everything = (set(Page(text).ids) for text in (written(tmp_path, example()), whole))
    assert {"result", "summary", "distributions", "cases", "rules"} <= alone
    assert {"training", "gallery", "data", "plan", "cost", "environment"} <= everything - alone


def test_pictures_are_pictures_and_every_case_has_its_view(tmp_path):
    page = written(tmp_path, example(), RunFacts(overlay=overlay))
    pictures = [address for address in Page(page).addresses if address.startswith("data:image/webp;base64,")]
    assert len(pictures) == 4 * 3 * 2
    with Pillow.open(BytesIO(base64.b64decode(pictures[0].split(",")[1]))) as picture:
        assert max(picture.size) > 200
    views = dict(re.findall(r'class="view" data-case="(\w+)">(.*?)</script>', page))
    assert sorted(views) == [f"case_{i}" for i in range(4)]
    assert json.loads(views["case_0"])["shape"] == [8, 10, 11]


def test_a_missed_structure_is_a_failure_and_not_a_gap(tmp_path):
    report = example()
    page = Page(written(tmp_path, report)).text
    assert "Structures were missed in 1 of 4 cases; see them first." in page
    assert "right_lung missed in case_3" in page
    [row] = [row for row in report.rows_of("right_lung") if row.finding == "missed"]
    assert row.values["dice"] == 0
    values = [one.values["dice"] for one in report.rows_of("right_lung")]
    assert report.summary("right_lung", "dice").spread.mean == pytest.approx(sum(values) / 4, abs=1e-5)


def test_a_leak_turns_the_light_red(tmp_path):
    sheet = DataSheet(split={"training": ["a1"], "validation": ["a2"]}, groups={"a1": "a", "a2": "a"})
    page = written(tmp_path, example(), RunFacts(data_sheet=sheet))
    assert 'class="light failed"' in page and "these numbers flatter" in page


def test_a_leak_is_shown(tmp_path):
    sheet = DataSheet(split={"training": ["a1", "b1"], "validation": ["a2"]}, groups={"a1": "a", "a2": "a"})
    assert sheet.leaks() == ("a",)
    assert (
        "1 group has cases in more than one part: a."
        in Page(written(tmp_path, example(), RunFacts(data_sheet=sheet))).text
    )


def test_one_case_of_one_structure_makes_a_page(tmp_path):
    image = Image(np.ones((1, 6, 6), np.uint8), Grid.plain((6, 6)), "labels")
    report = evaluate_pairs([Judged("only", lambda: (image, image))], Labels.of({1: "cell"}))
    text = Page(written(tmp_path, report)).text
    assert "mean Dice of 1 structure" in text
    assert "– to –" not in text and "– – –" not in text and "1 cases" not in text
    assert "One independent case gives no interval." in text


def test_groups_that_nobody_knows_are_not_said_to_be_apart(tmp_path):
    split = {"training": ["t0"], "validation": ["case_0"]}
    known, unknown = (
        Page(written(tmp_path, example(), RunFacts(data_sheet=DataSheet(split=split, groups_known=known)))).text
        for known in (True, False)
    )
    assert "No group has cases in more than one part." in known
    assert "No patients are known; cases are taken as independent." in unknown
    assert "No group has cases" not in unknown


def test_nothing_found_and_everything_left_out_makes_a_page(tmp_path):
    image = Image(np.zeros((1, 6, 6), np.uint8), Grid.plain((6, 6)), "labels")
    settings = EvaluationSettings(rules=Rules(both_empty="exclude"))
    report = evaluate_pairs([Judged("only", lambda: (image, image))], Labels.of({1: "cell"}), settings)
    page = Page(written(tmp_path, report))
    assert page.numbers["cell", "dice"] == "–"
    assert "nan" not in page.text.lower()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.8765, "0.876"),
        (12.345, "12.3"),
        (1234.5, "1\u2009234"),
        (-0.5, "\u22120.500"),
        (None, "–"),
        (float("nan"), "–"),
    ],
)
def test_numbers_for_readers(value, text):
    assert number(value) == text
