"""Plans as a whole."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from hyoid.core.errors import ConfigError, HyoidError
from hyoid.core.labels import Labels
from hyoid.nets.family.build import build_spec
from hyoid.planning.budget import load_of
from hyoid.planning.plan import Plan
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.tasks import Task, task_for

ONE = task_for(Labels.of({1: "s0"}))
SMALL = PlanningSettings(memory_gb=4, channels=(8, 16, 32))


def fits(plan: Plan) -> bool:
    divisor = [math.prod(axis) for axis in zip(*plan.net.strides, strict=True)]
    return all(n % d == 0 for n, d in zip(plan.patch[-plan.dims :], divisor, strict=True))


def test_a_plan_for_steps_is_the_same_every_time_and_measures_nothing(fingerprint_of, clock) -> None:
    asked: list[Any] = []
    fingerprint = fingerprint_of((256, 256))
    plans = [
        make_plan(fingerprint, ONE, SMALL, steps=500, calibrate=clock(flops, asked=asked), device="cpu")
        for flops in (1e9, 1e12)
    ]
    assert plans[0] == plans[1] and not asked
    assert plans[0].expected.steps == 500


def test_a_slow_machine_gets_a_smaller_step_than_a_fast_one(fingerprint_of, clock) -> None:
    fingerprint = fingerprint_of((256, 256))
    settings = PlanningSettings(memory_gb=16, patch=(192, 192))
    slow, fast = (
        make_plan(fingerprint, ONE, settings, seconds=600, calibrate=clock(flops), device="cpu")
        for flops in (20e9, 5e12)
    )
    assert slow.candidates[0].gflops < fast.candidates[0].gflops
    assert slow.net.channels[0] < fast.net.channels[0]
    assert slow.expected.steps > 300
    assert fits(slow) and fits(fast)


def test_more_time_gives_a_wider_net(fingerprint_of, clock) -> None:
    fingerprint = fingerprint_of((256, 256))
    settings = PlanningSettings(memory_gb=16, patch=(192, 192))
    short, long = (
        make_plan(fingerprint, ONE, settings, seconds=time, calibrate=clock(), device="cpu") for time in (120, 36000)
    )
    assert short.net.channels[0] < long.net.channels[0]
    assert (short.policy, long.policy) == ("light", "nnunet")
    assert long.net.deep_supervision and not short.net.deep_supervision


def test_the_chosen_candidate_was_measured_and_comes_first(fingerprint_of, clock) -> None:
    plan = make_plan(fingerprint_of((128, 128)), ONE, SMALL, seconds=300, calibrate=clock(), device="cpu")
    first = plan.candidates[0]
    assert first.measured and plan.expected.measured
    assert (first.patch, first.batch, first.channels) == (plan.patch, plan.batch, plan.net.channels)
    assert first.learning == max(row.learning for row in plan.candidates)
    assert plan.expected.seconds_per_step == first.seconds_per_step


def test_a_moment_of_slowness_does_not_change_the_plan(fingerprint_of, clock) -> None:
    asked: list[Any] = []
    calm, calls = clock(asked=asked), iter(range(1000))

    def planned(timer: Any) -> Plan:
        return make_plan(fingerprint_of((128, 128)), ONE, SMALL, seconds=300, calibrate=timer, device="cpu")

    plans = [planned(calm)]
    last = len(asked) - 1  # the chosen candidate itself

    def disturbed(*step: Any) -> float:
        return calm(*step) * (10 if next(calls) == last else 1)

    plans.append(planned(disturbed))
    assert (plans[0].patch, plans[0].batch) == (plans[1].patch, plans[1].batch)


def test_too_little_memory_is_told(fingerprint_of) -> None:
    with pytest.raises(HyoidError, match="memory"):
        make_plan(fingerprint_of((64, 64)), ONE, SMALL, seconds=60, calibrate=lambda *step: math.inf, device="cpu")


def test_the_faster_number_format_is_chosen(fingerprint_of, clock) -> None:
    fingerprint = fingerprint_of((128, 128))
    from hyoid.planning.budget import precisions

    for factor, expected in ((3.0, precisions("cpu")[0]), (0.3, "32-true")):
        plan = make_plan(fingerprint, ONE, SMALL, seconds=300, calibrate=clock(bf16=factor), device="cpu")
        assert plan.precision == expected


def test_the_format_is_decided_where_operations_take_longer_than_their_launch(fingerprint_of, monkeypatch) -> None:
    monkeypatch.setattr("hyoid.planning.planner.precisions", lambda device: ("bf16-mixed", "32-true"))
    monkeypatch.setattr("hyoid.planning.planner.total_gb", lambda device: 80.0)

    def card(spec, patch, batch, precision) -> float:
        launch, flops = (0.025, 150e12) if precision == "bf16-mixed" else (0.015, 40e12)
        return max(launch, 3 * batch * load_of(spec, patch).flops / flops)

    fingerprint = fingerprint_of((256, 256, 256), (1.0, 1.0, 1.0))
    plan = make_plan(fingerprint, ONE, PlanningSettings(memory_gb=60), seconds=3600, calibrate=card, device="cpu")
    assert plan.precision == "bf16-mixed"


def test_a_hopeless_format_is_timed_on_one_small_step(fingerprint_of, clock, monkeypatch) -> None:
    monkeypatch.setattr("hyoid.planning.planner.precisions", lambda device: ("bf16-mixed", "32-true"))
    settings, timed = PlanningSettings(memory_gb=4, patch=(192, 192)), {}
    for factor in (0.2, 0.8, 1.25, 5.0):
        asked: list[Any] = []
        timer = clock(1e12, bf16=factor, asked=asked)
        make_plan(fingerprint_of((256, 256)), ONE, settings, seconds=3600, calibrate=timer, device="cpu")
        slower = "bf16-mixed" if factor < 1 else "32-true"
        timed[factor] = sum(precision == slower for *_, precision in asked)
    assert timed == {0.2: 1, 0.8: 2, 1.25: 2, 5.0: 1}


def test_a_plan_keeps_to_the_memory(fingerprint_of, clock) -> None:
    fingerprint = fingerprint_of((256, 256, 256), (1.0, 1.0, 1.0))
    settings = PlanningSettings(memory_gb=1.5, channels=(16, 32, 64))
    plan = make_plan(fingerprint, ONE, settings, seconds=3600, calibrate=clock(1e13), device="cpu")
    assert plan.expected.memory_gb <= 1.5


def test_where_nothing_fits_the_plan_is_the_smallest_and_says_what_it_needs(fingerprint_of, clock) -> None:
    fingerprint = fingerprint_of((256, 256, 256), (1.0, 1.0, 1.0))

    def planned(memory_gb: float) -> Plan:
        settings = PlanningSettings(memory_gb=memory_gb)
        return make_plan(fingerprint, ONE, settings, seconds=3600, calibrate=clock(1e13), device="cpu")

    ample, none = planned(4), planned(1e-6)
    assert all(none.expected.memory_gb <= row.memory_gb for row in (*none.candidates, *ample.candidates))
    assert any("warning: a training step needs about" in reason for reason in none.reasons)


def test_large_objects_in_large_images_are_planned_coarser(fingerprint_of) -> None:
    settings = PlanningSettings(memory_gb=8)
    head = fingerprint_of((540, 800), width_mm=350, fine_mm=150)
    vessels = fingerprint_of((540, 800), width_mm=13, fine_mm=4, num_objects=9)
    whole, fine = (make_plan(f, ONE, settings, steps=850, device="cpu") for f in (head, vessels))
    assert min(whole.spacing_mm or (1,)) >= 2
    assert all(n * s >= 0.7 * size for n, s, size in zip(whole.patch, whole.spacing_mm, (540, 800), strict=True))
    assert fine.spacing_mm is None and fine.preparation.spacing_mm is None
    assert any("coarser" in reason for reason in whole.reasons)


def test_axes_are_ordered_with_the_coarsest_first(fingerprint_of) -> None:
    fingerprint = fingerprint_of((320, 320, 20), (0.6, 0.6, 3.6), orientation="LPS")
    plan = make_plan(fingerprint, ONE, PlanningSettings(preset="nnunet"), steps=10, device="cpu")
    assert plan.orientation == "SRA"
    assert plan.spacing_mm == (3.6, 0.6, 0.6)
    assert plan.patch[0] <= 20 and plan.net.strides[1] == (1, 2, 2)


def test_cases_of_other_orientation_are_turned_before_medians(fingerprint_of) -> None:
    fingerprint = fingerprint_of((20, 320, 320), (3.6, 0.6, 0.6), num_cases=3)
    turned = fingerprint.cases[0].model_copy(
        update={
            "shape": (320, 320, 20),
            "content_shape": (320, 320, 20),
            "spacing_mm": (0.6, 0.6, 3.6),
            "orientation": "RPI",
        }
    )
    mixed = fingerprint.model_copy(update={"cases": (turned, *fingerprint.cases[1:])})
    assert mixed.geometry() == fingerprint.geometry()


def test_single_slice_volumes_are_planned_for_a_2d_net(fingerprint_of) -> None:
    fingerprint = fingerprint_of((1, 128, 128), (8.0, 1.0, 1.0))
    plan = make_plan(fingerprint, ONE, SMALL, steps=20, device="cpu")
    assert plan.dims == 2 and plan.net.dims == 2
    assert plan.patch[0] == 1 and len(plan.patch) == 3
    assert plan.preparation.spacing_mm == (None, 1.0, 1.0)
    assert any("spacing 1x1 in slices that lie as in the files" in line for line in plan.describe())
    assert any("volumes are cut into slices" in reason for reason in plan.reasons)


def test_a_net_made_for_another_purpose_says_so(fingerprint_of) -> None:
    settings = SMALL.changed({"net": "w_net"})
    plan = make_plan(fingerprint_of((128, 128), (1.0, 1.0)), ONE, settings, steps=20, device="cpu")
    assert any("without annotation" in reason for reason in plan.reasons)


def test_left_and_right_pairs_are_not_mirrored_across(fingerprint_of) -> None:
    task = task_for(Labels.of({1: "left kidney", 2: "right kidney"}))
    fingerprint = fingerprint_of((64, 64, 64), (1.0, 1.0, 1.0), structures=2, num_objects=30)
    plan = make_plan(fingerprint, task, SMALL, steps=20, device="cpu")
    assert plan.orientation == "SAR" and plan.mirror_axes == (0, 1)
    assert any("pair" in reason for reason in plan.reasons)


def test_structures_known_by_their_place_are_mirrored_across_only(fingerprint_of) -> None:
    one, many = (
        make_plan(fingerprint_of((64, 64, 64), (1.0, 1.0, 1.0), num_objects=n), ONE, SMALL, steps=20, device="cpu")
        for n in (1, 30)
    )
    assert one.mirror_axes == (2,)
    assert many.mirror_axes == (0, 1, 2)


@pytest.mark.parametrize(("modality", "scheme"), [("ct", "ct"), ("general", "zscore"), ("rgb", "rgb")])
def test_intensity_scheme_follows_what_the_numbers_are(fingerprint_of, modality: str, scheme: str) -> None:
    fingerprint = fingerprint_of((64, 64), channels=3, modality=modality)
    plan = make_plan(fingerprint, ONE, SMALL, steps=20, device="cpu")
    assert [one.scheme for one in plan.preparation.intensity] == [scheme] * 3
    if scheme == "ct":
        assert plan.preparation.intensity[0].options == {"lower": -5, "upper": 150, "mean": 50, "std": 20}


def test_tiny_objects_are_sampled_more_often(fingerprint_of) -> None:
    shares = [
        make_plan(fingerprint_of((64, 64), share=share), ONE, SMALL, steps=20, device="cpu").foreground_share
        for share in (0.2, 0.005, 0.0002)
    ]
    assert shares == sorted(shares) and shares[0] == 0.33 and shares[2] > 0.6


def test_everything_can_be_fixed(fingerprint_of) -> None:
    settings = PlanningSettings(
        memory_gb=4,
        spacing_mm=(2.0, 2.0, 2.0),
        orientation="RAS",
        patch=(32, 16, 16),
        batch=3,
        channels=(8, 16, 24),
        norm="batch",
        precision="32-true",
        policy="strong",
        mirror_axes=(1,),
        foreground_share=0.9,
        batch_dice=True,
        deep_supervision=True,
        crop="content",
        intensity=("percentiles",),
    )
    fingerprint = fingerprint_of((64, 64, 64), (1.0, 1.0, 1.0), channels=2)
    plan = make_plan(fingerprint, ONE, settings, steps=20, device="cpu")
    assert (plan.spacing_mm, plan.orientation, plan.patch, plan.batch) == ((2.0, 2.0, 2.0), "RAS", (32, 16, 16), 3)
    assert (plan.net.channels, plan.net.norm, plan.net.deep_supervision) == ((8, 16, 24), "batch", True)
    assert (plan.precision, plan.policy, plan.mirror_axes, plan.batch_dice) == ("32-true", "strong", (1,), True)
    assert plan.foreground_share == 0.9 and plan.preparation.crop == "content"
    assert [one.scheme for one in plan.preparation.intensity] == ["percentiles"] * 2


@pytest.mark.parametrize("preset", ["auto", "nnunet"])
def test_a_plan_survives_yaml(fingerprint_of, preset: str, tmp_path) -> None:
    settings = PlanningSettings(preset=preset, channels=(8, 16, 32))
    plan = make_plan(fingerprint_of((64, 64)), ONE, settings, steps=20, device="cpu")
    plan.write(tmp_path / "plan.yaml")
    assert Plan.read(tmp_path / "plan.yaml") == plan


def test_a_plan_tells_its_candidates_and_marks_the_chosen_one(fingerprint_of) -> None:
    lines = make_plan(fingerprint_of((128, 128)), ONE, SMALL, steps=100, device="cpu").describe()
    heading = next(i for i, line in enumerate(lines) if "learning" in line and "s/step" in line)
    assert lines[heading + 1].startswith("*")
    assert not any(line.startswith("*") for line in lines[heading + 2 :])


@pytest.mark.parametrize(
    ("settings", "budget", "word"),
    [
        ({}, {"seconds": 10, "steps": 10}, "not both"),
        ({}, {"steps": 0}, "more than nothing"),
        ({"dims": 3}, {"steps": 10}, "planning.dims"),
        ({"spacing_mm": (1.0,)}, {"steps": 10}, "planning.spacing_mm"),
        ({"patch": (32,)}, {"steps": 10}, "planning.patch"),
        ({"intensity": ("ct", "ct")}, {"steps": 10}, "planning.intensity"),
        (
            {"mirror_axes": (2,)},
            {"steps": 10},
            r"planning\.mirror_axes has axis 2; the axes of the images are \[0, 1\]",
        ),
    ],
)
def test_what_does_not_fit_is_refused_in_a_sentence(fingerprint_of, settings, budget, word: str) -> None:
    with pytest.raises(ConfigError, match=word):
        make_plan(fingerprint_of((64, 64)), ONE, PlanningSettings(**settings), device="cpu", **budget)


def test_an_orientation_that_names_an_axis_twice_is_refused(fingerprint_of) -> None:
    fingerprint = fingerprint_of((64, 64, 64), (1.0, 1.0, 1.0))
    with pytest.raises(ConfigError, match=r"planning\.orientation"):
        make_plan(fingerprint, ONE, PlanningSettings(orientation="RLS"), steps=5, device="cpu")


def test_a_net_without_padding_gets_a_patch_it_accepts(fingerprint_of) -> None:
    settings = PlanningSettings(net="unet_original", channels=(4, 8, 16, 32, 64), patch=(572, 572), memory_gb=8)
    plan = make_plan(fingerprint_of((512, 512)), ONE, settings, steps=20, device="cpu")
    assert plan.patch == (572, 572) and plan.net.padding == "valid"


@pytest.mark.parametrize("name", ["unet_original", "unet3d", "vnet", "residual_unet", "nnunet_plain"])
def test_a_named_net_keeps_its_published_widths_kernels_and_levels(fingerprint_of, name: str) -> None:
    settings = PlanningSettings(net=name, memory_gb=16)
    plan = make_plan(fingerprint_of((96, 96, 96), (1.0, 1.0, 1.0)), ONE, settings, steps=20, device="cpu")
    published = build_spec(name, 3, 1, 2).channels[:5]
    assert plan.net.channels == published
    assert {row.channels for row in plan.candidates} == {published}
    assert plan.net.kernels[-1] == ((5, 5, 5) if name == "vnet" else (3, 3, 3))
    fixed = settings.model_copy(update={"channels": (8, 16, 32)})
    narrow = make_plan(fingerprint_of((96, 96, 96), (1.0, 1.0, 1.0)), ONE, fixed, steps=20, device="cpu")
    assert narrow.net.channels == (8, 16, 32)


def test_a_small_image_gets_as_many_levels_of_a_named_net_as_it_allows(fingerprint_of) -> None:
    plan = make_plan(fingerprint_of((36, 36, 36)), ONE, PlanningSettings(net="vnet"), steps=20, device="cpu")
    assert plan.net.channels == (16, 32, 64, 128)


@pytest.mark.parametrize("preset", ["auto", "nnunet"])
def test_more_levels_than_the_image_allows_are_refused(fingerprint_of, preset: str) -> None:
    settings = PlanningSettings(preset=preset, channels=(4, 8, 16, 32, 64))
    with pytest.raises(ConfigError, match="levels"):
        make_plan(fingerprint_of((16, 16)), ONE, settings, steps=20, device="cpu")


def test_an_edited_plan_that_contradicts_itself_is_refused(fingerprint_of) -> None:
    plan = make_plan(fingerprint_of((64, 64)), ONE, SMALL, steps=20, device="cpu")
    with pytest.raises(ConfigError, match="a 3D plan does not fit a 2D net"):
        plan.changed({"dims": 3})


def test_the_spacing_of_a_plan_is_kept_once(fingerprint_of) -> None:
    plan = make_plan(fingerprint_of((64, 64)), ONE, SMALL, steps=20, device="cpu")
    with pytest.raises(ConfigError, match="no setting 'spacing_mm'"):
        plan.changed({"spacing_mm": [2.0, 2.0]})
    assert plan.changed({"preparation.spacing_mm": [2.0, 2.0]}).spacing_mm == (2.0, 2.0)


def test_what_the_whole_machine_cannot_hold_is_refused(fingerprint_of, monkeypatch) -> None:
    monkeypatch.setattr("hyoid.planning.planner.total_gb", lambda device: 16.0)
    settings = PlanningSettings(patch=(64, 64), batch=100_000)
    with pytest.raises(ConfigError, match=r"GB of memory, and there are 16 GB in all.*planning.batch \(now 100000\)"):
        make_plan(fingerprint_of((64, 64)), ONE, settings, steps=4, device="cpu")


def test_a_spacing_that_is_no_spacing_is_refused(fingerprint_of) -> None:
    settings = PlanningSettings(spacing_mm=(1e-6, 1e-6))
    with pytest.raises(ConfigError, match=r"planning.spacing_mm = \[1e-06, 1e-06\].*which are .* mm; give millimetres"):
        make_plan(fingerprint_of((64, 64)), ONE, settings, steps=4, device="cpu")


def test_a_plan_for_steps_takes_them_also_when_each_is_large(fingerprint_of, monkeypatch) -> None:
    monkeypatch.setattr("hyoid.planning.planner.total_gb", lambda device: 1000.0)
    settings = PlanningSettings(patch=(400, 400, 400), memory_gb=2)
    plan = make_plan(fingerprint_of((64, 64, 64), (1.0, 1.0, 1.0)), ONE, settings, steps=4, device="cpu")
    assert plan.expected.steps == 4
    assert {row.steps for row in plan.candidates} == {4}
    assert "more than the 2 GB that --memory (planning.memory_gb) allows" in plan.reasons[0]


@pytest.mark.parametrize("preset", ["auto", "nnunet"])
def test_memory_that_does_not_suffice_is_a_warning(fingerprint_of, preset: str) -> None:
    fingerprint = fingerprint_of((64, 64))
    tight, wide = (
        make_plan(
            fingerprint,
            ONE,
            PlanningSettings(preset=preset, patch=(64, 64), batch=2, net="unet", memory_gb=memory),
            steps=4,
            device="cpu",
        )
        for memory in (0.01, 8)
    )
    assert tight.reasons[0].startswith("warning: a training step needs about")
    assert not any("warning" in reason for reason in wide.reasons)


def test_a_short_training_is_told_in_seconds_and_has_to_start(fingerprint_of) -> None:
    settings = PlanningSettings(patch=(32, 32), batch=1, channels=(4, 8))
    plan = make_plan(fingerprint_of((64, 64)), ONE, settings, steps=1, device="cpu")
    assert 3 < plan.expected.training_seconds < 10
    assert any(line.startswith("expected: 1 step of") and " in 4 s; memory" in line for line in plan.describe())


def test_maps_are_computed_again_where_the_memory_asks_for_it(fingerprint_of) -> None:
    fingerprint = fingerprint_of((512, 512))
    fixed = {"patch": (512, 512), "batch": 4, "channels": (32, 64, 128, 256)}
    plans = {
        (gigabytes, recompute): make_plan(
            fingerprint,
            ONE,
            PlanningSettings(memory_gb=gigabytes, recompute=recompute, precision="32-true", **fixed),
            steps=100,
            device="cpu",
        )
        for gigabytes, recompute in ((16, None), (4, None), (16, True), (4, False))
    }
    assert not plans[16, None].net.recompute and not plans[4, False].net.recompute
    assert plans[4, None].net == plans[16, True].net and plans[4, None].net.recompute
    assert plans[4, None].expected.memory_gb < 4 < plans[16, None].expected.memory_gb
    assert any("computed again" in reason for reason in plans[4, None].reasons)
    assert any("warning" in reason for reason in plans[4, False].reasons)
    assert plans[4, None].expected.prediction_gb == plans[16, None].expected.prediction_gb


@pytest.mark.parametrize("preset", ["auto", "nnunet"])
def test_memory_that_timing_takes_is_not_missed(fingerprint_of, clock, preset: str, monkeypatch) -> None:
    left, calm = [8.0], clock()
    monkeypatch.setattr("hyoid.planning.planner.available_gb", lambda device, free: left[0])

    def timer(*step: Any) -> float:
        left[0] = 0.0
        return calm(*step)

    settings = PlanningSettings(preset=preset, patch=(64, 64), batch=2, channels=(8, 16, 32))
    plan = make_plan(fingerprint_of((64, 64)), ONE, settings, seconds=60, calibrate=timer, device="cpu")
    assert left == [0.0]
    assert not any("warning" in reason for reason in plan.reasons)


class Finest(Task):
    """Two maps that the finest answer of a net learns."""

    labels = Labels.of({1: "a"})
    channels, structures, outputs, heads = 2, ("a",), ("depth", "rim"), 1


def test_a_task_that_teaches_one_answer_gets_a_net_that_gives_one(fingerprint_of):
    settings = SMALL.changed({"net": "unet_plus_plus"})
    assert make_plan(fingerprint_of((64, 64)), ONE, settings, steps=4, device="cpu").net.deep_supervision
    plan = make_plan(fingerprint_of((64, 64)), Finest(), settings, steps=4, device="cpu")
    assert not plan.net.deep_supervision and plan.net.out_channels == 2
    assert len(plan.net.build()(torch.zeros(1, 1, 64, 64))) == 1
    with pytest.raises(ConfigError, match="the task teaches the finest answer of a net only"):
        make_plan(fingerprint_of((64, 64)), Finest(), SMALL.changed({"deep_supervision": True}), steps=4, device="cpu")
