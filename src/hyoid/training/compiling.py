"""Whether torch.compile pays for the steps that are left: foreseen, then tried on a batch, and told.

A trial needs a minute on a processor; it is made only where that is little beside what it may save.
"""

from __future__ import annotations

import shutil
import statistics
import time
import warnings
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ..core.duration import duration

COST_SECONDS = {"cpu": 100.0, "cuda": 90.0}
"""What compiling the forward and the backward pass of a U takes, about."""

SAVING = {"cpu": 0.05, "cuda": 0.25}
"""Share of a step that compiling may save, about; on processors maps lie well already (docs/decisions/compile.md)."""

MARGIN = 2.0
"""How many times its cost a trial must be expected to bring."""

REPEATS = 3
"""Steps that are measured of either kind."""


class Trial(NamedTuple):
    """What compiling was found to cost and to bring.

    Attributes:
        seconds: Of compiling, once.
        before: Seconds of the passes of a step as they are.
        after: The same, compiled.
    """

    seconds: float
    before: float
    after: float

    @property
    def pays(self) -> bool:
        """Whether compiled steps are faster; what compiling cost is spent by then."""
        return self.after < 0.97 * self.before

    def describe(self, steps: float, kept: bool) -> str:
        """All of it in a sentence, for so many steps that are left."""
        told = f"torch.compile: {duration(self.seconds)} once, a step {self.after:.2g} instead of {self.before:.2g} s"
        if self.pays:
            even = self.seconds / (self.before - self.after)
            told += f"; pays from step {even:,.0f} of the {steps:,.0f} that are left"
        return f"{told}: {'compiled steps' if kept else 'steps as they were'} from here on."


def lacking(device: torch.device) -> str | None:
    """What torch.compile needs and this machine does not have; None when nothing is lacking."""
    if device.type == "cuda":
        from torch.utils._triton import has_triton

        return None if has_triton() else "Triton"
    if device.type != "cpu":
        return f"a compiler for {device.type}"
    from torch._inductor import config

    return None if any(name and shutil.which(name) for name in config.cpp.cxx) else "a C++ compiler such as g++"


def worth_a_trial(left_seconds: float, device: torch.device) -> bool:
    """Whether compiling may save several times its cost in the time that is left."""
    kind = device.type
    return kind in SAVING and SAVING[kind] * left_seconds > MARGIN * COST_SECONDS[kind]


def try_compiled(module: nn.Module, passes: Callable[[], None]) -> Trial:
    """Compile the forward of a module in place, so that names of weights stay, and measure what it brings.

    Args:
        module: In training; its running statistics are what they were afterwards.
        passes: Goes forward and backward through it, on a batch of the usual shape.

    Raises:
        Exception: Whatever the compiler raises; the module is as before then.
    """
    buffers: list[Tensor] = [buffer.clone() for buffer in module.buffers()]
    try:
        before = _typical(passes)
        begin = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # compilers warn of their own workings
            module.compile(dynamic=False)
            passes()
        seconds = time.perf_counter() - begin
        return Trial(seconds, before, _typical(passes))
    except Exception:
        undo(module)
        raise
    finally:
        for buffer, kept in zip(module.buffers(), buffers, strict=True):
            buffer.data.copy_(kept)


def undo(module: nn.Module) -> None:
    """Compute the module as it was before it was compiled."""
    module._compiled_call_impl = None


def _typical(passes: Callable[[], None]) -> float:
    passes()
    times = []
    for _ in range(REPEATS):
        begin = time.perf_counter()
        passes()
        times.append(time.perf_counter() - begin)
    return statistics.median(times)
