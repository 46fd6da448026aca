"""Runs, tables and headers that mean harm: what each tries, and the sentence it gets (docs/concepts/trust.md)."""

from __future__ import annotations

import pytest
import yaml

import hyoid
from hyoid import ConfigError, DataError, HyoidError
from hyoid.core.files import append_to, inside
from hyoid.datasets.dataset import open_dataset
from hyoid.run_folder import RunFolder, Split

EVIL = ["../x", "a/../../x", "/etc/x", "..", "", " ", "a\0b", "..\\x", "a\\..\\..\\x", "\\x", "C:\\x", "a\nb"]


@pytest.mark.parametrize("name", EVIL)
def test_no_name_of_a_case_or_structure_leads_out_of_a_folder(name, tmp_path):
    with pytest.raises(DataError, match="cannot name a file in a folder"):
        hyoid.Dataset.from_dict({"cases": [{"id": name, "images": ["a.png"]}]} | BARE)
    with pytest.raises(ConfigError, match=r"names: .* cannot name a file in a folder"):
        hyoid.Labels.of({1: name})
    (tmp_path / "split.yaml").write_text(yaml.safe_dump({"training": ["a"], "validation": [name]}))
    with pytest.raises(ConfigError, match=r"split.yaml: validation .*cannot name a file in a folder"):
        Split.read(tmp_path / "split.yaml")


BARE = {"root": "x", "layout": "x", "labels": {"names": [], "values": []}, "channel_names": [], "encoding": {}}


@pytest.mark.parametrize("name", ["ward/scan", "a.b", "..a", "T2 / FLAIR", "=cmd", "<b>", "ünï 名", "a\\b", "a:b"])
def test_other_names_are_taken_as_they_are(name):
    assert hyoid.Labels.of({1: name}).names == (name,)


def test_a_manifest_is_refused_with_its_row(tmp_path):
    (tmp_path / "manifest.csv").write_text("case,image\na,a.png\n../b,b.png\n")
    with pytest.raises(DataError, match=r"manifest.csv, row 3: '\.\./b' cannot name a file in a folder; expected a na"):
        open_dataset(tmp_path)


def test_a_run_that_names_a_case_outside_is_refused_with_the_file(tmp_path):
    run = RunFolder(tmp_path)
    run.write_json("dataset.json", {"cases": [{"id": "../../x", "images": ["a.png"]}]} | BARE)
    with pytest.raises(DataError, match=r"dataset.json: A case: '\.\./\.\./x' cannot name a file in a folder"):
        run.dataset


def test_links_do_not_lead_writers_out_of_a_folder(tmp_path):
    folder, away = tmp_path / "run", tmp_path / "away"
    folder.mkdir(), away.mkdir()
    for name in ("predictions", "weights"):
        (folder / name).symlink_to(away)
        with pytest.raises(HyoidError, match=r"leads out of .*run, to .*away; hyoid writes inside only"):
            getattr(RunFolder(folder), name)
    (away / "precious").write_text("precious")
    for name in (".lock", "log.txt", "answers.jsonl"):
        (folder / name).symlink_to(away / "precious")
        with pytest.raises(OSError):
            append_to(folder / name)
    assert (away / "precious").read_text() == "precious"
    assert inside(folder, "a/b.png") == folder / "a" / "b.png"
