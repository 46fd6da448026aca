"""Time and memory of training steps: measured on this machine, or by a fixed nominal speed."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from ..nets.cost import cost, cost_of, without_numbers
from ..nets.net import NetSpec
from ..nets.unet import UNetSpec
from .container import left_and_limit
from .settings import Precision

Timer = Callable[[NetSpec, Sequence[int], int, Precision], float]
"""Seconds of one training step of a net on patches of this shape, in batches of this size."""

BACKWARD = 3.0
"""Operations of a training step in units of its forward pass."""

AGAIN = 0.5
"""Operations that computing maps again adds, in units of the forward pass: all but the finest decoder level."""

_LOSS = 4.0  # logits in 32 bits, their logarithms, probabilities and the target of each channel
_UPDATE = 8.0  # an update of a weight reads and writes it, its gradient, two moments and the running average
_WEIGHT_BYTES = 4 * 5  # weight, gradient, two moments of the optimiser, running average
_KEPT = {"32-true": 1.5, "bf16-mixed": 0.9, "16-mixed": 0.9}  # of the kept values in 32 bits, gradients on top
_LIBRARIES_GB = 0.9  # with prefetched patches and the answers to validation cases; six trainings took 0.75 to 1.05


class Load(NamedTuple):
    """What one sample costs: weights, operations of a training step in units of `BACKWARD`, and numbers kept for it."""

    parameters: int
    flops: float
    values: float


class Speed(NamedTuple):
    """How fast a machine trains: operations per second, and numbers it can move per second."""

    flops: float
    values: float

    def seconds(self, load: Load, batch: int) -> float:
        """Expected time of a training step."""
        operations, moved = _work(load, batch)
        return operations / self.flops + moved / self.values


def _work(load: Load, batch: int) -> tuple[float, float]:
    """Operations of a training step, and numbers it moves between processor and memory."""
    return batch * BACKWARD * load.flops, batch * load.values + _UPDATE * load.parameters


NOMINAL = Speed(200e9, 1e9)
"""The machine that plans made for a number of steps are meant for: two cores of a server of 2024."""

NOMINAL_SECONDS = 0.6
"""Time of a step on that machine which a number of steps stands for."""

UNIT = {2: 128, 3: 48}
"""Edge of the patch on which a net that is no U is measured."""


@lru_cache(maxsize=512)
def _unit_cost(spec: NetSpec) -> tuple[Load, float]:
    if isinstance(spec, UNetSpec):
        shape = tuple(8 * math.prod(axis) for axis in zip(*spec.strides, strict=True))
    else:
        shape = fitting_patch(spec, (UNIT[spec.dims],) * spec.dims)
    found = cost_of(_net(spec), spec.in_channels, shape)
    return Load(found.parameters, found.flops, found.activation_values), float(math.prod(shape))


_net = lru_cache(maxsize=64)(without_numbers)


def fitting_patch(spec: NetSpec, patch: Sequence[int]) -> tuple[int, ...]:
    """The smallest patch that the net accepts and that is at least this large."""
    return _net(spec).fitting_shape(patch)


def is_padded(spec: NetSpec) -> bool:
    """Whether the answer of the net is as large as its input."""
    return not any(_net(spec).margin)


def load_of(spec: NetSpec, patch: Sequence[int]) -> Load:
    """What one patch costs, the loss included; operations and maps of a padded net grow with its voxels.

    Attention grows faster, but hardly counts at the sizes of patches.
    """
    loss = _LOSS * spec.out_channels * math.prod(patch)
    again = 1 + AGAIN / BACKWARD * getattr(spec, "recompute", False)
    if not is_padded(spec):
        found = cost(spec, patch)
        return Load(found.parameters, found.flops * again, found.activation_values + loss)
    unit, voxels = _unit_cost(spec)
    scale = math.prod(patch) / voxels
    return Load(unit.parameters, unit.flops * scale * again, unit.values * scale + loss)


def training_gb(load: Load, batch: int, precision: Precision) -> float:
    """Memory of a training step, the libraries included."""
    return _LIBRARIES_GB + (load.parameters * _WEIGHT_BYTES + batch * load.values * 4 * _KEPT[precision]) / 1e9


def prediction_gb(load: Load, batch: int) -> float:
    """Memory of the net on a batch of tiles without gradients; maps are freed on the way."""
    return _LIBRARIES_GB + (load.parameters * 4 + batch * load.values * 4 * 0.4) / 1e9


def available_gb(device: str, free: bool = True) -> float:
    """Memory training may use: 70 % of what is free, or half of what there is (which does not change)."""
    return 0.7 * _left_and_total(device)[0] / 1e9 if free else 0.5 * total_gb(device)


def total_gb(device: str) -> float:
    """Memory of the machine, of this container or of the card."""
    return _left_and_total(device)[1] / 1e9


def _left_and_total(device: str) -> tuple[float, float]:
    """Bytes that are free, and all."""
    if device.startswith("cuda"):
        import torch

        return torch.cuda.mem_get_info(device)
    import psutil

    memory, (left, limit) = psutil.virtual_memory(), left_and_limit()
    return min(memory.available, left), min(memory.total, limit)


def precisions(device: str) -> tuple[Precision, ...]:
    """Number formats the device computes in, the one that its hardware favours first."""
    import torch

    if device.startswith("cuda"):
        with torch.cuda.device(device):  # what is asked next tells of the current device
            return ("bf16-mixed", "32-true") if torch.cuda.is_bf16_supported(False) else ("16-mixed", "32-true")
    if device == "cpu" and torch.ops.mkldnn._is_mkldnn_bf16_supported():
        return ("bf16-mixed", "32-true")
    return ("32-true",)


@dataclass(frozen=True)
class Stopwatch:
    """Times training steps of nets on random images, with the repeatable operations of cuDNN, as training has them.

    Attributes:
        seconds: Time one measurement may take; one step is always measured after one that warms up.
    """

    device: str = "cpu"
    seconds: float = 3.0

    def __call__(self, spec: NetSpec, patch: Sequence[int], batch: int, precision: Precision) -> float:
        """The median time of a step; infinite when the memory does not suffice."""
        import torch

        before, torch.backends.cudnn.deterministic = torch.backends.cudnn.deterministic, True
        try:
            return self._median(spec, patch, batch, precision)
        except (RuntimeError, MemoryError) as error:
            if not _lacks_memory(error):
                raise
            return math.inf
        finally:
            torch.backends.cudnn.deterministic = before
            torch.cuda.empty_cache()  # else what torch keeps of this step would count as used from now on

    def _median(self, spec: NetSpec, patch: Sequence[int], batch: int, precision: Precision) -> float:
        step = _training_step(spec, patch, batch, precision, self.device)
        start = time.perf_counter()
        step()
        times: list[float] = []
        while not times or (time.perf_counter() - start + min(times) < self.seconds and len(times) < 10):
            begin = time.perf_counter()
            step()
            times.append(time.perf_counter() - begin)
        return float(np.median(times))


_NO_MEMORY = ("out of memory", "not enough memory", "allocate memory", "alloc_failed", "allocation_failed")


def _lacks_memory(error: Exception) -> bool:
    """Whether it says so; torch's allocator on processors, cuBLAS and cuDNN have only words for it, no class."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)


