"""The model card tells what a run knows, says what it does not, and is never written over an author's words."""

from __future__ import annotations

from dataclasses import replace

from hyoid.core.energy import Energy
from hyoid.evaluation import EvaluationSettings, Report, Row
from hyoid.reporting import DataSheet, RunFacts, Stage, write_card, write_page
from hyoid.reporting.card import model_card
from hyoid.reporting.claim import items, limitations

FACTS = RunFacts(
    title="Spleens",
    what="Validation cases of fold 0, never learned from",
    data="spleen",
    data_sheet=DataSheet({"cases": "6"}, split={"training": ["t"], "validation": ["c0", "c1"]}, digests={"t": "1"}),
    stages=[Stage("plan", 2.0, energy=Energy(3.6, False)), Stage("train", 60.0, energy=Energy(3600.0, True, 7200.0))],
    seconds=62.0,
    environment={"hyoid": "1", "torch": "2"},
    settings="seed: 0",
    model={"net": "unet in 3D", "first weights": "drawn at random with seed 0"},
    split_rule="Cases were dealt into 5 folds",
)


def report(*findings: str) -> Report:
    rows = tuple(
        Row(f"c{i}", f"c{i}", "spleen", finding, 1, 1, {"dice": 0.0 if finding == "missed" else 0.9})
        for i, finding in enumerate(findings)
    )
    return Report(rows, ("spleen",), EvaluationSettings(metrics=("dice",)))


def test_all_forty_four_items_are_there_and_states_follow_from_what_is_known():
    found = items(report("found", "found"), FACTS)
    assert len(found) == 44 and len({(item.section, item.asks) for item in found}) == 44
    states = {item.asks: item.state for item in found}
    assert states["First weights"] == "answered"
    assert states["Where the data come from"] == "partly"
    assert states["Aims and hypotheses"] == "author"
    known = [item.state for item in found].count("answered")
    bare = items(report("found", "found"), RunFacts())
    assert [item.state for item in bare].count("answered") < known


def test_what_the_numbers_forbid_to_conclude_is_a_limitation():
    found = " ".join(limitations(report("found", "missed"), FACTS))
    assert "Only 2 independent groups" in found and "1 structure missed altogether in 2 cases" in found
    sheet = replace(FACTS.data_sheet, groups={"t": "p", "c0": "p"}, groups_known=False)
    leaking = " ".join(limitations(report("found"), replace(FACTS, data_sheet=sheet)))
    assert "the figures flatter" in leaking and "No patients are known" in leaking


def test_the_card_tells_performance_and_what_is_to_be_added():
    card = model_card(report("found", "missed"), FACTS)
    assert card.startswith("# Spleens\n")
    assert "| spleen | 0.450 (" in card
    assert card.count("*To be added by the author.*") == 3
    assert "Of 44 items this report answers" in card


def test_a_card_of_two_folders_has_no_net(tmp_path):
    card = write_card(tmp_path, report("found"), RunFacts(title="a")).read_text()
    assert "## Model" not in card and "## Performance" in card


def test_an_edited_card_stays_and_an_untouched_one_is_renewed(tmp_path):
    path = write_card(tmp_path, report("found"), FACTS)
    write_card(tmp_path, report("found", "missed"), FACTS)
    assert "1 structure missed" in path.read_text()
    path.write_text(path.read_text().replace("*To be added by the author.*", "For planning of operations.", 1))
    write_card(tmp_path, report("found"), FACTS)
    assert "For planning of operations." in path.read_text() and "1 structure missed" in path.read_text()


def test_the_page_shows_every_item_with_its_state(tmp_path):
    page = write_page(tmp_path, report("found"), FACTS).read_text()
    counts = [page.count(f'<tr class="{state}">') for state in ("answered", "partly", "author")]
    assert sum(counts) == 44 and min(counts) > 5


def test_energy_is_told_with_its_origin(tmp_path):
    page = write_page(tmp_path, report("found"), FACTS).read_text()
    assert "<td>below 0.01 Wh</td>" in page and page.count("<td>3 Wh</td>") == 2
    assert "estimated as 10 W for each busy core" in page and "GPUs as their driver counts" in page
    counted = replace(FACTS, stages=FACTS.stages[1:])
    assert "counted by the processor" in write_page(tmp_path, report("found"), counted).read_text()
    assert FACTS.to_dict()["energy"] == {"processor": 3603.6, "counted": False, "accelerator": 7200.0, "total": 10803.6}


def test_a_missed_structure_is_a_failure_on_the_page(tmp_path):
    page = write_page(tmp_path, report("found", "missed"), FACTS).read_text()
    assert "1 structure missed" in page and ">0.450<" in page
