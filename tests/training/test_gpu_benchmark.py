"""The benchmark of GPUs runs; on the processor, at a tiny size."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "gpu.py"


@pytest.mark.slow
def test_every_line_of_the_gpu_benchmark_can_be_measured(tmp_path):
    command = [sys.executable, str(SCRIPT), "--device", "cpu", "--quick", "--into", str(tmp_path / "gpu.json")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "gpu.json").read_text())
    rows = [*found["training"], *found["prediction"]]
    assert found["device"] == "cpu" and len(found["training"]) == 14 and len(found["prediction"]) == 6
    assert not [row["failed"] for row in rows if "failed" in row]
    assert all(row["seconds"] > 0 for row in found["training"])
    assert all(row["voxels_per_second"] > 0 for row in found["prediction"])
    assert {row["data"] for row in found["training"]} == {"memory", "device", "cpu"}
    assert len(done.stdout.splitlines()) == 2 + 2 + 14 + 3 + 6
