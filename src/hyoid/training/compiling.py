"""Whether torch.compile pays for the steps that are left: foreseen, then tried on a batch, and told.

A trial needs a minute on a processor; it is made only where that is little beside what it may save.
"""

from __future__ import annotations

import shutil
import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from ..core.duration import duration
from ..core.errors import ConfigError, HyoidError
from ..core.progress import log
from .clock import Clock

COST_SECONDS = {"cpu": 100.0, "cuda": 90.0}
"""What compiling the forward and the backward pass of a U takes, about."""

SAVING = {"cpu": 0.05, "cuda": 0.25}
"""Share of a step that compiling may save, about; on processors maps lie well already (docs/decisions/compile.md)."""

MARGIN = 2.0
"""How many times its cost a trial must be expected to bring."""

KNOWN = 5
"""Steps after which it is known how long one takes."""

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
            told += f"; pays from step {even:,.0f}" + (
                f" of the {steps:,.0f} that are left" if even <= steps else f", but only {steps:,.0f} are left"
            )
        elif kept:
            told += ", which never pays"
        return f"{told}: {'compiled steps' if kept else 'steps as they were'} from here on."


@dataclass
class Compiler:
    """Compiles the net of a training, once, if that is asked for, was decided before, or seems to pay.

    Attributes:
        wish: What is asked for. A number of steps gives the same weights each time, so there the clock must decide
            nothing: auto means no.
        device: Where the net is.
        clock: Where the training stands.
        compiled: What was decided; None until then.
    """

    wish: Literal["auto", "always", "never"]
    device: torch.device
    clock: Clock
    compiled: bool | None = None
    _tried: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        if self.wish == "always" and (need := lacking(self.device)):
            raise ConfigError(f"training.compile = always needs {need}, which is not here; install it, or say auto.")

    def consider(self, module: nn.Module, passes: Callable[[], None]) -> float:
        """Compile the module if its time has come; gives the seconds that took.

        Args:
            module: In training.
            passes: Goes forward and backward through it, on a batch of the usual shape.

        Raises:
            HyoidError: When it must be compiled and cannot be.
        """
        if self._tried or not self._due:
            return 0.0
        begin, self._tried = time.perf_counter(), True
        if self.wish == "auto" and (self._hopeless or lacking(self.device)):
            self.compiled = False
            return 0.0
        try:
            trial = try_compiled(module, passes)
        except Exception as error:  # compilers fail in as many ways as there are operations
            if self.wish == "always":
                raise HyoidError(
                    f"torch.compile cannot compute this net ({error}); set training.compile=never."
                ) from error
            log.warning("torch.compile cannot compute this net (%s); steps stay as they are.", type(error).__name__)
            self.compiled = False
            return time.perf_counter() - begin
        self.compiled = self.wish == "always" or self.compiled or trial.pays
        if not self.compiled:
            undo(module)
        log.info(trial.describe(self._steps_left(trial.before), self.compiled))
        return time.perf_counter() - begin

    @property
    def _due(self) -> bool:
        if self.wish == "never":
            return False
        known = self.clock.seconds is not None and self.clock.step >= KNOWN
        return self.wish == "always" or bool(self.compiled) or known

    @property
    def _hopeless(self) -> bool:
        if self.compiled is not None:
            return not self.compiled
        return not worth_a_trial(self.clock.left_seconds, self.device)

    def _steps_left(self, step_seconds: float) -> float:
        if self.clock.steps is not None:
            return self.clock.steps - self.clock.step
        return self.clock.left_seconds / (self.clock.step_seconds or step_seconds)


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
