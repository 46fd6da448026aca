"""Plateaus of the validation Dice: found where they are, not where a few cases scatter, and cooled down exactly."""

import copy
import signal

import numpy as np
import pytest

from hyoid.tasks.task import Deciding
from hyoid.training.checkpoint import load_weights, read_checkpoint
from hyoid.training.clock import Clock
from hyoid.training.monitor import read_curves
from hyoid.training.optim import Average
from hyoid.training.plateau import COOL_DOWN, Plateau, Round, find_plateau, rounds_for

DICE = Deciding("dice")


def rounds(curve, num_cases=8, scatter=0.0, wobble=0.0, num_rounds=20, seed=0):
    """Rounds of a Dice curve: each case has an offset of its own, and scatters in each round."""
    rng = np.random.default_rng(seed)
    offsets = 0.03 * rng.standard_normal(num_cases)
    trends = wobble * rng.standard_normal(num_cases)
    found = []
    for progress in np.arange(1, num_rounds + 1) / (num_rounds + 1):
        dice = curve(progress) + offsets + trends * progress + scatter * rng.standard_normal(num_cases)
        found.append(Round(float(progress), tuple(dice.tolist())))
    return found


def stop(found, patience=0.4, decides=DICE):
    """Progress at which a training with these rounds is stopped; None when it is not."""
    seen = (found[: n + 1] for n in range(len(found)))
    return next((some[-1].progress for some in seen if find_plateau(some, patience, decides)), None)


def level(progress):
    return 0.9 - 0.4 * np.exp(-progress / 0.01)


def rising(progress):
    return 0.5 + 0.4 * progress**0.5


def test_a_level_curve_is_a_plateau_after_half_of_the_training():
    assert 0.5 <= stop(rounds(level, scatter=0.001)) < 0.65


def test_a_plateau_tells_since_when_and_at_which_dice():
    found = find_plateau(rounds(level)[:12], 0.4, DICE)
    assert found.since == pytest.approx(4 / 21)
    assert found.score == pytest.approx(0.9, abs=0.03)


def test_a_saturated_dice_may_stop_before_half_of_the_training():
    assert 0.4 <= stop(rounds(lambda progress: min(1, level(progress) + 0.12))) < 0.5


@pytest.mark.parametrize("num_cases", [3, 8, 40])
def test_a_rising_curve_is_no_plateau(num_cases):
    stops = [stop(rounds(rising, num_cases, scatter=0.01, seed=seed)) for seed in range(20)]
    assert stops == [None] * 20


def test_a_net_that_finds_nothing_yet_is_on_no_plateau():
    late = [Round(one.progress, (0.0,) * 4) for one in rounds(level)]
    assert stop(late) is None


def test_a_few_cases_that_scatter_are_no_plateau():
    assert [stop(rounds(level, 4, wobble=0.1, seed=seed)) for seed in range(20)].count(None) >= 15


@pytest.mark.parametrize(
    ("structure", "stopped"),
    [(lambda progress: 0.9, True), (lambda progress: 0.3 * progress, False), (lambda progress: 0.05, False)],
)
def test_a_structure_that_is_still_being_learned_is_not_hidden_by_others(structure, stopped):
    found = [one._replace(structures=(0.9, structure(one.progress), float("nan"))) for one in rounds(level)]
    assert (stop(found) is not None) == stopped


@pytest.mark.parametrize("patience", [0.26, 0.3, 0.4, 0.45, 0.6])
def test_so_many_rounds_show_a_plateau_and_no_fewer(patience):
    num_rounds = rounds_for(patience)
    assert stop(rounds(level, num_rounds=num_rounds), patience) is not None
    assert stop(rounds(level, num_rounds=num_rounds - 1), patience) is None


def test_a_patience_that_is_too_short_for_the_rounds_is_told(tiny, tmp_path, caplog):
    caplog.set_level("INFO")
    tiny.fit(tmp_path / "run", {"patience": 0.3}, steps=3)
    told = "No plateau can end this training: training.patience=0.3 needs 16 rounds of 3 validation cases, and 0 of 0"
    assert caplog.messages[0].startswith(told)
    caplog.clear()
    tiny.fit(tmp_path / "usual", steps=3)
    assert not any("plateau" in message for message in caplog.messages)


@pytest.mark.parametrize("patience", [0, 0.4])
def test_a_slow_rise_is_gone_along_with_unless_it_is_too_slow(patience):
    slow = rounds(lambda progress: 0.8 + 0.02 * progress)
    slower = rounds(lambda progress: 0.8 + 0.5 * DICE.gain * progress)
    assert stop(slow, patience) is None
    assert (stop(slower, patience) is None) == (patience == 0)


def test_the_thresholds_are_those_of_the_score_that_decides():
    decibels = Deciding("psnr", gain=0.2, begun=5.0, saturated=60.0)

    def scaled(factor, curve):
        return [one._replace(scores=tuple(factor * value for value in one.scores)) for one in rounds(curve)]

    slow = scaled(30, lambda progress: 0.8 + 0.005 * progress)  # 0.15 decibels in the whole training
    assert stop(slow, decides=decibels) is not None and stop(slow) is None
    assert stop(scaled(5, level), decides=decibels) is None  # it never got above 4.5
    assert stop(scaled(30, level), decides=decibels) >= 0.5 > stop(scaled(80, level), decides=decibels)


