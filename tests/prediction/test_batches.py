"""Many cases: in order, past broken ones, to the writer."""

import pytest

from hyoid.core.errors import DataError
from hyoid.core.progress import listening
from hyoid.prediction.batches import predict_cases
from phantoms import make_case, make_predictor


class Listener:
    def __init__(self):
        self.told = 0.0

    def start(self, what, total):
        self.total = total

    def advance(self, amount, note="", left_seconds=None):
        self.told += amount

    def stop(self):
        pass


def test_every_case_is_written_and_broken_ones_are_told():
    written = {}
    told = []

    def read(name):
        if name == "broken":
            raise DataError("broken.nii: not an image.")
        return make_case((20, 20))

    def write(case, labels):
        if len(written) == 2:
            raise OSError("disk full")
        written[len(written)] = labels.grid.shape

    listener = Listener()
    with listening(listener):
        predict_cases(make_predictor((16, 16)), ["a", "broken", "b", "c"], read, write, lambda *one: told.append(one))
    assert told == [("broken", "broken.nii: not an image."), ("c", "disk full")]
    assert written == {0: (20, 20), 1: (20, 20)}
    assert abs(listener.told - listener.total) < 1e-6


def test_a_failure_is_told_when_it_happens():
    events = []

    def read(name):
        events.append(("read", name))
        if name == "broken":
            raise DataError("not an image")
        return make_case((20, 20))

    def write(case, labels):
        raise OSError("disk full")

    names = ["broken", "a", "b", "c"]
    predict_cases(make_predictor((16, 16)), names, read, write, lambda name, reason: events.append(("failed", name)))
    assert sorted(name for event, name in events if event == "failed") == sorted(names)
    assert events[:2] == [("read", "broken"), ("failed", "broken")]


def test_no_cases_are_no_failure():
    predict_cases(make_predictor((16, 16)), [], make_case, print, pytest.fail)


def test_probabilities_are_written_with_the_labels_when_wanted():
    written = {}

    def write(case, labels, maps):
        written[case.id] = (labels.grid == maps.grid, maps.kind)

    predict_cases(make_predictor((16, 16)), ["a"], lambda name: make_case((20, 20)), write, pytest.fail, True)
    assert list(written.values()) == [(True, "probabilities")]
