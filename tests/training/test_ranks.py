"""Two processes that train one net do what one does with twice the batch."""

import os
import signal
import subprocess
import sys

import pytest
import torch

import followers
from hyoid.core.errors import ConfigError, HyoidError
from hyoid.nets.unet import UNetSpec
from hyoid.training.checkpoint import part, read_checkpoint
from hyoid.training.data import Feed
from hyoid.training.learner import Learner
from hyoid.training.monitor import read_curves
from hyoid.training.quiet import STOPS, deaf
from hyoid.training.ranks import Ranks, together
from hyoid.training.regimes.supervised import Supervised
from hyoid.training.settings import TrainingSettings

from .test_data import sampler

TWO = {"devices": 2, "workers": 1}


def net_of(folder):
    return part(read_checkpoint(folder / "last.safetensors")[0], "net")


def test_devices_share_the_samples_of_a_batch(tiny):
    drawn = sampler(tiny, batch=6, policy="light")
    whole = Feed(drawn, 2, 1).batch(4)["labelled"]
    for rank in (0, 1):
        own = Feed(drawn, 2, 1, (rank, 2)).batch(4)["labelled"]
        assert torch.equal(own.image, whole.image[rank::2]) and own.case_ids == whole.case_ids[rank::2]


def test_alone_nothing_is_agreed_upon_and_nothing_started():
    with together(1, "cpu", followers.fail, ()) as ranks:
        assert ranks == Ranks() and ranks.agreed(0.25) == 0.25
    assert "LOCAL_RANK" not in os.environ


def test_only_the_first_process_keeps_an_average(tiny, tmp_path, monkeypatch):
    fabric = Ranks().fabric("cpu", "32-true")
    monkeypatch.setattr(Ranks, "fabric", lambda self, accelerator, precision: fabric)
    learners = [Learner(tiny.net(), tiny.job(tmp_path, steps=1), Ranks(n, 2)) for n in (0, 1)]
    assert [learner.average is None for learner in learners] == [False, True]


def test_a_process_begun_deaf_is_so_before_it_loads_anything():
    code = "import signal; print(*(signal.getsignal(one) == signal.SIG_IGN for one in (signal.SIGINT, signal.SIGTERM)))"
    before = [signal.getsignal(number) for number in STOPS]  # a shell may start tests with signals ignored
    with deaf():
        other = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    assert [signal.getsignal(number) for number in STOPS] == before
    assert other.communicate()[0] == "True True\n"


@pytest.mark.slow
def test_two_processes_do_what_one_does_with_twice_the_batch(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("hyoid.training.loop.follow", followers.follow_and_save)
    tiny.plan = tiny.plan.model_copy(update={"policy": "none", "batch": 2})
    outcome = tiny.fit(tmp_path / "two", TWO, steps=5)
    assert outcome.steps == 5 and outcome.num_validated == 2
    assert "LOCAL_RANK" not in os.environ and not torch.distributed.is_initialized()
    tiny.plan = tiny.plan.model_copy(update={"batch": 4})
    tiny.fit(tmp_path / "one", steps=5)
    first, alone = net_of(tmp_path / "two"), net_of(tmp_path / "one")
    other = read_checkpoint(tmp_path / "two" / "rank1.safetensors")[0]
    start = tiny.net().state_dict()
    assert all(torch.equal(first[name], other[name]) for name in first)
    for name in first:
        torch.testing.assert_close(first[name], alone[name], rtol=1e-2, atol=1e-4)
    assert any((first[name] - start[name]).abs().max() > 3e-3 for name in first)
    assert read_curves(tmp_path / "two")["progress"][-1] == 1


@pytest.mark.slow
def test_a_stopped_training_of_two_processes_goes_on(tiny, tmp_path, monkeypatch):
    tiny.plan = tiny.plan.model_copy(update={"net": UNetSpec(dims=2, in_channels=1, out_channels=2, channels=(4, 8))})
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    tiny.fit(whole, TWO, steps=5)
    steps, losses = [], Supervised.losses

    def stop_at_three(self, turn, batches, progress):
        steps.append(turn)
        if len(steps) == 3:
            signal.raise_signal(signal.SIGINT)
        return losses(self, turn, batches, progress)

    monkeypatch.setattr(Supervised, "losses", stop_at_three)
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(parts, TWO, steps=5)
    assert read_checkpoint(parts / "last.safetensors")[1]["step"] == 3
    tiny.fit(parts, TWO, steps=5, resume=True)
    one, other = net_of(whole), net_of(parts)
    assert all(torch.equal(one[name], other[name]) for name in one)


@pytest.mark.slow
def test_a_process_that_fails_ends_the_training_with_a_sentence(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("hyoid.training.loop.follow", followers.fail)
    with pytest.raises(HyoidError, match="the process of device 1 failed"):
        tiny.fit(tmp_path / "run", TWO, steps=3)


@pytest.mark.slow
def test_what_the_first_process_says_is_what_is_told():
    with pytest.raises(ConfigError, match="the plan is wrong"), together(2, "cpu", followers.fail, ()):
        raise ConfigError("the plan is wrong")


def test_one_device_of_several_is_named_by_its_number(monkeypatch):
    asked = []
    monkeypatch.setattr("lightning_fabric.Fabric", lambda **given: asked.append(given))
    for name in ("cuda:1", "cuda", "auto"):
        Ranks().fabric(name, "32-true")
    assert [(given["accelerator"], given["devices"]) for given in asked] == [("cuda", [1]), ("cuda", 1), ("auto", 1)]


def test_nets_that_are_taught_in_turn_are_for_one_device(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(Supervised, "teaches", ("net", "critic"))
    with pytest.raises(
        ConfigError, match=r"training\.devices is 2, but regime 'supervised' teaches net and critic in turn"
    ):
        tiny.fit(tmp_path / "run", TWO, steps=1)


def test_one_device_cannot_be_two(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"training\.devices is 2, but device is cuda:1 alone"):
        tiny.fit(tmp_path / "run", {"devices": 2}, steps=1, accelerator="cuda:1")


def test_several_devices_compile_nothing():
    with pytest.raises(ConfigError, match="compile = always is for one device"):
        TrainingSettings.parse({"devices": 2, "compile": "always"})


def test_more_devices_than_there_are_is_refused(tiny, tmp_path):
    if torch.cuda.device_count() < 99:
        with pytest.raises(ConfigError, match=r"training.devices is 99, but this machine has \d+ CUDA devices"):
            tiny.fit(tmp_path / "run", {"devices": 99}, steps=1, accelerator="auto")
