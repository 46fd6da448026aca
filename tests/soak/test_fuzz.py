"""A sample of the long run of `make soak`: damaged files end no process, and no loss passes in silence."""

import signal

import pytest

from soak import seeds
from soak.fuzz import Reader, Seed, _fault, fuzz


@pytest.mark.slow
def test_damaged_files_are_refused_in_a_sentence_or_read():
    counts = fuzz(1500, seed=1, workers=1, within=25)
    assert counts.pop("mutants") >= 50 and not counts


@pytest.mark.slow
def test_a_process_that_dies_is_noticed_and_replaced(tmp_path):
    seeds.IMAGES["png"](tmp_path)
    reader = Reader()
    assert reader.ask("image", tmp_path / "a.png")["outcome"] == "read"
    reader.process.send_signal(signal.SIGABRT)
    assert reader.ask("image", tmp_path / "a.png")["outcome"] == "abort"
    assert reader.ask("image", tmp_path / "a.png")["outcome"] == "read"
    reader.stop()


@pytest.mark.parametrize(
    ("answer", "fault"),
    [
        ({"outcome": "read", "words": ["(1, 5) a"], "megabytes": 1}, "silent"),
        ({"outcome": "read", "words": ["(1, 6) a"], "megabytes": 1}, ""),
        ({"outcome": "read", "words": ["(1, 6) a"], "megabytes": 2000}, "memory"),
        ({"outcome": "refused", "words": ["a.tif: there is not enough memory"], "megabytes": 1}, "memory"),
        ({"outcome": "refused", "words": ["two\nlines"], "megabytes": 1}, "unclear"),
        ({"outcome": "refused", "words": ["a.tif: cut"], "megabytes": 1}, ""),
        ({"outcome": "raw", "words": ["KeyError: 0"], "megabytes": 1}, "raw"),
    ],
)
def test_what_counts_as_a_fault(answer, fault, tmp_path):
    assert _fault(answer, True, Seed("a", tmp_path, "image", ["(1, 6) a"])) == fault
