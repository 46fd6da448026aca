"""Time and memory of training steps."""

from __future__ import annotations

import math
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
import torch

from hyoid.nets.cost import cost
from hyoid.nets.family.build import build_spec
from hyoid.planning import budget
from hyoid.planning.budget import (
    Load,
    Speed,
    Stopwatch,
    available_gb,
    fitted_speed,
    load_of,
    precisions,
    prediction_gb,
    step_seconds,
    training_gb,
)

SPEC = build_spec("unet", 2, 1, 2, channels=(4, 8, 16))


@pytest.mark.parametrize("patch", [(16, 16), (32, 48)])
def test_load_of_a_patch_is_what_the_net_costs_there(patch: tuple[int, int]) -> None:
    found, truth = load_of(SPEC, patch), cost(SPEC, patch)
    assert found.parameters == truth.parameters
    assert found.flops == pytest.approx(truth.flops, rel=1e-6)
    loss = 4 * SPEC.out_channels * math.prod(patch)
    assert found.values - loss == pytest.approx(truth.activation_values, rel=0.05)


def test_fitted_speed_explains_steps_of_a_known_machine() -> None:
    truth = Speed(150e9, 2e9)
    loads = [(Load(10_000, 1e9, 2e7), 4), (Load(90_000, 2e10, 4e7), 2), (Load(1_000_000, 6e10, 5e7), 1)]
    found = fitted_speed(loads, [truth.seconds(*load) for load in loads])
    assert found == pytest.approx(truth, rel=1e-3)


def test_one_measurement_is_enough_for_a_speed() -> None:
    load = Load(10_000, 1e9, 2e7)
    assert fitted_speed([(load, 4)], [0.5]).seconds(load, 8) == pytest.approx(1.0, rel=0.05)


def test_a_stopwatch_times_a_step_and_leaves_the_random_numbers_alone() -> None:
    torch.manual_seed(3)
    expected = torch.rand(1)
    torch.manual_seed(3)
    assert 0 < Stopwatch("cpu", 0.0)(SPEC, (16, 16), 2, "32-true") < 60
    assert torch.rand(1) == expected


def test_a_large_step_is_measured_on_a_small_patch() -> None:
    spec = build_spec("nnunet_plain", 3, 1, 2)
    asked: list[tuple[int, ...]] = []

    def timer(spec, patch, batch, precision) -> float:
        asked.append((*patch, batch))
        return batch * math.prod(patch) * 1e-6

    took = step_seconds(timer, spec, (128, 128, 128), 2, "32-true")
    assert took == pytest.approx(2 * 128**3 * 1e-6)
    assert math.prod(asked[0]) < 128**3


def test_memory_grows_with_batch_and_shrinks_in_half_precision() -> None:
    load = load_of(SPEC, (256, 256))
    assert training_gb(load, 8, "32-true") > training_gb(load, 4, "32-true") > training_gb(load, 4, "bf16-mixed")
    assert prediction_gb(load, 4) < training_gb(load, 4, "32-true")


def test_some_memory_is_available() -> None:
    assert 0 < available_gb("cpu") < 1e5
    assert available_gb("cpu", free=False) == available_gb("cpu", free=False)


def test_many_classes_cost_memory_in_the_loss() -> None:
    few, many = (training_gb(load_of(build_spec("unet", 3, 1, n), (64, 64, 64)), 2, "32-true") for n in (2, 62))
    assert many - few > 2 * 60 * 64**3 * 4 * 4 / 1e9


def test_number_formats_are_those_of_the_device_that_is_named(monkeypatch) -> None:
    current = ["cuda:0"]

    @contextmanager
    def device(name: str) -> Iterator[None]:
        current.append(name)
        yield
        current.pop()

    monkeypatch.setattr(torch.cuda, "device", device)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda emulated: current[-1] == "cuda:1")
    assert precisions("cuda:1") == ("bf16-mixed", "32-true")
    assert precisions("cuda:0") == ("16-mixed", "32-true")


def step_that(run: Callable[[], object]) -> Callable[..., Callable[[], object]]:
    """What makes a step that does this alone."""
    return lambda *asked: run


def test_what_a_step_held_is_gone_when_the_cache_is_emptied(monkeypatch) -> None:
    class Held:
        def __call__(self) -> None:
            raise MemoryError

    alive: list[bool] = []

    def made(*asked: object) -> Held:
        held = Held()
        known = weakref.ref(held)
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: alive.append(known() is not None))
        return held

    monkeypatch.setattr(budget, "_training_step", made)
    assert Stopwatch()(SPEC, (16, 16), 2, "32-true") == math.inf
    monkeypatch.setattr(Held, "__call__", lambda self: None)
    assert Stopwatch()(SPEC, (16, 16), 2, "32-true") < 1
    assert alive == [False, False]


@pytest.mark.parametrize(
    "words",
    [
        "CUDA out of memory. Tried to allocate 2.00 GiB.",
        "DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12",
        "DefaultCPUAllocator: not enough memory: you tried to allocate 9 bytes.",
        "CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`",
        "cuDNN error: CUDNN_STATUS_INTERNAL_ERROR_DEVICE_ALLOCATION_FAILED",
    ],
)
def test_a_step_that_the_memory_does_not_hold_takes_for_ever(words: str, monkeypatch) -> None:
    def run() -> None:
        raise RuntimeError(words)

    monkeypatch.setattr(budget, "_training_step", step_that(run))
    assert Stopwatch()(SPEC, (16, 16), 2, "32-true") == math.inf


def test_what_the_processor_cannot_allocate_takes_for_ever(monkeypatch) -> None:
    monkeypatch.setattr(budget, "_training_step", step_that(lambda: torch.empty(2**60, dtype=torch.uint8)))
    assert Stopwatch()(SPEC, (16, 16), 2, "32-true") == math.inf


def test_other_errors_of_a_step_are_told(monkeypatch) -> None:
    def run() -> None:
        raise RuntimeError("mat1 and mat2 shapes cannot be multiplied")

    monkeypatch.setattr(budget, "_training_step", step_that(run))
    with pytest.raises(RuntimeError, match="mat1"):
        Stopwatch()(SPEC, (16, 16), 2, "32-true")


def test_steps_are_timed_with_the_operations_of_cudnn_that_training_has(monkeypatch) -> None:
    before, seen = torch.backends.cudnn.deterministic, set()
    run = step_that(lambda: seen.add(torch.backends.cudnn.deterministic))
    monkeypatch.setattr(budget, "_training_step", run)
    Stopwatch("cpu", 0.0)(SPEC, (16, 16), 2, "32-true")
    assert seen == {True}
    assert torch.backends.cudnn.deterministic == before
