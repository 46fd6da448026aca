"""What keeps a GPU from waiting, tried on the processor and on a GPU that only takes notes."""

from types import SimpleNamespace

import pytest
import torch

from hyoid.core.case import Batch
from hyoid.training.accelerator import Leash, augments, one_ahead
from hyoid.training.data import Feed
from hyoid.training.monitor import read_curves
from hyoid.training.sampler import OUTSIDE

from .test_data import sampler


@pytest.mark.parametrize("policy", ["none", "nnunet", "strong"])
def test_a_device_makes_the_batches_of_the_processor(tiny, policy):
    drawn = sampler(tiny, policy=policy, batch=6)
    usual, computed = Feed(drawn, 2, 1), Feed(drawn, 2, 2, computes=True)
    for number, streams in zip(range(5), computed.batches(0), strict=False):
        batch, expected = streams["labelled"], usual.batch(number)["labelled"]
        assert batch.case_ids == expected.case_ids
        assert batch.image.shape == expected.image.shape and batch.image.dtype == expected.image.dtype
        assert torch.quantile((batch.image - expected.image).abs(), 0.99) < 5e-3
        assert (batch.target == expected.target).float().mean() > 0.995


def test_a_device_gives_valid_nets_the_middle_of_labels(tiny):
    drawn = sampler(tiny, patch=(28, 28), margin=(6, 6), policy="light")
    usual, computed = (Feed(drawn, 2, 1, computes=way).batch(3)["labelled"] for way in (False, True))
    assert computed.image.shape == (4, 1, 28, 28) and computed.target.shape == (4, 16, 16)
    assert (computed.target == usual.target).float().mean() > 0.995 and (computed.target != OUTSIDE).all()


def test_a_tiny_phantom_is_learned_with_augmentation_on_the_device(tiny, tmp_path):
    tiny.plan = tiny.plan.model_copy(update={"policy": "nnunet"})
    outcome = tiny.fit(tmp_path / "run", {"optimiser.learning_rate": 0.01, "augment_on": "device"}, steps=50)
    losses = read_curves(tmp_path / "run")["loss"]
    assert sum(losses[-5:]) < 0.6 * sum(losses[:5])
    assert outcome.scores["dice:ball"] > 0.75


def test_gpus_augment_unless_told_otherwise():
    cpu, gpu = torch.device("cpu"), torch.device("cuda", 0)
    assert [augments("auto", gpu), augments("device", cpu), augments("cpu", gpu), augments("auto", cpu)] == [
        True,
        True,
        False,
        False,
    ]


class Notes:
    """Streams and events of a GPU that is not there, and what they were asked to do."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.inside = False

    def stream(self, name: str) -> SimpleNamespace:
        def event() -> SimpleNamespace:
            self.told.append(f"{name} records")
            number = self.told.count(f"{name} records")
            return SimpleNamespace(number=number, synchronize=lambda: self.told.append(f"wait for step {number}"))

        wait = lambda event: self.told.append(f"{name} waits for {event.number}")  # noqa: E731
        return SimpleNamespace(record_event=event, wait_event=wait)


@pytest.fixture
def notes(monkeypatch):
    notes = Notes()
    net, side = notes.stream("net"), notes.stream("side")

    class Inside:
        def __init__(self, stream: object) -> None:
            assert stream is side

        def __enter__(self) -> None:
            notes.inside = True

        def __exit__(self, *error: object) -> None:
            notes.inside = False

    monkeypatch.setattr(torch.cuda, "Stream", lambda device: side)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda device: net)
    monkeypatch.setattr(torch.cuda, "stream", Inside)
    monkeypatch.setattr(torch.Tensor, "record_stream", lambda self, stream: notes.told.append(f"keep {int(self[0])}"))
    return notes


def test_on_a_gpu_the_next_batch_is_made_before_this_one_is_used(notes):
    def batches():
        try:
            for number in range(9):
                assert notes.inside
                notes.told.append(f"make {number}")
                yield {"labelled": Batch(torch.tensor([number]), None)}
        finally:
            notes.told.append("closed")

    ahead = one_ahead(batches(), torch.device("cuda", 0))
    assert int(next(ahead)["labelled"].image) == 0
    assert notes.told == ["make 0", "side records", "make 1", "side records", "net waits for 1", "keep 0"]
    notes.told.clear()
    assert int(next(ahead)["labelled"].image) == 1
    assert notes.told == ["make 2", "side records", "net waits for 2", "keep 1"]
    ahead.close()
    assert notes.told[-1] == "closed"


def test_on_the_processor_batches_are_made_when_they_are_asked_for():
    made = []

    def batches():
        for number in range(3):
            made.append(number)
            yield {"labelled": Batch(torch.tensor([number]), None)}

    ahead = one_ahead(batches(), torch.device("cpu"))
    assert int(next(ahead)["labelled"].image) == 0 and made == [0]


def test_the_processor_is_two_steps_ahead_of_a_gpu_at_most(notes):
    leash = Leash(torch.device("cuda", 0))
    for _ in range(7):
        leash.step()
    waited = [word for step in (1, 2, 3) for word in ("net records", f"wait for step {step}")]  # their time is measured
    ahead = ["net records"] * 3 + ["wait for step 4", "net records", "wait for step 5"]
    assert notes.told == waited + ahead
    free = Leash(torch.device("cpu"))
    free.step()
    assert len(notes.told) == len(waited + ahead)
