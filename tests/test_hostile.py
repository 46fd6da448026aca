"""Runs, tables and headers that mean harm: what each tries, and the sentence it gets (docs/concepts/trust.md)."""

from __future__ import annotations

import pytest
import yaml

import hyoid
from hyoid import ConfigError, DataError, HyoidError
from hyoid.core.extensions import load_extensions
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


def test_a_run_executes_only_python_files_that_were_named_or_approved_as_they_are(tmp_path, monkeypatch, caplog):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "mine"))
    monkeypatch.setattr("hyoid.core.extensions._sources", {})
    code = "from pathlib import Path\nwith Path(__file__).with_suffix('.ran').open('a') as file:\n    file.write('x')\n"
    evil, ran = tmp_path / "évil.py", tmp_path / "évil.ran"
    evil.write_text(code)
    experiment = hyoid.Experiment(data="d", extensions=(str(evil),), task="regions", labels=hyoid.Labels.of({1: "a"}))
    (tmp_path / "run").mkdir()
    experiment.write(tmp_path / "run" / "experiment.yaml")

    def opened(runs_code: bool = True) -> hyoid.Experiment:
        return RunFolder.open(tmp_path / "run", runs_code).experiment

    refused = r"experiment.yaml: it would run the Python file .*évil.py, .* approve it with `hyoid trust .*évil.py`\.$"
    for verb in (hyoid.load, hyoid.predict, hyoid.train):
        with pytest.raises(ConfigError, match=refused):
            verb(tmp_path / "run")
    assert opened(runs_code=False) == experiment and "This is done without it." in caplog.text and not ran.exists()
    (mark,) = hyoid.trust([evil])
    assert mark.parent == tmp_path / "mine" / "hyoid" / "trusted" and opened() and ran.read_text() == "x"
    monkeypatch.setattr("hyoid.core.extensions._sources", {})
    evil.write_text(code + "# changed\n")
    with pytest.raises(ConfigError, match=refused):
        opened()
    load_extensions([str(evil)])  # as `--set extensions=[...]` names it
    assert ran.read_text() == "xx"
    monkeypatch.setattr("hyoid.core.extensions._sources", {})
    assert opened() and ran.read_text() == "xxx"
    with pytest.raises(ConfigError, match="is not a Python file"):
        hyoid.trust([tmp_path / "missing.py"])