def test_one_or_two_cases_and_few_rounds_tell_nothing():
    assert stop(rounds(level, 2)) is None
    assert stop(rounds(level, num_rounds=6)) is None


def test_cases_without_a_structure_do_not_count():
    found = [Round(one.progress, (*one.scores, float("nan"))) for one in rounds(level)]
    assert find_plateau(found[:12], 0.4, DICE) == find_plateau(rounds(level)[:12], 0.4, DICE)


def test_close_to_the_end_nothing_is_stopped():
    found = rounds(lambda progress: 0.9 if progress > 0.65 else 0.5)
    assert find_plateau(found, 0.4, DICE) is None


def test_a_shortened_training_runs_through_all_of_its_progress():
    clock, seen = Clock(steps=20), []
    while not clock.done:
        clock.tick(1.0)
        seen.append(clock.progress)
        if clock.step == 10:
            assert clock.shorten(0.2) == pytest.approx(6)
    assert seen[:10] == [n / 20 for n in range(1, 11)]
    assert seen[10:] == pytest.approx([0.625, 0.75, 0.875, 1.0])
    assert clock.step == 14 and clock.length == 0.7


def test_a_shortened_time_keeps_its_reserve(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("hyoid.training.clock.time.perf_counter", lambda: now[0])
    clock = Clock(seconds=120, _begin=0.0, reserve_seconds=20)
    now[0] = 50
    clock.tick(1)
    assert clock.shorten(0.1) == pytest.approx(40)
    now[0] = 55
    assert clock.progress == pytest.approx(0.75) and clock.left_seconds == pytest.approx(25)
    again = Clock(seconds=120)
    again.restore(clock.state())
    assert again.progress == pytest.approx(0.75) and not again.done
    now[0] = 59.5
    assert clock.done


@pytest.mark.slow
def test_a_saturated_phantom_is_trained_no_further(tiny, tmp_path, caplog):
    tiny.split = (tiny.split[0], list(tiny.store.ids[1:]))
    tiny.plan = tiny.plan.model_copy(update={"batch": 8})
    tiny.fit(tmp_path / "first", {"optimiser.learning_rate": 0.02}, steps=40)
    trained = tiny.net()
    load_weights(trained, tmp_path / "first" / "last.safetensors")
    tiny.net = lambda: copy.deepcopy(trained)
    changes = {"optimiser.learning_rate": 1e-6, "validation": 0.5}
    caplog.set_level("INFO")
    caplog.clear()

    outcome = tiny.fit(tmp_path / "run", changes, steps=42)
    assert outcome.length == pytest.approx(11 / 21 + COOL_DOWN) and outcome.steps == 27
    assert outcome.scores["dice:ball"] > 0.9
    curves = read_curves(tmp_path / "run")
    assert curves["progress"][-1] == 1 and curves["learning_rate"][-1] < 1e-7
    assert "since 14 % of the training" in caplog.messages[0] and "stops at 62 %" in caplog.messages[0]
    assert "Training ends with mean dice" in caplog.messages[1]

    patient = tiny.fit(tmp_path / "patient", {**changes, "patience": 0}, steps=42)
    assert patient.steps == 42 and patient.length == 1


def always(monkeypatch):
    """A plateau at the fourth round."""

    def found(seen, patience, decides):
        return Plateau(seen[0].progress, 0.5) if len(seen) == 4 else None

    monkeypatch.setattr("hyoid.training.loop.find_plateau", found)


@pytest.mark.parametrize("stopped_at", [3, 8, 10])
def test_a_training_stopped_around_its_plateau_goes_on_bit_for_bit(tiny, tmp_path, monkeypatch, stopped_at):
    always(monkeypatch)
    changes = {"validation": 0.5}
    whole = tiny.fit(tmp_path / "whole", changes, steps=40)
    assert 0 < whole.steps < 40

    def interrupted(self, step):
        update(self, step)
        if step + 1 == stopped_at:
            signal.raise_signal(signal.SIGINT)

    update = Average.update
    with monkeypatch.context() as patched:
        patched.setattr(Average, "update", interrupted)
        with pytest.raises(KeyboardInterrupt):
            tiny.fit(tmp_path / "parts", changes, steps=40)
    parts = tiny.fit(tmp_path / "parts", changes, steps=40, resume=True)
    assert (parts.steps, parts.scores, parts.length) == (whole.steps, whole.scores, whole.length)
    one, other = (read_checkpoint(tmp_path / name / "last.safetensors")[0] for name in ("whole", "parts"))
    assert all((one[name] == other[name]).all() for name in one)
    one, other = (read_curves(tmp_path / name) for name in ("whole", "parts"))
    assert {name: one[name] for name in one if name != "seconds"} == {n: other[n] for n in other if n != "seconds"}
