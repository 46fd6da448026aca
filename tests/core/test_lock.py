"""A file is held by one program at a time, and no longer than that program lives."""

import os
import subprocess
import sys

import pytest

from hyoid.core import lock
from hyoid.core.errors import HyoidError
from hyoid.core.lock import alone

HOLD = """
import sys, time
from pathlib import Path
from hyoid.core.lock import alone
with alone(Path(sys.argv[1]), "this run"):
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
