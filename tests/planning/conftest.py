"""Made-up fingerprints, and a clock that is arithmetic."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from hyoid.nets.unet import UNetSpec
from hyoid.planning.budget import load_of
from hyoid.planning.fingerprint import ChannelFacts, Fingerprint, StructureFacts
from hyoid.planning.measure import CaseFacts

Timer = Callable[[UNetSpec, Sequence[int], int, str], float]


@pytest.fixture
def fingerprint_of() -> Callable[..., Fingerprint]:
    """A data set whose cases are all alike."""

    def build(
        shape: tuple[int, ...],
        spacing_mm: tuple[float, ...] | None = None,
        num_cases: int = 20,
        channels: int = 1,
        structures: int = 1,
        width_mm: float = 20.0,
        fine_mm: float | None = None,
        num_objects: float = 1,
        share: float = 0.05,
        orientation: str = "SAR",
        modality: str = "general",
        **changes: Any,
    ) -> Fingerprint:
        case = CaseFacts(
            id="case",
            shape=shape,
            content_shape=shape,
            spacing_mm=spacing_mm or (1.0,) * len(shape),
            orientation=orientation if len(shape) == 3 else "",
            calibrated=spacing_mm is not None,
        )
        numbers = {"mean": 50, "median": 50, "std": 20, "minimum": -10, "maximum": 200, "low": -5, "high": 150}
        objects = {"share": share / structures, "num_objects": num_objects, "extent_mm": 2 * width_mm}
        facts = {
            "dims": len(shape),
            "channels": [
                ChannelFacts(name=f"channel_{i}", modality=modality, num_samples=1000, **numbers)
                for i in range(channels)
            ],
            "structures": [
                StructureFacts(
                    name=f"s{i}", num_cases=num_cases, width_mm=width_mm, fine_mm=fine_mm or width_mm / 2, **objects
                )
                for i in range(structures)
            ],
            "num_labelled": num_cases,
            "content_share": 1.0,
            "object_share": share,
            "cases": [case.model_copy(update={"id": f"case_{i}"}) for i in range(num_cases)],
        }
        return Fingerprint.parse({**facts, **changes})

    return build


@pytest.fixture
def clock() -> Callable[..., Timer]:
    """A machine of a given speed that runs bf16 a given factor faster, and counts what it was asked."""

    def build(flops: float = 200e9, bf16: float = 2.0, asked: list[Any] | None = None) -> Timer:
        def seconds(spec: UNetSpec, patch: Sequence[int], batch: int, precision: str) -> float:
            if asked is not None:
                asked.append((spec, tuple(patch), batch, precision))
            speed = flops * (bf16 if precision == "bf16-mixed" else 1.0)
            return 3 * batch * load_of(spec, patch).flops / speed + 1e-4 * math.sqrt(batch)

        return seconds

    return build


@pytest.fixture(autouse=True)
def trusted_gradients(monkeypatch):
    """Plans of these tests are not carried out; `test_gradients` looks at gradients."""
    monkeypatch.setattr("hyoid.planning.planner.wrong_gradients", lambda spec, patch, batch: [])
