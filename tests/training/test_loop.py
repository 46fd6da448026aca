"""fit: learns, repeats itself, goes on bit for bit, and says what went wrong."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from hyoid.core.errors import HyoidError
from hyoid.core.labels import Labels
from hyoid.nets.unet import UNetSpec
from hyoid.tasks import task_for
from hyoid.training.checkpoint import read_checkpoint
from hyoid.training.monitor import read_curves
from hyoid.training.optim import Average
from hyoid.training.plateau import Round, find_plateau
from hyoid.training.regimes.supervised import Supervised
from hyoid.training.settings import SHORTEST_PATIENCE


def weights(folder):
    return read_checkpoint(folder / "last.safetensors")[0]


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def test_a_tiny_phantom_is_learned(tiny, tmp_path, caplog):
    caplog.set_level("INFO")
    outcome = tiny.fit(tmp_path / "run", {"optimiser.learning_rate": 0.01}, steps=50)
    losses = read_curves(tmp_path / "run")["loss"]
    assert sum(losses[-5:]) < 0.5 * sum(losses[:5])
    assert outcome.scores["dice:ball"] > 0.8
    assert outcome.num_validated == 2
    assert caplog.messages == [
        f"Training ends with mean dice {outcome.scores['dice:ball']:.3f} on 2 of 2 validation cases."
    ]


def test_the_same_seed_gives_the_same_weights(tiny, tmp_path):
    for name in ("one", "two"):
        tiny.fit(tmp_path / name, steps=6)
    assert same(weights(tmp_path / "one"), weights(tmp_path / "two"))


def test_another_seed_gives_other_weights(tiny, tmp_path):
    tiny.fit(tmp_path / "one", steps=3)
    tiny.fit(tmp_path / "two", steps=3, seed=2)
    assert not same(weights(tmp_path / "one"), weights(tmp_path / "two"))


@pytest.mark.parametrize(
    ("optimiser", "loss", "sent"),
    [("adamw", "dice_ce", signal.SIGINT), ("sgd", "boundary", signal.SIGTERM)],  # the boundary loss grows
)
def test_a_stopped_training_goes_on_bit_for_bit(tiny, tmp_path, monkeypatch, optimiser, loss, sent):
    changes = {"optimiser.name": optimiser, "optimiser.accumulate": 2, "loss": loss}
    tiny.fit(tmp_path / "whole", steps=9, changes=changes)

    steps = []

    def stop_at_four(self, turn, batches, progress):
        steps.append(batches["labelled"].case_ids)
        if len(steps) == 8:
            signal.raise_signal(sent)
        return losses(self, turn, batches, progress)

    losses = Supervised.losses
    monkeypatch.setattr(Supervised, "losses", stop_at_four)
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(tmp_path / "parts", steps=9, changes=changes)
    assert read_checkpoint(tmp_path / "parts" / "last.safetensors")[1]["step"] == 4
    tiny.fit(tmp_path / "parts", steps=9, changes=changes, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))
    one, other = (read_curves(tmp_path / name) for name in ("whole", "parts"))
    assert {name: one[name] for name in one if name != "seconds"} == {n: other[n] for n in other if n != "seconds"}


def test_a_finished_training_is_not_repeated(tiny, tmp_path):
    first = tiny.fit(tmp_path / "run", steps=3)
    again = tiny.fit(tmp_path / "run", steps=3, resume=True)
    assert again.scores == first.scores and again.steps == 3


def test_a_loss_that_is_not_a_number_stops_with_a_sentence(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(
        Supervised,
        "losses",
        lambda self, turn, batches, progress: {"loss": self.net(batches["labelled"].image)[0].sum() * float("nan")},
    )
    with pytest.raises(HyoidError, match=r"stopped at step 1: loss is nan\. The batch came from ball_\d"):
        tiny.fit(tmp_path / "run", steps=3)


@pytest.mark.parametrize("clip", [12.0, None])
def test_a_gradient_that_is_not_a_number_stops_before_its_weights_are_kept(tiny, tmp_path, monkeypatch, clip):
    """The square root of nothing is finite, and its slope is not."""
    taken = []

    def losses(self, turn, batches, progress):
        taken.append(turn)
        logits = self.net(batches["labelled"].image)[0]
        odd = torch.sqrt((0 * logits).sum()) if len(taken) == 3 else 0.0
        return {"loss": logits.square().mean() + odd}

    monkeypatch.setattr(Supervised, "losses", losses)
    with pytest.raises(HyoidError, match=r"stopped at step 3: the gradient of the net is nan\. The batch came from"):
        tiny.fit(tmp_path / "run", steps=3, changes={"optimiser.clip": clip})
    assert not (tmp_path / "run" / "last.safetensors").exists()


def test_weights_that_are_not_finite_are_never_kept(tiny, tmp_path):
    """The gradient of the only step is finite, and the step is too long."""
    with pytest.raises(HyoidError, match=r"stopped after step 1: its weights are not finite\. Lower"):
        tiny.fit(tmp_path / "run", steps=1, changes={"optimiser.learning_rate": 1e38, "optimiser.warmup": 0})
    assert not (tmp_path / "run" / "last.safetensors").exists()


class Ticking:
    """A clock that shows a hundredth of a second more each time one looks."""

    now = 0.0

    def perf_counter(self):
        self.now += 0.01
        return self.now


def test_training_by_time_ends_within_it_and_at_full_progress(tiny, tmp_path, monkeypatch):
    ticking = Ticking()
    monkeypatch.setattr("hyoid.training.clock.time", ticking)
    monkeypatch.setattr("hyoid.training.loop.time", ticking)
    outcome = tiny.fit(tmp_path / "run", seconds=5)
    curves = read_curves(tmp_path / "run")
    assert 4 < outcome.seconds < 5.2
    assert curves["progress"][-1] > 0.95 and curves["progress"] == sorted(curves["progress"])
    assert outcome.num_validated == 2
    assert sum(value is not None for value in curves["dice:ball"]) > 2


KINDS = {
    "valid": {"patch": (28, 28), "net": {"padding": "valid", "down": "max"}},
    "deep_supervision": {"net": {"channels": (4, 8, 8), "deep_supervision": True}},
    "dropout": {"net": {"dropout": 0.2, "norm": "batch"}},
    "bf16": {"precision": "bf16-mixed"},
    "batch_dice": {"batch_dice": True},
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_net_repeats_itself_and_goes_on(tiny, tmp_path, monkeypatch, kind):
    changes = dict(KINDS[kind])
    net = {"dims": 2, "in_channels": 1, "out_channels": 2, "channels": (4, 8), **changes.pop("net", {})}
    tiny.plan = tiny.plan.model_copy(update={"net": UNetSpec(**net), **changes})
    outcome = tiny.fit(tmp_path / "whole", steps=4)
    assert outcome.steps == 4 and 0 <= outcome.scores["dice:ball"] <= 1

    def interrupted(self, step):
        update(self, step)
        if step == 1:
            signal.raise_signal(signal.SIGINT)

    update = Average.update
    monkeypatch.setattr(Average, "update", interrupted)
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(tmp_path / "parts", steps=4)
    tiny.fit(tmp_path / "parts", steps=4, resume=True)
    assert same(weights(tmp_path / "whole"), weights(tmp_path / "parts"))


def test_overlapping_structures_are_trained_too(tiny, tmp_path):
    tiny.task = task_for(Labels(names=("ball", "all"), values=((1,), (1, 2))))
    assert set(tiny.fit(tmp_path / "run", steps=2).scores) == {"dice:ball", "dice:all"}


def test_training_without_validation_cases(tiny, tmp_path):
    tiny.split = (tiny.split[0], [])
    outcome = tiny.fit(tmp_path / "run", steps=2)
    assert outcome.scores == {} and outcome.num_validated == 0
    assert not (tmp_path / "run" / "best.safetensors").exists()


def test_training_without_cases_is_refused(tiny, tmp_path):
    tiny.split = ([], tiny.split[1])
    with pytest.raises(HyoidError, match="no cases to learn from"):
        tiny.fit(tmp_path / "run", steps=2)


def test_a_patience_that_no_plateau_could_outlast_is_refused(tiny, tmp_path):
    with pytest.raises(HyoidError, match=r"patience = 0.2 .* give 0.25 or more, or 0"):
        tiny.fit(tmp_path / "run", {"patience": 0.2}, steps=2)
    fewest = [Round(n / 21, (0.9,) * 4) for n in range(1, 15)]
    assert find_plateau(fewest, SHORTEST_PATIENCE, tiny.task.decides) and not find_plateau(
        fewest, 0.23, tiny.task.decides
    )


def test_another_seed_cannot_go_on(tiny, tmp_path):
    tiny.fit(tmp_path / "run", steps=2)
    with pytest.raises(HyoidError, match="began with seed 1, not 2"):
        tiny.fit(tmp_path / "run", steps=2, seed=2, resume=True)


def test_half_precision_needs_a_gpu(tiny, tmp_path):
    tiny.plan = tiny.plan.model_copy(update={"precision": "16-mixed"})
    with pytest.raises(HyoidError, match="16-mixed needs a CUDA device"):
        tiny.fit(tmp_path / "run", steps=1)


def test_only_the_plan_has_a_precision(tiny, tmp_path):
    with pytest.raises(HyoidError, match="no setting 'precision'"):
        tiny.fit(tmp_path / "run", {"precision": "32-true"}, steps=1)


def test_nothing_is_left_after_ctrl_c(tiny, tmp_path):
    before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    tiny.fit(tmp_path / "run", steps=1)
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == before
    assert not torch.are_deterministic_algorithms_enabled()


SCRIPT = """
import sys
import time
from pathlib import Path
sys.path.insert(0, {tests!r})
from phantoms import make_tiny
from hyoid.training.regimes.supervised import Supervised

