"""The rule that candidates are chosen by."""

from __future__ import annotations

from typing import Any

import pytest

from hyoid.planning.learning import Candidate, Facts, Target, expected_learning, learning_factors

FACTS = Facts((1.0, 1.0), (Target(10.0, (200.0, 200.0)),))


def learning(seconds: float = 600, facts: Facts = FACTS, **changes: Any) -> float:
    values = {
        "dims": 2,
        "spacing_mm": (1.0, 1.0),
        "patch": (192, 192),
        "batch": 4,
        "net": "unet",
        "channels": (16, 32, 64),
        "seconds_per_step": 0.6,
    }
    return expected_learning(Candidate(**{**values, **changes}), facts, seconds)


@pytest.mark.parametrize(
    ("worse", "better"),
    [
        ({"seconds_per_step": 1.0}, {"seconds_per_step": 0.5}),
        ({"channels": (16, 32)}, {"channels": (24, 48)}),
        ({"batch": 2}, {"batch": 4}),
        ({"patch": (96, 96)}, {"patch": (128, 96)}),
        ({"spacing_mm": (2.0, 2.0), "patch": (400, 400)}, {"spacing_mm": (1.5, 1.5), "patch": (400, 400)}),
        ({"seconds": 300}, {"seconds": 600}),
    ],
)
def test_more_of_anything_at_the_same_cost_is_better(worse: dict[str, Any], better: dict[str, Any]) -> None:
    assert learning(**worse) < learning(**better)


def test_factors_lie_between_nothing_and_one() -> None:
    row = Candidate(
        dims=2, spacing_mm=(9.0, 9.0), patch=(8, 8), batch=1, net="unet", channels=(1, 2), seconds_per_step=1e6
    )
    assert all(0 < factor <= 1 for factor in learning_factors(row, FACTS, 1.0).values())


def test_a_patch_beyond_what_is_needed_gains_nothing() -> None:
    assert learning(patch=(256, 256)) == learning(patch=(512, 512))


def test_a_wide_net_pays_in_a_long_time_only() -> None:
    narrow, wide = {"channels": (16, 32), "seconds_per_step": 0.6}, {"channels": (32, 64), "seconds_per_step": 1.8}
    assert learning(seconds=600, **narrow) > learning(seconds=600, **wide)
    assert learning(seconds=12000, **narrow) < learning(seconds=12000, **wide)


def test_coarse_voxels_cost_thin_structures_more_than_thick_ones() -> None:
    vessels, head = (Facts((1.0, 1.0), (Target(fine, (160.0, 160.0)),)) for fine in (4.0, 150.0))
    coarse = {"spacing_mm": (2.0, 2.0)}
    assert learning(facts=vessels, **coarse) < 0.5 * learning(facts=vessels)
    assert learning(facts=head, **coarse) > 0.95 * learning(facts=head)


def test_many_structures_ask_for_more_steps() -> None:
    many = Facts((1.0, 1.0), FACTS.targets * 60)
    assert learning(facts=many) < learning(facts=FACTS)


def test_time_beyond_the_last_step_gains_nothing() -> None:
    row = Candidate(
        dims=2, spacing_mm=(1.0, 1.0), patch=(96, 96), batch=2, net="unet", channels=(8, 16), seconds_per_step=0.1
    )
    assert expected_learning(row, FACTS, 100, most_steps=50) == expected_learning(row, FACTS, 1000, most_steps=50)
