"""What keeps a training the same from run to run, and lets it end in order when interrupted."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import numpy as np
import torch

from ..core.stopping import Stop, current_stop, stopping

Made = TypeVar("Made")


def seed_step(seed: int, step: int) -> None:
    """Seed torch for one step, so that dropout needs no memory of the steps before."""
    torch.manual_seed(step_seed(seed, step))


def step_seed(seed: int, number: int) -> int:
    """A seed of its own for each number."""
    return int(np.random.SeedSequence((seed, number)).generate_state(1, np.uint64)[0] >> 1)


def seeded(build: Callable[[], Made], seed: int) -> Made:
    """What a function builds with this seed, such as a net's first weights; other random numbers stay as they are."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build()


@contextmanager
def repeatable(deterministic: bool, accelerator: str = "auto") -> Iterator[None]:
    """Inside the block, operations that give the same result each time, where that costs little.

    On GPUs this is cuDNN's choice of algorithms; a few operations, such as the gradient of linear up-sampling, have
    no repeatable form there.

    Args:
        deterministic: False leaves everything to chance and speed.
        accelerator: Where the block computes: "auto", "cpu", "cuda" or "mps".
    """
    before = torch.are_deterministic_algorithms_enabled(), torch.backends.cudnn.deterministic
    memory: Any = torch.utils.deterministic
    filled, benchmark = memory.fill_uninitialized_memory, torch.backends.cudnn.benchmark
    memory.fill_uninitialized_memory = False  # new tensors need no defined content, every value is written
    torch.use_deterministic_algorithms(deterministic and (accelerator == "cpu" or not torch.cuda.is_available()))
    torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = deterministic, not deterministic
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0])
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = before[1], benchmark
        memory.fill_uninitialized_memory = filled


STOPS = (signal.SIGINT, signal.SIGTERM)
"""Ctrl-C, and what clusters send before they kill."""


@contextmanager
def interruptible() -> Iterator[Stop]:
    """Inside the block the first Ctrl-C or SIGTERM only asks to stop; the second stops at once.

    What this gives heeds the stop of the surrounding work too. Progress inside the block raises nothing, so that the
    block can save its work first.
    """
    stop = Stop(within=current_stop())
    before = {number: signal.getsignal(number) or signal.SIG_DFL for number in STOPS}

    def ask(number: int, frame: object) -> None:
        stop.ask()
        signal.signal(number, before[signal.Signals(number)])

    with _handled(ask), stopping(Stop()):
        yield stop


@contextmanager
def deaf() -> Iterator[None]:
    """Inside the block nothing asks to stop; processes that begin in it stay so, from before they load anything."""
    with _handled(signal.SIG_IGN):
        yield


@contextmanager
def _handled(how: Any) -> Iterator[None]:
    """Inside the block signals to stop are handled like this; threads other than the main one may not say so."""
    may = threading.current_thread() is threading.main_thread()
    before = [(number, signal.signal(number, how) or signal.SIG_DFL) for number in STOPS if may]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