losses = Supervised.losses

def told(self, turn, batches, progress):
    print("step", flush=True)
    time.sleep(0.05)
    return losses(self, turn, batches, progress)

Supervised.losses = told
make_tiny(Path({folder!r}) / "store").fit(Path({folder!r}) / "run", {{"checkpoint_seconds": 0.01}}, steps=20)
"""


@pytest.mark.slow
def test_a_killed_training_goes_on_bit_for_bit(tiny, tmp_path):
    code = SCRIPT.format(tests=str(Path(__file__).parents[1]), folder=str(tmp_path / "killed"))
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for _ in range(10):
        assert process.stdout.readline() == "step\n"
    process.kill()
    process.wait()
    process.stdout.close()
    run = tmp_path / "killed" / "run"
    assert 0 < read_checkpoint(run / "last.safetensors")[1]["step"] < 20
    tiny.fit(run, steps=20, resume=True)
    tiny.fit(tmp_path / "whole", steps=20)
    assert same(weights(run), weights(tmp_path / "whole"))


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"f1:ball": 0.5}, "Task Classes decides by 'dice', but `score` gave f1:ball; it must give 'dice' or"),
        ({}, "decides by 'dice', but `score` gave nothing; it must"),
        (0.5, "Task Classes: `score` must give a dict of numbers by their names; it gave 0.5 for ball_4."),
        ({"dice": None}, "it gave {'dice': None} for ball_4."),
    ],
)
def test_scores_that_cannot_decide_are_refused(tiny, tmp_path, monkeypatch, given, sentence):
    monkeypatch.setattr(type(tiny.task), "score", lambda *_: given)
    with pytest.raises(HyoidError) as caught:
        tiny.fit(tmp_path / "run", steps=2)
    assert sentence in str(caught.value)
