"""Progress that is told to whoever listens."""

from hyoid.core.progress import listening, stage, track


class Notes:
    def __init__(self) -> None:
        self.said: list[tuple] = []

    def start(self, what: str, total: float | None) -> None:
        self.said.append(("start", what, total))

    def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
        self.said.append(("advance", amount, note))

    def stop(self) -> None:
        self.said.append(("stop",))


def test_each_item_is_told_once_it_is_done():
    notes = Notes()
    with listening(notes):
        assert list(track([1, 2], "count")) == [1, 2]
    assert notes.said == [("start", "count", 2), ("advance", 1, ""), ("advance", 1, ""), ("stop",)]


def test_a_stage_stops_when_it_fails():
    notes = Notes()
    try:
        with listening(notes), stage("work", 3) as work:
            work.advance(2, "loss 0.1")
            raise ValueError
    except ValueError:
        pass
    assert notes.said == [("start", "work", 3), ("advance", 2, "loss 0.1"), ("stop",)]


def test_nobody_needs_to_listen():
    assert list(track(iter("ab"), "letters")) == ["a", "b"]