def _training_step(
    spec: NetSpec, patch: Sequence[int], batch: int, precision: Precision, device: str
) -> Callable[[], None]:
    import torch
    from torch.nn.functional import cross_entropy

    flat = tuple(patch)[-spec.dims :]
    # Random numbers of its own, so that planning does not change what training draws.
    generator = torch.Generator().manual_seed(0)
    with torch.random.fork_rng(devices=[]):
        net = spec.build().to(device).train()
    image = torch.randn(batch, spec.in_channels, *flat, generator=generator).to(device)
    answer = net.output_shape(flat)
    target = torch.randint(0, spec.out_channels, (batch, *answer), generator=generator).to(device)
    optimiser = torch.optim.AdamW(net.parameters(), lr=1e-4, fused=True)
    kind = torch.float16 if precision == "16-mixed" else torch.bfloat16
    cuda = device.startswith("cuda")

    def step() -> None:
        optimiser.zero_grad()
        with torch.autocast(device.split(":")[0], kind, enabled=precision != "32-true"):
            logits = net(image)
            loss = cross_entropy(logits[0].float(), target) + sum(coarse.float().mean() for coarse in logits[1:])
        loss.backward()
        optimiser.step()
        if cuda:
            torch.cuda.synchronize(device)

    return step


def step_seconds(timer: Timer, spec: UNetSpec, patch: Sequence[int], batch: int, precision: Precision) -> float:
    """Time of a step that may be too large to try: measured on a small patch and scaled by operations."""
    divisor = [math.prod(axis) for axis in zip(*spec.strides, strict=True)]
    small = list(patch)
    while spec.padding == "same" and BACKWARD * load_of(spec, small).flops > 60e9:
        axis = max(range(len(small)), key=lambda axis: small[axis] / divisor[axis])
        if small[axis] <= 2 * divisor[axis]:
            break
        small[axis] -= divisor[axis]
    tried = batch if tuple(small) == tuple(patch) and batch * BACKWARD * load_of(spec, small).flops < 60e9 else 1
    scale = batch * math.prod(patch) / (tried * math.prod(small))
    return scale * timer(spec, tuple(small), tried, precision)


def fitted_speed(loads: Sequence[tuple[Load, int]], seconds: Sequence[float]) -> Speed:
    """The speed that explains measured steps (the load of a sample, the batch) best, each weighted alike."""
    from scipy.optimize import nnls

    rows = [_work(load, batch) for load, batch in loads]
    matrix = np.asarray(rows, float) / np.asarray(seconds, float)[:, None]
    scale = matrix.max(axis=0)
    found, _ = nnls(matrix / scale, np.ones(len(rows)))
    per_flop, per_value = found / scale
    return Speed(1 / max(per_flop, 1e-18), 1 / max(per_value, 1e-18))


def resolved_device(device: str) -> str:
    """The device itself where "auto" is asked for: a GPU when there is one."""
    import torch

    if device != "auto":
        return device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"
