"""Batches for training: cut, augmented and encoded by threads, a few ahead of the net; a GPU may do the latter two.

Every sample depends on (seed, number of the batch, place in the batch, stream) alone. So neither the timing of threads
nor stopping and going on ever changes what the net sees.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple, TypeVar

import torch
from torch import Tensor

from ..augmentation.device import augmented_on, portable
from ..augmentation.patches import Cut, Patch, augmented
from ..core.case import Batch
from ..core.errors import ConfigError
from ..core.machine import cores
from ..tasks.task import Task
from .sampler import OUTSIDE, Drawn, Sampler

CPU = torch.device("cpu")

Given = TypeVar("Given")


class Sample(NamedTuple):
    """One patch as it is learned from, without the halo.

    Attributes:
        case_id: Where it was cut.
        image: (C, *patch) float32.
        target: What the task's `encode` gave, of the size of the net's answer; None where the case has no truth.
        weight: (*target) weight in the loss, or None.
        other: A second image (C, *patch), or None.
        annotated: (K,) bool, which structures were annotated in the case; None when all were.
    """

    case_id: str
    image: Tensor
    target: Tensor | None = None
    weight: Tensor | None = None
    other: Tensor | None = None
    annotated: Tensor | None = None


@dataclass
class Feed:
    """Batches in order, prepared ahead by threads.

    Attributes:
        sampler: Draws the samples.
        dims: Spatial dimensions of the net; a patch with one voxel along its first axis is handed to a 2D net flat.
        workers: Threads.
        share: Which of how many devices the batch is for; of two, the second gets samples 1, 3, 5.
        device: Where batches are wanted.
        computes: Whether the device augments and encodes, so that threads only draw and read.
        feeds: For each stream how many of its batches are joined in one.
        unannotated: Background of partly labelled cases may be a structure that was not annotated: it is "ignored", or
            "kept" as background for a regime that reads `Batch.annotated`.
        ahead: Batches prepared before they are asked for.
        waited_seconds: Time the net had to wait so far.

    Raises:
        ConfigError: When there are no cases for a stream.
    """

    sampler: Sampler
    dims: int
    workers: int
    share: tuple[int, int] = (0, 1)
    device: torch.device = CPU
    computes: bool = False
    feeds: Mapping[str, int] = field(default_factory=lambda: {"labelled": 1})
    unannotated: Literal["ignored", "kept"] = "ignored"
    ahead: int = 3
    waited_seconds: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        for stream in self.feeds:
            self.sampler.cases(stream)

    def batches(self, first: int) -> Generator[dict[str, Batch], None, None]:
        """The batch `first` of each stream and all that follow, without end; close the iterator to stop the threads."""
        num_threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.workers, "patches", initializer=self._begin_thread)

        def ask(stream: str, number: int, index: int) -> Future[Sample | Drawn]:
            return pool.submit(self._sample, stream, number, index)

        try:
            waiting = deque(self._each(first + i, ask) for i in range(self.ahead))
            # A thread that sets its own number of threads also sets the default of the process.
            next(iter(waiting[0].values()))[0].exception()
            torch.set_num_threads(num_threads)
            number = first + self.ahead
            while True:
                begin = time.perf_counter()
                drawn = {stream: [each.result() for each in futures] for stream, futures in waiting.popleft().items()}
                self.waited_seconds += time.perf_counter() - begin
                waiting.append(self._each(number, ask))
                number += 1
                yield {stream: self._collate(samples) for stream, samples in drawn.items()}
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(num_threads)

    def batch(self, number: int) -> dict[str, Batch]:
        """The batch of this number of each stream, now and without threads."""
        return {stream: self._collate(samples) for stream, samples in self._each(number, self._sample).items()}

    def sample(self, number: int, index: int) -> Sample:
        """Sample `index` of the labelled batch `number`, now and by the processor."""
        return self._made(self.sampler.draw(number, index), augmented)

    def _each(self, number: int, give: Callable[[str, int, int], Given]) -> dict[str, list[Given]]:
        """What `give` makes of stream, number and index of all samples of the joined batches, those for this device."""
        rank, devices = self.share
        places = range(rank, self.sampler.batch, devices)
        return {
            stream: [give(stream, number * count + part, index) for part in range(count) for index in places]
            for stream, count in self.feeds.items()
        }

    @property
    def _pinned(self) -> bool:
        return self.device.type == "cuda"

    def _begin_thread(self) -> None:
        torch.set_num_threads(1)
        if self._pinned:
            torch.cuda.set_device(self.device)

    def _sample(self, stream: str, number: int, index: int) -> Sample | Drawn:
        """What a thread does for a sample: all of it, or what a device can go on from."""
        drawn = self.sampler.draw(number, index, stream)
        if not self.computes:
            return self._made(drawn, augmented)
        task = self.sampler.task
        if self._pinned and task.truth == "labels" and drawn.cut.parts.labels is not None:
            # A GPU is not asked whether it met an unknown value: it would have to be waited for.
            task.encode(torch.tensor([0, *self.sampler.store.voxels(drawn.case_id)]))
        other = None if drawn.other is None else portable(drawn.other, self._pinned)
        return drawn._replace(cut=portable(drawn.cut, self._pinned), other=other)

    def _made(self, drawn: Drawn, compute: Callable[[Cut], Patch]) -> Sample:
        """The sample, augmented by `compute` and encoded."""
        sampler, case_id = self.sampler, drawn.case_id
        annotated = None if all(drawn.annotated) else torch.tensor(drawn.annotated)
        patch = compute(drawn.cut)
        image = self._flat(patch.image, sampler.halo)
        other = None if drawn.other is None else self._flat(compute(drawn.other).image, sampler.halo)
        if patch.labels is None:
            return Sample(case_id, image, other=other, annotated=annotated)
        labels = self._flat(patch.labels, sampler.margin)
        truth = None if patch.target is None else self._flat(patch.target, sampler.margin)[None]
        partly = None if annotated is None or self.unannotated == "kept" else annotated[None].to(labels.device)
        target, counts = encode(sampler.task, labels, truth, partly)
        halo = sampler.halo[-self.dims :]
        weight = None if patch.weight is None else trimmed(self._flat(patch.weight, sampler.margin)[0], halo)
        if sampler.task.ignores == "weight":
            mask = trimmed(counts[0], halo)
            weight = mask.float() if weight is None else weight * mask
        return Sample(case_id, image, trimmed(target[0], halo), weight, other, annotated)

    def _flat(self, part: Any, ends: Sequence[int]) -> Tensor:
        """A part (C, *S) as a tensor without its ends, and with as many axes as the net has."""
        inner = trimmed(torch.as_tensor(part), ends)
        return inner.squeeze(1) if inner.ndim - 1 > self.dims else inner

    def _collate(self, drawn: Sequence[Sample | Drawn]) -> Batch:
        """A batch on the device."""
        task, compute = self.sampler.task, partial(augmented_on, self.device)
        samples = [one if isinstance(one, Sample) else self._made(one, compute) for one in drawn]
        ids, images, targets, weights, others, annotated = zip(*samples, strict=True)
        image = self._stacked(images)
        assert image is not None
        known = [one.target is not None for one in samples]
        every = torch.ones(len(task.structures), dtype=torch.bool)
        marks = [(every if a is None else a) & mine for a, mine in zip(annotated, known, strict=True)]
        return Batch(
            image=image,
            target=self._stacked(targets, blank=-1 if task.ignores == "target" else 0),
            weight=self._stacked(weights),
            case_ids=ids,
            labelled=self._marks(torch.tensor(known)),
            annotated=self._marks(torch.stack(marks)),
            other=self._stacked(others),
        )

    def _marks(self, marks: Tensor) -> Tensor | None:
        """Truth values on the device; None when all are true."""
        return None if marks.all() else marks.to(self.device)

    def _stacked(self, parts: Sequence[Tensor | None], blank: float = 0) -> Tensor | None:
        """The samples in one tensor on the device, by way of pinned memory when the device is a GPU.

        `blank` fills those that are None; None when all are.
        """
        first = next((part for part in parts if part is not None), None)
        if first is None:
            return None
        tensors = [torch.full_like(first, blank) if part is None else part for part in parts]
        if not self._pinned or first.is_cuda:
            return torch.stack(tensors).to(self.device)
        pinned = torch.empty((len(tensors), *first.shape), dtype=first.dtype, pin_memory=True)
        return torch.stack(tensors, out=pinned).to(self.device, non_blocking=True)


def trimmed(values: Tensor, ends: Sequence[int]) -> Tensor:
    """Without this many voxels at both ends of each of the last axes."""
    for axis, end in enumerate(ends, values.ndim - len(ends)):
        values = values.narrow(axis, end, values.shape[axis] - 2 * end)
    return values


def encode(
    task: Task, labels: Tensor, truth: Tensor | None = None, annotated: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """The target of samples, and which voxels count.

    What was not annotated in a partly labelled case is unknown, not absent: in a target with a channel for each
    structure these channels are -1; else a voxel of background counts no more, since it may be such a structure.

    Args:
        task: Whose target it is.
        labels: (B, *S) file values; `OUTSIDE` beyond the image.
        truth: (B, C', *S) numbers of an image or a field, for a task that learns from them; None for others.
        annotated: (B, K) bool, which structures were annotated; None when all were.

    Returns:
        What `task.encode` gave, with -1 in voxels that do not count where the task ignores by the target; and (B, *S)
        bool, False in these voxels.

    Raises:
        ConfigError: When the target is no tensor with the samples and voxels of the labels.
    """
    outside = labels == OUTSIDE
    target = task.encode(labels.masked_fill(outside, 0) if truth is None else truth)
    size, got = tuple(labels.shape), tuple(target.shape) if isinstance(target, Tensor) else None
    if got != size and (got is None or len(got) != len(size) + 1 or (got[0], *got[2:]) != size):
        expected = f"{size}, or with channels {(size[0], 'C', *size[1:])}".replace("'", "")
        what = f"a {type(target).__name__}" if got is None else f"shape {got}"
        raise ConfigError(
            f"Task {type(task).__name__}: `encode` must give a tensor of shape {expected}; it gave {what}."
        )
    hidden, by_target = outside, task.ignores == "target"
    if not by_target and task.labels.ignore is not None:
        hidden = hidden | (labels == task.labels.ignore)
    ones = (1,) * (labels.ndim - 1)
    if annotated is not None and by_target and task.counts and target.ndim > labels.ndim:
        target = target.masked_fill(~annotated.view(*annotated.shape, *ones), -1)
    elif annotated is not None:
        hidden = hidden | ((labels == 0) & ~annotated.all(1).view(-1, *ones))
    if by_target:
        target = target.masked_fill(hidden if target.ndim == hidden.ndim else hidden[:, None], -1)
    return target, ~hidden


def default_workers() -> int:
    """Threads for patches: half the cores, at most 8."""
    return max(1, min(8, cores() // 2))
