"""A file is held by one program at a time, and no longer than that program lives."""

import os
import subprocess
import sys

import pytest

from hyoid.core import lock
from hyoid.core.errors import HyoidError
from hyoid.core.lock import alone, sharing

HOLD = """
import sys, time
from pathlib import Path
from hyoid.core.files import atomic_path
from hyoid.core.lock import alone, sharing
path = Path(sys.argv[1])
held = alone(path, "this run") if len(sys.argv) == 2 else sharing(path / ".lock", [path])
with held, atomic_path(path.parent / "x" / "half") as half:
    half.parent.mkdir(exist_ok=True)
    half.write_text("")
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_block_is_told_who_is_in_the_first(tmp_path):
    with alone(tmp_path / "lock", "this run"):
        told = rf"process {os.getpid()} on \S+ is working on this run; wait until it ends, or stop it\."
        with pytest.raises(HyoidError, match=told), alone(tmp_path / "lock", "this run"):
            raise AssertionError
    with alone(tmp_path / "lock", "this run"):
        pass


def test_a_killed_program_holds_nothing(tmp_path):
    command = [sys.executable, "-c", HOLD, str(tmp_path / "lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with pytest.raises(HyoidError, match=f"process {other.pid} on "), alone(tmp_path / "lock", "this run"):
            raise AssertionError
        other.kill()
    with alone(tmp_path / "lock", "this run"):
        pass


def test_where_nothing_can_be_locked_work_goes_on_with_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(file):
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(lock, "_hold", refuse)
    with alone(tmp_path / "lock", "this run"):
        assert "keeps no locks (Operation not supported); let no other program work on this run." in caplog.text


def test_what_a_killed_program_left_goes_once_nobody_works_there(tmp_path):
    folder, away, mine = tmp_path / "x", tmp_path / "away", {".hidden.txt", ".20261201.backup", ".deadbeef.nii.gz"}
    folder.mkdir(), away.mkdir(), (folder / "ward").symlink_to(away)
    for name in mine:
        (folder / name).write_text("not of this program")
    (away / f".hyoid-{'0' * 16}.txt").write_text("of a program that works elsewhere")
    command = [sys.executable, "-c", HOLD, str(folder), "shared"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout.readline() == "held\n"
        with sharing(folder / ".lock", [folder]):
            assert len(list(folder.glob(".*.half"))) == 1  # of a living program
        other.kill()
    with sharing(folder / ".lock", [folder, folder / "ward"]), sharing(folder / ".lock", [folder]):
        assert {path.name for path in folder.iterdir()} == {*mine, ".lock", "ward"} and len(list(away.iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(HyoidError, match="file: nothing can be written here"),
        alone(tmp_path / "file" / "lock", "this run"),
    ):
        raise AssertionError
