"""One process trains a run at a time, and a dead one is not waited for."""

import signal
import subprocess
import sys

import pytest

from hyoid.core.errors import ConfigError
from hyoid.experiment import RunFolder

HOLDS = """
import sys, time
from pathlib import Path
from hyoid.experiment import RunFolder

with RunFolder(Path(sys.argv[1])).training_alone():
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_training_of_a_run_is_refused_until_the_first_ends(tmp_path):
    folder = RunFolder(tmp_path / "run")
    with folder.training_alone(), pytest.raises(ConfigError, match="another process is training this run"):
        RunFolder(tmp_path / "run").training_alone().__enter__()
    with folder.training_alone(), RunFolder(tmp_path / "other").training_alone():
        pass


def test_a_killed_training_holds_nothing(tmp_path):
    holder = subprocess.Popen([sys.executable, "-c", HOLDS, tmp_path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "held\n"
    with pytest.raises(ConfigError, match="wait for it or stop it"):
        RunFolder(tmp_path).training_alone().__enter__()
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    with RunFolder(tmp_path).training_alone():
        pass
