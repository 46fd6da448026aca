"""What the loop offers to regimes: turns, kept modules, streams, options, precision, and pieces of a training."""

import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from hyoid.core.errors import ConfigError
from hyoid.core.registry import Entry
from hyoid.training.checkpoint import load_weights, part, read_checkpoint
from hyoid.training.learner import Learner
from hyoid.training.loop import fit
from hyoid.training.monitor import read_curves
from hyoid.training.ranks import Ranks
from hyoid.training.regime import Regime, Turn, build_regime, check_regime, regimes
from hyoid.training.settings import OptimiserSettings, TrainingSettings
from phantoms import ball_case
from seams import REGIMES, Adversary, MeanTeacher

TESTS = str(Path(__file__).parents[1])


@pytest.fixture(autouse=True)
def _shelved(monkeypatch):
    for name, build in REGIMES.items():
        shelve(monkeypatch, name, build)


def shelve(monkeypatch, name, build):
    monkeypatch.setitem(regimes._entries, name, Entry(name, build, ()))


def tensors(folder, prefix=""):
    found = read_checkpoint(folder / "last.safetensors")[0]
    return part(found, prefix) if prefix else found


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def learner_of(tiny, folder, changes):
    return Learner(tiny.net(), tiny.job(folder, tiny.settings.changed(changes), steps=4), Ranks())


@pytest.mark.parametrize("name", REGIMES)
def test_a_stopped_regime_goes_on_bit_for_bit(tiny, tmp_path, monkeypatch, name):
    changes = {"regime": name, "optimiser.accumulate": 2}
    for case_id in tiny.store.ids if name == "pairing" else ():
        case = ball_case(case_id, (20, 24), np.random.default_rng(0))
        tiny.store.write(replace(case, other=case.image.with_array(-case.image.array)))
    tiny.fit(tmp_path / "whole", changes, steps=7)
    kind, taken = REGIMES[name], []

    def stop_in_the_middle(self, turn, batches, progress):
        taken.append(turn)
        if len(taken) == 7:  # in the fourth step of one turn, and in the third of two
            signal.raise_signal(signal.SIGINT)
        return losses(self, turn, batches, progress)

    losses = kind.losses
    monkeypatch.setattr(kind, "losses", stop_in_the_middle)
    with pytest.raises(KeyboardInterrupt):
        tiny.fit(tmp_path / "parts", changes, steps=7)
    assert 0 < read_checkpoint(tmp_path / "parts" / "last.safetensors")[1]["step"] < 7
    tiny.fit(tmp_path / "parts", changes, steps=7, resume=True)
    assert same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    one, other = (read_curves(tmp_path / folder) for folder in ("whole", "parts"))
    assert {key: one[key] for key in one if key != "seconds"} == {key: other[key] for key in other if key != "seconds"}


