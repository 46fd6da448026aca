"""Work that is asked to stop."""

from threading import Thread

import pytest

from hyoid.core.progress import stage, track
from hyoid.core.stopping import Stop, current_stop, stopping


def test_work_ends_where_it_next_reports_progress():
    stop, done = Stop(), []
    with pytest.raises(KeyboardInterrupt), stopping(stop):
        for item in track(range(5), "count"):
            done.append(item)
            if item == 2:
                asking = Thread(target=stop.ask)
                asking.start()
                asking.join()
    assert done == [0, 1, 2]


def test_a_stage_does_not_begin_once_work_should_stop():
    stop = Stop()
    stop.ask()
    with pytest.raises(KeyboardInterrupt), stopping(stop), stage("work"):
        raise AssertionError("the stage began")


def test_a_generator_that_is_tracked_is_closed_at_once():
    closed = []

    def items():
        try:
            yield from range(3)
        finally:
            closed.append(True)

    stop = Stop()
    stop.ask()
    with pytest.raises(KeyboardInterrupt), stopping(stop):
        next(track(items(), "count"))
    assert closed == []  # it had not begun
    stop = Stop()
    with pytest.raises(KeyboardInterrupt) as raised, stopping(stop):
        for _ in track(items(), "count"):
            stop.ask()
    assert closed == [True] and raised.tb is not None


def test_a_stop_heeds_the_wider_one_but_not_the_other_way_round():
    wide = Stop()
    narrow = Stop(within=wide)
    narrow.ask()
    assert narrow.asked and not wide.asked
    wide = Stop()
    narrow = Stop(within=wide)
    wide.ask()
    assert narrow.asked


def test_a_stop_ends_with_its_block():
    stop = Stop()
    with stopping(stop):
        assert current_stop() is stop
    stop.ask()
    assert not current_stop().asked
    assert list(track([1], "count")) == [1]
