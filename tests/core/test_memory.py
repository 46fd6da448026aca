"""The peak of a process, since a moment."""

import sys

import numpy as np
import pytest
import torch

from hyoid.core import memory
from hyoid.core.memory import forget_peak, peak_gb


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux forgets a peak")
def test_the_peak_is_that_since_it_was_forgotten():
    assert forget_peak()
    before = peak_gb()
    held = np.ones(50_000_000)
    del held
    assert 0.3 < peak_gb() - before < 0.6
    forget_peak()
    assert peak_gb() < before + 0.2


def test_where_nothing_is_forgotten_the_peak_is_that_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setattr(memory, "_PROC", tmp_path / "nowhere")
    assert not forget_peak()
    if sys.platform != "win32":
        assert peak_gb() > 0.01


def test_the_peak_of_a_gpu_begins_without_what_torch_kept(monkeypatch):
    asked = []
    monkeypatch.setattr(torch.cuda, "init", lambda: None)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: asked.append("empty"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: asked.append(device))
    assert forget_peak("cuda:1")
    assert asked == ["empty", "cuda:1"]
