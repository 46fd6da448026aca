"""What keeps a GPU from waiting: batches one ahead on a stream of their own, and a processor that does not run away.

On the processor nothing here does anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Mapping
from typing import Any, Literal

import torch

from ..core.case import Batch

AugmentOn = Literal["auto", "cpu", "device"]


def augments(where: AugmentOn, device: torch.device) -> bool:
    """Whether the device computes the augmentation itself; by default GPUs do."""
    return where == "device" or (where == "auto" and device.type == "cuda")


Batches = Mapping[str, Batch]
"""A batch of each stream."""


def one_ahead(batches: Generator[Batches, None, None], device: torch.device) -> Generator[Batches, None, None]:
    """The same batches; on a GPU each is sent and made while the net is busy with the one before.

    A stream of its own has the copies and the augmentation; the stream of the net waits for what it needs of it, the
    processor for neither.
    """
    if device.type != "cuda":
        yield from batches
        return
    stream = torch.cuda.Stream(device)

    def following() -> tuple[Batches, Any]:
        with torch.cuda.stream(stream):
            return next(batches), stream.record_event()

    try:
        coming = following()
        while True:
            streams, made = coming
            coming = following()
            current = torch.cuda.current_stream(device)
            current.wait_event(made)
            for batch in streams.values():
                for tensor in batch.tensors.values():
                    tensor.record_stream(current)  # else its memory could be given away while the net reads it
            yield streams
    finally:
        batches.close()


WAITED_FOR = 3
"""Steps at the beginning whose time is measured one by one."""


class Leash:
    """Lets the processor be at most two steps ahead of a GPU, so that a step lasts as long as it seems to.

    The first steps are waited for: what they last is all that is known when the training is planned.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.handed = 0
        self.steps: deque[Any] = deque()

    def step(self) -> None:
        """A step was handed to the device; wait for the one before the last."""
        if self.device.type != "cuda":
            return
        self.handed += 1
        self.steps.append(torch.cuda.current_stream(self.device).record_event())
        while len(self.steps) > (0 if self.handed <= WAITED_FOR else 2):
            self.steps.popleft().synchronize()