SCRIPT = """
import sys
import time
from pathlib import Path
sys.path.insert(0, {tests!r})
from phantoms import make_tiny
from seams import REGIMES
from hyoid.training.regime import regimes

kind = regimes.register({name!r})(REGIMES[{name!r}])
after_step = kind.after_step

def slow(self, progress):
    print("step", flush=True)
    time.sleep(0.05)
    after_step(self, progress)

kind.after_step = slow
changes = {{"regime": {name!r}, "checkpoint_seconds": 0.01}}
make_tiny(Path({folder!r}) / "store").fit(Path({folder!r}) / "run", changes, steps=20)
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mean_teacher", "adversary"])
def test_a_killed_regime_goes_on_bit_for_bit(tiny, tmp_path, name):
    code = SCRIPT.format(tests=TESTS, folder=str(tmp_path / "killed"), name=name)
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True)
    for _ in range(10):
        assert process.stdout.readline() == "step\n"
    process.kill()
    process.wait()
    process.stdout.close()
    run = tmp_path / "killed" / "run"
    assert 0 < read_checkpoint(run / "last.safetensors")[1]["step"] < 20
    tiny.fit(run, {"regime": name}, steps=20, resume=True)
    tiny.fit(tmp_path / "whole", {"regime": name}, steps=20)
    assert same(tensors(run), tensors(tmp_path / "whole"))


def test_a_teacher_that_predicts_is_saved_once_validated_and_loaded(tiny, tmp_path):
    outcome = tiny.fit(tmp_path, {"regime": "mean_teacher", "optimiser.learning_rate": 0.01}, steps=50)
    saved, facts = read_checkpoint(tmp_path / "last.safetensors")
    assert {name.split("/")[0] for name in saved} == {"net", "average", "optimiser:net"}
    assert facts["predicts"] == "teacher" and not same(part(saved, "net"), part(saved, "average"))
    for averaged in (True, False):
        net = tiny.net()
        load_weights(net, tmp_path / "last.safetensors", averaged)
        assert same(net.state_dict(), part(saved, "average"))
    assert outcome.scores["dice:ball"] > 0.8
    assert 0 <= read_curves(tmp_path)["confident"][-1] <= 1


class TaughtPair(Regime):
    """Two nets; the second predicts."""

    teaches = ("net", "other")
    predicts = "other"

    def __init__(self, net, loss, make_net):
        self.net, self.loss, self.other = net, loss, make_net()
        self.turns = {"net": Turn(net), "other": Turn(self.other, every=3)}

    def losses(self, turn, batches, progress):
        batch = batches["labelled"]
        return {turn: self.loss((self.net if turn == "net" else self.other)(batch.image)[0], batch.target)}


def test_the_turn_that_predicts_is_averaged_and_its_last_weights_are_loaded(tiny, tmp_path, monkeypatch):
    shelve(monkeypatch, "pair", TaughtPair)
    tiny.fit(tmp_path / "run", {"regime": "pair"}, steps=2)
    saved = tensors(tmp_path / "run")
    net, start = tiny.net(), learner_of(tiny, tmp_path / "start", {"regime": "pair"})
    load_weights(net, tmp_path / "run" / "last.safetensors", averaged=False)
    assert same(net.state_dict(), part(saved, "other")) and not same(part(saved, "other"), part(saved, "net"))
    first, taught = start.turns["other"].module.state_dict(), part(saved, "other")
    assert not same(first, tiny.net().state_dict())  # make_net gives weights of its own
    # the second step has no turn of the other net: its average is 2/11 of the way to where it stays
    for name, average in part(saved, "average").items():
        once = torch.lerp(first[name], taught[name], 0.9)
        torch.testing.assert_close(average, torch.lerp(once, taught[name], 1 - 2 / 11))


def test_a_critic_has_an_optimiser_of_its_own_and_comes_every_other_step(tiny, tmp_path, monkeypatch):
    taken, losses = [], Adversary.losses

    def noted(self, turn, batches, progress):
        taken.append(turn)
        return losses(self, turn, batches, progress)

    monkeypatch.setattr(Adversary, "losses", noted)
    learner = learner_of(tiny, tmp_path, {"regime": "adversary", "optimiser.learning_rate": 0.01})
    peaks = {name: {group["peak"] for group in one.param_groups} for name, one in learner.optimisers.items()}
    assert peaks == {"net": {0.01}, "critic": {2e-4}}
    assert learner.optimisers["critic"].param_groups[0]["betas"] == (0.5, 0.999)
    tiny.fit(tmp_path / "run", {"regime": "adversary"}, steps=4)
    assert taken == ["net", "critic", "net", "net", "critic", "net"]
    steps = {name.split("/")[0]: value.item() for name, value in tensors(tmp_path / "run").items() if "step" in name}
    assert steps == {"optimiser:net": 4, "optimiser:critic": 2}


def test_settings_of_a_turn_replace_those_of_the_regime(tiny, tmp_path):
    asked = {"learning_rate": 1e-5, "betas": [0.1, 0.2], "weight_decay": 0.3, "clip": 4, "every": 3, "start": 0.5}
    learner = learner_of(tiny, tmp_path, {"regime": "adversary", "turns": {"critic": asked}})
    turn = learner.turns["critic"]
    assert (turn.every, turn.start) == (3, 0.5) and [turn.comes(n, n / 10) for n in (3, 5, 6)] == [False, False, True]
    assert turn.settings == OptimiserSettings(
        learning_rate=1e-5, betas=(0.1, 0.2), weight_decay=0.3, clip=4, schedule="cosine"
    )
    assert learner.turns["net"].settings == OptimiserSettings() and learner.turns["net"].every == 1
    one = learner_of(tiny, tmp_path, {"regime": "adversary", "turns": {"critic": {"every": 1}}}).turns["critic"]
    assert one.settings.learning_rate == 2e-4 and one.every == 1


def test_a_turn_begins_at_its_start(tiny, tmp_path):
    changes = {"regime": "adversary", "turns": {"critic": {"every": 1, "start": 0.5}}}
    tiny.fit(tmp_path, changes, steps=4)
    assert tensors(tmp_path)["optimiser:critic/0/step"] == 2


def test_a_turn_without_losses_is_skipped(tiny, tmp_path, monkeypatch):
    losses = Adversary.losses
    monkeypatch.setattr(
        Adversary,
        "losses",
        lambda self, turn, batches, progress: {} if turn == "critic" else losses(self, turn, batches, progress),
    )
    tiny.fit(tmp_path, {"regime": "adversary"}, steps=2)
    assert not part(tensors(tmp_path), "optimiser:critic") and "critic" not in read_curves(tmp_path)


def test_what_is_shown_is_not_minimised(tiny, tmp_path, monkeypatch):
    tiny.fit(tmp_path / "with", {"regime": "mean_teacher"}, steps=3)
    monkeypatch.setattr(MeanTeacher, "shown", lambda self: {"odd": torch.tensor(float("nan"))})
    tiny.fit(tmp_path / "other", {"regime": "mean_teacher"}, steps=3)
    assert same(tensors(tmp_path / "with"), tensors(tmp_path / "other"))


class Parts(Regime):
    """Calls a part of the net, and notes the precision of what it gives."""

    def __init__(self, net, loss):
        self.net, self.loss, self.kept = net, loss, nn.Conv2d(1, 1, 1)
        self.turns, self.keeps, self.kinds = {"net": Turn(net)}, {"kept": self.kept}, {}

    def losses(self, turn, batches, progress):
        batch = batches["labelled"]
        self.kinds["outside"] = self.net.encoder(batch.image)[0].dtype
        with self.autocast():
            self.kinds["inside"] = self.net.encoder(batch.image)[0].dtype
        seen = []
        with torch.no_grad():
            hook = self.kept.module.register_forward_hook(lambda module, given, made: seen.append(made.dtype))
            self.kinds["answer"] = self.kept(batch.image).dtype
            hook.remove()
        self.kinds["kept"] = seen[0]
        return {"loss": self.loss(self.net(batch.image)[0], batch.target)}


def test_parts_of_a_net_and_kept_modules_compute_in_the_precision_of_the_plan(tiny, tmp_path, monkeypatch):
    shelve(monkeypatch, "parts", Parts)
    tiny.plan = tiny.plan.model_copy(update={"precision": "bf16-mixed"})
    made, built = [], Learner.__init__

    def noted(self, *arguments):
        built(self, *arguments)
        made.append(self.regime)

    monkeypatch.setattr(Learner, "__init__", noted)
    tiny.fit(tmp_path, {"regime": "parts"}, steps=1)
    half, full = torch.bfloat16, torch.float32
    assert made[0].kinds == {"outside": full, "inside": half, "kept": half, "answer": full}


def test_two_pieces_give_the_weights_of_the_whole(tiny, tmp_path):
    changes = {"regime": "mean_teacher", "patience": 0}
    tiny.fit(tmp_path / "whole", changes, steps=7)
    first = tiny.fit(tmp_path / "parts", changes, steps=7, progress=(0, 0.5))
    facts = read_checkpoint(tmp_path / "parts" / "last.safetensors")[1]
    assert (first.steps, first.num_validated, facts["finished"]) == (4, 2, False)
    assert tiny.fit(tmp_path / "parts", changes, steps=7, progress=(0, 0.5), resume=True).steps == 4
    assert tiny.fit(tmp_path / "parts", changes, steps=7, progress=(0.5, 1), resume=True).steps == 7
    assert same(tensors(tmp_path / "whole"), tensors(tmp_path / "parts"))
    assert read_checkpoint(tmp_path / "parts" / "last.safetensors")[1]["finished"]


def test_a_round_begins_with_the_weights_it_is_given_at_its_place_in_the_schedule(tiny, tmp_path):
    """As in federated learning: without `resume`, optimisers begin anew."""
    tiny.fit(tmp_path / "first", steps=8, progress=(0, 0.5))
    net = tiny.net()
    load_weights(net, tmp_path / "first" / "last.safetensors", averaged=False)
    fit(net, tiny.job(tmp_path / "second", steps=8, progress=(0.5, 0.75)))
    facts = read_checkpoint(tmp_path / "second" / "last.safetensors")[1]
    assert facts["step"] == 6 and tensors(tmp_path / "second")["optimiser:net/0/step"] == 2
    rates = read_curves(tmp_path / "second")["learning_rate"]
    schedule = tiny.fit(tmp_path / "whole", steps=8) and read_curves(tmp_path / "whole")["learning_rate"]
    assert rates[-1] == pytest.approx(schedule[5]) and max(rates) < max(schedule)


def test_pieces_by_time_share_the_time_of_the_whole(tiny, tmp_path):
    first = tiny.fit(tmp_path / "run", seconds=2.0, progress=(0, 0.5))
    assert 0.5 < first.seconds < 1.2 and 0.4 < read_curves(tmp_path / "run")["progress"][-1] <= 0.5
    again = tiny.fit(tmp_path / "alone", seconds=2.0, progress=(0.5, 1))
    progress = read_curves(tmp_path / "alone")["progress"]
    assert min(progress) >= 0.5 and 0.9 < progress[-1] <= 1 and 1.5 < again.seconds < 2.2


def test_a_piece_that_does_not_rise_is_refused(tiny, tmp_path):
    with pytest.raises(ConfigError, match=r"progress is \(0.5, 0.5\); expected two rising shares"):
        tiny.job(tmp_path, steps=2, progress=(0.5, 0.5))


@pytest.mark.parametrize(
    ("asked", "sentence"),
    [
        ({"regime": "mean_teacher", "regime_options": {"decai": 0.5}}, "no option 'decai'. Did you mean 'decay'?"),
        ({"regime": "mean_teacher", "regime_options": {"net": 1}}, "no option 'net'. Options: decay, weight"),
        ({"regime": "mean_teacher", "regime_options": {"decay": "much"}}, "decay = 'much' does not fit"),
        ({"regime": "adversary", "turns": {"critics": {}}}, "no turn 'critics'. Did you mean 'critic'?"),
        ({"regime": "adversary", "turns": {"critic": {"beta": 1}}}, "no setting 'turns.critic.beta'"),
        ({"regime": "adversary", "turns": {"critic": {"betas": [0.5, 1]}}}, "both are shares from 0 to less than 1"),
        ({"regime": "adversary", "devices": 2}, "teaches net and critic in turn, which needs a single device"),
        (
            {"optimiser": {"momentum": 0.5}},
            "training.optimiser.momentum is 0.5, but adamw would ignore it; leave it out",
        ),
        ({"optimiser": {"name": "sgd", "betas": [0.5, 0.9]}}, "training.optimiser.betas is (0.5, 0.9), but sgd would"),
        ({"turns": {"net": {"name": "sgd", "betas": [0.5, 0.9]}}}, "training.turns.net.betas is (0.5, 0.9), but sgd"),
        ({"regime": "mean_techer"}, "No regime is called 'mean_techer'. Did you mean 'mean_teacher'?"),
    ],
)
def test_settings_that_do_not_fit_the_regime_are_refused_before_it_is_built(asked, sentence):
    with pytest.raises(ConfigError) as caught:
        check_regime(TrainingSettings.parse(asked))
    assert sentence in str(caught.value)


def test_a_regime_feeds_on_one_batch_or_more_of_each_stream(monkeypatch):
    for feeds in ({"views": 0}, {"viewz": 1}):
        shelve(monkeypatch, "hungry", type("Hungry", (Regime,), {"feeds": feeds}))
        with pytest.raises(ConfigError, match=f"feeds on .* batches of '{next(iter(feeds))}'; expected 1 or more"):
            check_regime(TrainingSettings(regime="hungry"))


def test_a_turn_is_refused_what_the_optimiser_of_the_training_ignores():
    asked = TrainingSettings.parse({"optimiser": {"name": "sgd"}, "turns": {"net": {"betas": [0.5, 0.9]}}})
    with pytest.raises(ConfigError, match="but sgd would ignore it"):
        build_regime(asked, {"net": torch.nn.Identity(), "task": SimpleNamespace(heads=None), "loss": None})


def test_an_option_without_a_usual_value_must_be_given(monkeypatch):
    class Needy(Regime):
        def __init__(self, net, source: str):
            pass

    shelve(monkeypatch, "needy", Needy)
    with pytest.raises(ConfigError, match=r"regime_options: regime 'needy' needs the option 'source'"):
        check_regime(TrainingSettings(regime="needy"))
    shelve(monkeypatch, "loose", lambda net: None)
    with pytest.raises(ConfigError, match="regime 'loose' must be a class with the base"):
        check_regime(TrainingSettings(regime="loose"))


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        ({"predicts": "teacher"}, "predicts is 'teacher', expected one of net"),
        ({"turns": {"critic": Turn(nn.Linear(1, 1))}}, "turns are critic; expected those of `teaches`"),
        ({"keeps": {"bank": nn.Linear(1, 1)}}, "'bank' must also be an attribute that holds the same module"),
        ({"keeps": {"bank": (bank := nn.Linear(1, 1))}, "bank": bank, "predicts": "bank"}, "must be a hyoid.nets.Net"),
    ],
)
def test_a_regime_that_contradicts_itself_is_refused(tiny, tmp_path, monkeypatch, fault, sentence):
    class Faulty(Regime):
        def __init__(self, net):
            self.net, self.turns = net, {"net": Turn(net)}
            for name, value in fault.items():
                setattr(self, name, value)

    shelve(monkeypatch, "faulty", Faulty)
    with pytest.raises(ConfigError) as caught:
        learner_of(tiny, tmp_path, {"regime": "faulty"})
    assert sentence in str(caught.value)


def test_the_regime_of_the_documents_learns(tiny, tmp_path, monkeypatch):
    page = (Path(TESTS).parent / "docs" / "how-to" / "extend.md").read_text("utf-8")
    monkeypatch.setattr(regimes, "_entries", dict(regimes._entries))
    exec(next(block for block in re.findall("```python\n(.*?)```", page, re.DOTALL) if "Follower" in block), {})
    changes = {"regime": "follower", "regime_options": {"every": 2}, "optimiser.learning_rate": 0.01}
    outcome = tiny.fit(tmp_path, {**changes, "turns": {"pupil": {"learning_rate": 0.02}}}, steps=60)
    assert outcome.scores["dice:ball"] > 0.7


class Restoring(Regime):
    """The net learns to give back its image; nothing it gives answers the task."""

    feeds: Mapping[str, int] = {"unlabelled": 1}
    answers = False
    curve = "restored"

    def __init__(self, net):
        self.net, self.turns = net, {"net": Turn(net)}

    def losses(self, turn, batches, progress):
        image = batches["unlabelled"].image
        return {"restored": (self.net(image)[0][:, :1] - image).square().mean()}


def test_a_regime_that_answers_no_task_is_not_validated(tiny, tmp_path, monkeypatch):
    shelve(monkeypatch, "restoring", Restoring)
    outcome = tiny.fit(tmp_path, {"regime": "restoring"}, steps=4)
    assert outcome.scores == {} and outcome.num_validated == 0
    assert not (tmp_path / "best.safetensors").exists() and len(read_curves(tmp_path)["restored"]) == 4


def test_a_job_knows_whether_it_is_a_whole_training(tiny, tmp_path):
    job = tiny.job(tmp_path, steps=2)
    assert job.whole and not replace(job, progress=(0, 0.9)).whole


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (lambda _: None, "or an empty one to skip the turn; it gave None."),
        (lambda loss: loss, "it gave tensor("),
        (lambda _: {"loss": 0.5}, "it gave 0.5 as 'loss'."),
        (lambda loss: {"loss": loss.expand(3)}, "it gave a tensor of shape (3,) as 'loss'."),
        (lambda _: {"loss": torch.tensor(2.0)}, "it gave 'loss' = 2 without gradient."),
    ],
)
def test_losses_that_cannot_be_minimised_are_refused(tiny, tmp_path, monkeypatch, given, sentence):
    class Faulty(Restoring):
        def losses(self, turn, batches, progress):
            return given(super().losses(turn, batches, progress)["restored"])

    shelve(monkeypatch, "faulty", Faulty)
    with pytest.raises(ConfigError, match="regime 'faulty': `losses` of turn 'net' must give a dict") as caught:
        tiny.fit(tmp_path, {"regime": "faulty"}, steps=2)
    assert sentence in str(caught.value)


def test_a_loss_without_gradient_may_stand_beside_others(tiny, tmp_path, monkeypatch):
    class Counting(Restoring):
        def losses(self, turn, batches, progress):
            return super().losses(turn, batches, progress) | {"none": torch.zeros(())}

    shelve(monkeypatch, "counting", Counting)
    tiny.fit(tmp_path, {"regime": "counting"}, steps=2)
    assert read_curves(tmp_path)["none"] == [0, 0]
