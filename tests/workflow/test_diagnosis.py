"""What `hyoid doctor` says of a machine, and what it calls broken."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from hyoid.cli import app
from hyoid.core.errors import DataError
from hyoid.workflow.diagnosis import Diagnosis, Finding, _files, _libraries, _room, _unusable, doctor


def test_what_is_broken_ends_the_command_with_an_error(monkeypatch):
    found = Diagnosis(
        (Finding("cores", "2"), Finding("GPU", "none", "note"), Finding("libraries", "no torch", "broken"))
    )
    assert found.problems == ["libraries: no torch"] and not found.to_json()["works"]
    table, line = found.shown(80)
    assert [row[0] for row in table.rows] == ["✓", "·", "✗"] and line.text == "1 of these must be mended first."
    monkeypatch.setattr("hyoid.workflow.diagnosis._libraries", lambda: iter(found.findings))
    for name in ("_speed", "_gradients", "_compiler", "_files"):
        monkeypatch.setattr(f"hyoid.workflow.diagnosis.{name}", lambda: iter(()))
    done = CliRunner().invoke(app, ["doctor", "--json"])
    assert done.exit_code == DataError.exit_code
    told = json.loads(done.stdout)
    assert not told["works"] and {"memory", "cache", "GPU"} <= {one["what"] for one in told["findings"]}


def test_libraries_that_cannot_be_used_are_named(monkeypatch):
    assert _unusable("Pillow") == "" and _unusable("no-such-thing") == "no-such-thing is not installed"
    monkeypatch.setattr(
        "hyoid.workflow.diagnosis.requires", lambda name: ["numpy>=2", "gone>=1", 'lost>=2; extra == "timm"']
    )
    first, libraries, timm, *_ = _libraries()
    assert first.verdict == "fine" and (libraries.found, libraries.verdict) == ("gone is not installed", "broken")
    assert timm.found.startswith("lost is not installed (optional; pip install") and timm.verdict == "note"


def test_every_format_gives_back_what_was_written():
    (found,) = _files()
    assert found.verdict == "fine" and all(
        name in found.found for name in ("NIfTI", "DICOM (read)", "OME-Zarr", "TIFF")
    )


def test_a_cache_that_cannot_be_written_is_broken(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path / "file" / "below"))
    memory, cache = _room()
    assert "GB for training" in memory.found and cache.verdict == "broken" and "HYOID_CACHE" in cache.found


@pytest.mark.slow
def test_this_machine_works(monkeypatch, tmp_path):
    monkeypatch.setenv("HYOID_CACHE", str(tmp_path))
    told = doctor().to_json()
    assert told["works"], told
    assert {"gradients", "one convolution", "torch.compile", "file formats"} <= {
        one["what"] for one in told["findings"]
    }
