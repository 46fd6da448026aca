"""What is shown while work is done."""

import io

import pytest
from rich.console import Console

from hyoid.cli import screen
from hyoid.cli.screen import Bars, Lines


@pytest.mark.parametrize(("told", "expected"), [(None, "30 s left"), (7.0, "7 s left")])
def test_a_line_tells_one_time_that_is_left_by_the_stage_or_by_its_pace(monkeypatch, told, expected):
    now = [100.0]
    monkeypatch.setattr(screen.time, "monotonic", lambda: now[0])
    page = io.StringIO()
    lines = Lines(Console(file=page, width=120))
    lines.start("train", 8)
    stage = lines._running[-1]
    stage.started, stage.told = 100.0, 100.0
    now[0] = 118.0
    lines.advance(3, "loss 0.5", told)
    lines.stop()
    assert page.getvalue() == f"train  38 %  {expected}  loss 0.5\n"


def test_a_bar_tells_what_the_stage_says_is_left():
    page = io.StringIO()
    bars = Bars(Console(file=page, width=120, force_terminal=True))
    bars.start("train", 8)
    bars.advance(2, "loss 0.5", 125.0)
    bars._progress.refresh()
    bars.stop()
    assert "2:05 min" in page.getvalue() and "loss 0.5" in page.getvalue()
