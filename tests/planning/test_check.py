"""What fits no data set is refused before any is read."""

from __future__ import annotations

from typing import Any

import pytest

from hyoid.core.errors import ConfigError
from hyoid.planning.check import check_settings
from hyoid.planning.settings import PlanningSettings


@pytest.mark.parametrize(
    ("fixed", "message"),
    [
        ({"policy": "lihgt"}, r"planning\.policy: No policy is called 'lihgt'\. Did you mean 'light'"),
        ({"net": "weird"}, r"planning\.net: No net is called 'weird'"),
        ({"norm": "weird"}, r"planning\.norm: .*'weird'"),
        ({"intensity": ("ct", "foo")}, r"planning\.intensity: No intensity scheme is called 'foo'"),
        ({"mirror_axes": (0, 7)}, r"planning\.mirror_axes has axis 7; the axes of the images are \[0, 1, 2\]"),
        ({"mirror_axes": (-1,)}, r"planning\.mirror_axes has axis -1"),
        ({"mirror_axes": (2,), "spacing_mm": (1.0, 1.0)}, r"planning\.mirror_axes has axis 2"),
        ({"patch": (32,)}, r"planning\.patch needs 2 or 3 positive numbers; got \[32\]"),
        ({"patch": (32, 0)}, r"planning\.patch needs 2 or 3 positive numbers"),
        ({"patch": (32, 32), "dims": 3}, r"planning\.patch needs 3 numbers"),
        ({"spacing_mm": (1.0, 1.0, 1.0, 1.0)}, r"planning\.spacing_mm needs 2 or 3"),
    ],
)
def test_what_fits_no_data_is_told_in_a_sentence(fixed: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        check_settings(PlanningSettings(**fixed))


def test_what_may_fit_is_accepted() -> None:
    check_settings(PlanningSettings())
    check_settings(PlanningSettings(policy="strong", net="unet", norm="batch", intensity=("ct",), mirror_axes=(0, 2)))
    check_settings(PlanningSettings(patch=(1, 64, 64), dims=2, spacing_mm=(3.0, 1.0, 1.0)))
