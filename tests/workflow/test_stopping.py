"""A run that another thread asks to stop, in each of its stages."""

from __future__ import annotations

from pathlib import Path
from threading import Thread

import pytest

import hyoid
from hyoid.core.progress import Listener, listening
from hyoid.datasets.phantoms import write_phantoms

STAGES = ("Looking at cases", "measuring cases", "prepare", "train", "predict", "evaluate", "draw cases")
CHANGES = ("planning.channels=[8, 16]", "evaluation.resamples=100", "threads=1")


class Asking(Listener):
    """A listener that lets another thread ask to stop at the first progress of one stage."""

    def __init__(self, what: str, stop: hyoid.Stop) -> None:
        self.what, self.wish, self.running = what, stop, list[str]()
        self.told = 0

    def start(self, what: str, total: float | None) -> None:
        self.running.append(what)

    def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
        self.told += self.wish.asked
        if self.running[-1] == self.what:
            asking = Thread(target=self.wish.ask)
            asking.start()
            asking.join()

    def stop(self) -> None:
        self.running.pop()


def run(data: Path, into: Path) -> Path:
    return hyoid.run(data, into=into, steps=6, seed=3, changes=CHANGES)


@pytest.mark.slow
def test_a_run_that_is_asked_to_stop_in_each_stage_ends_at_once_and_goes_on_to_the_same_table(tmp_path):
    data = write_phantoms(tmp_path / "data", "cells", num_cases=6, size=64)
    whole = run(data, tmp_path / "apart" / "whole").parent  # where it shares no prepared cases
    for what in STAGES:
        stop = hyoid.Stop()
        listener = Asking(what, stop)
        with pytest.raises(KeyboardInterrupt), listening(listener), hyoid.stopping(stop):
            run(data, tmp_path / "cut")
        assert stop.asked, f"there is no stage {what!r}"
        assert listener.told <= 1, f"{what} went on"  # training takes a step and saves
        assert listener.running == []
        if what == "train":
            assert (tmp_path / "cut" / "weights" / "last.safetensors").is_file()
    page = run(data, tmp_path / "cut")
    assert page.is_file()
    assert (page.parent / "cases.csv").read_bytes() == (whole / "cases.csv").read_bytes()


@pytest.mark.slow
def test_predicting_images_stops_between_tiles_and_keeps_what_was_answered(tmp_path):
    data = write_phantoms(tmp_path / "data", "cells", num_cases=6, size=64)
    into = run(data, tmp_path / "run").parent
    stop = hyoid.Stop()
    answers = tmp_path / "answers"
    with pytest.raises(KeyboardInterrupt), listening(Asking("predict", stop)), hyoid.stopping(stop):
        hyoid.predict(into, [data / "images"], into=answers)
    assert stop.asked and len(list(answers.glob("*.png"))) < 6
    assert len(hyoid.predict(into, [data / "images"], into=answers)) == 6
