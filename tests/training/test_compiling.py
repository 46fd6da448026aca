"""torch.compile: tried only where it may pay, decided once, without a trace in the weights."""

import signal
from pathlib import Path

import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.training.checkpoint import read_checkpoint
from hyoid.training.compiling import Trial, lacking, try_compiled, worth_a_trial
from hyoid.training.optim import Average

CPU = torch.device("cpu")


def tried(monkeypatch, after=0.5):
    """Trials that go through the net but compile nothing, and say that a step takes so long instead of 1 s."""
    seen = []

    def trial(module, passes):
        passes()
        seen.append(module)
        return Trial(20.0, 1.0, after)

    monkeypatch.setattr("hyoid.training.compiling.try_compiled", trial)
    monkeypatch.setattr("hyoid.training.compiling.lacking", lambda device: None)
    return seen


def same(one: Path, other: Path) -> bool:
    ours, theirs = (read_checkpoint(folder / "last.safetensors")[0] for folder in (one, other))
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_a_trial_must_be_expected_to_pay_twice():
    assert not worth_a_trial(3600, CPU) and worth_a_trial(5000, CPU)
    assert not worth_a_trial(600, torch.device("cuda")) and worth_a_trial(900, torch.device("cuda"))
    assert not worth_a_trial(1e6, torch.device("mps"))


def test_the_break_even_is_told():
    told = Trial(41.0, 0.81, 0.62).describe(1400, kept=True)
    assert told == (
        "torch.compile: 41 s once, a step 0.62 instead of 0.81 s; pays from step 216 of the 1,400 that are left:"
        " compiled steps from here on."
    )
    assert "; pays from step 216, but only 100 are left: compiled" in Trial(41.0, 0.81, 0.62).describe(100, kept=True)
    slower = Trial(41.0, 0.6, 0.62)
    assert not slower.pays and "pays" not in slower.describe(1400, kept=False)
    assert "which never pays: compiled steps from here on" in slower.describe(1400, kept=True)


def test_a_number_of_steps_is_not_compiled_unless_asked(tiny, tmp_path, monkeypatch):
    seen = tried(monkeypatch)
    tiny.fit(tmp_path / "auto", steps=8)
    tiny.fit(tmp_path / "never", {"compile": "never"}, steps=8)
    assert not seen
    tiny.fit(tmp_path / "always", {"compile": "always"}, steps=8)
    assert len(seen) == 1


def test_a_trial_leaves_nothing_in_the_weights(tiny, tmp_path, monkeypatch):
    tried(monkeypatch)
    tiny.plan = tiny.plan.model_copy(update={"net": tiny.plan.net.changed({"norm": "batch"})})
    tiny.fit(tmp_path / "plain", steps=4)
    monkeypatch.setattr(
        "hyoid.training.compiling.try_compiled", lambda module, passes: try_compiled(Uncompiled(module), passes)
    )
    tiny.fit(tmp_path / "tried", {"compile": "always"}, steps=4)
    assert same(tmp_path / "plain", tmp_path / "tried")


class Uncompiled(torch.nn.Module):
    """A module that cannot be compiled but says it was."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def compile(self, dynamic):
        pass


def test_a_time_is_compiled_when_a_trial_shows_that_it_pays(tiny, tmp_path, monkeypatch, caplog):
    caplog.set_level("INFO")
    monkeypatch.setattr("hyoid.training.compiling.worth_a_trial", lambda left, device: True)
    monkeypatch.setattr("hyoid.training.compiling.KNOWN", 0)
    for after, end in ((0.5, "compiled steps"), (1.0, "steps as they were")):
        caplog.clear()
        seen = tried(monkeypatch, after)
        tiny.fit(tmp_path / end, {"tensorboard": False}, seconds=0.4)
        assert len(seen) == 1 and f"{end} from here on." in caplog.messages[0]
        assert read_checkpoint(tmp_path / end / "last.safetensors")[1]["compiled"] == (after < 1)


@pytest.mark.parametrize("decided", [True, False])
def test_a_training_that_goes_on_keeps_what_was_decided(tiny, tmp_path, monkeypatch, decided):
    seen = tried(monkeypatch)
    monkeypatch.setattr("hyoid.training.compiling.worth_a_trial", lambda left, device: decided)

    def interrupted(self, step):
        update(self, step)
        if step == 6:
            signal.raise_signal(signal.SIGINT)

    update = Average.update
    with monkeypatch.context() as patched:
        patched.setattr(Average, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tiny.fit(tmp_path / "run", seconds=60)
    monkeypatch.setattr("hyoid.training.compiling.worth_a_trial", lambda left, device: not decided)
    with monkeypatch.context() as patched:
        patched.setattr(Average, "update", lambda self, step: signal.raise_signal(signal.SIGINT))
        with pytest.raises(KeyboardInterrupt):
            tiny.fit(tmp_path / "run", seconds=60, resume=True)
    assert len(seen) == (2 if decided else 0)


def test_without_a_compiler_only_always_complains(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr("hyoid.training.compiling.shutil.which", lambda name: None)
    assert lacking(CPU) == "a C++ compiler such as g++"
    tiny.fit(tmp_path / "auto", steps=2)
    with pytest.raises(ConfigError, match=r"needs a C\+\+ compiler such as g\+\+, which is not here"):
        tiny.fit(tmp_path / "always", {"compile": "always"}, steps=2)


def test_what_cannot_be_compiled_is_trained_as_it_is(tiny, tmp_path, monkeypatch, caplog):
    def broken(module, passes):
        raise RuntimeError("no such operation")

    tried(monkeypatch)
    monkeypatch.setattr("hyoid.training.compiling.worth_a_trial", lambda left, device: True)
    monkeypatch.setattr("hyoid.training.compiling.try_compiled", broken)
    monkeypatch.setattr("hyoid.training.compiling.KNOWN", 0)
    tiny.fit(tmp_path / "run", seconds=0.4)
    assert "torch.compile cannot compute this net (RuntimeError); steps stay as they are." in caplog.messages


@pytest.mark.slow
@pytest.mark.skipif(lacking(CPU) is not None, reason="there is no C++ compiler here")
def test_compiled_steps_are_the_plain_steps(tiny, tmp_path):
    outcomes = [tiny.fit(tmp_path / wish, {"compile": wish}, steps=4) for wish in ("never", "always")]
    ours, theirs = (read_checkpoint(tmp_path / wish / "last.safetensors")[0] for wish in ("never", "always"))
    assert ours.keys() == theirs.keys()
    assert all(torch.allclose(ours[name], theirs[name], atol=2e-3) for name in ours if name.startswith("net/"))
    assert outcomes[1].scores["dice:ball"] == pytest.approx(outcomes[0].scores["dice:ball"], abs=0.02)
