"""Patches for training: chosen and cut by threads, a few batches ahead of the net, and augmented there or on a GPU.

Every sample draws from a generator of its own, seeded with (seed, number of the batch, place in the batch). So neither
the timing of threads nor stopping and going on ever changes what the net sees.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import torch

from ..augmentation.device import augmented_on, portable
from ..augmentation.patches import Cut, Patch, Read, augmented, cut_patch
from ..augmentation.policies import Policy
from ..core.case import Batch
from ..core.labels import Labels
from ..core.machine import cores
from ..prediction.tiles import read_box
from ..preparation.store import Store
from ..tasks.task import Task

CPU = torch.device("cpu")

OUTSIDE = -1
"""Label of voxels outside the image; they are ignored."""


@dataclass(frozen=True)
class Sample:
    """One patch: image (C, *patch) float32, labels (*target) int32 file values, weight (*target) or None.

    Arrays, or tensors where a device has computed them.
    """

    image: Any
    labels: Any
    weight: Any
    case_id: str


Drawn = Sample | tuple[Cut, str]
"""What threads give: a sample, or what a device makes one of."""


@dataclass(frozen=True)
class Sampler:
    """Draws samples; the same number always gives the same batch.

    Attributes:
        store: Prepared cases.
        ids: Those that are learned from.
        labels: What the annotation means.
        policy: Augmentation of patches of the input's shape.
        margin: Voxels by which the net's answer is smaller than the patch at each end; then borders are mirrored.
        batch: Samples of a batch, those of all devices together.
        seed: Of everything drawn.
        foreground: Share of the samples of a batch that are centred on a structure: the last ones, or in batches
            too small for that any one by chance.
        sampling: Every case in turn, in an order drawn anew each time round, or any case each time.
        voxel_weights: Name of a map in the store that weights voxels in the loss, or None.
    """

    store: Store
    ids: tuple[str, ...]
    labels: Labels
    policy: Policy
    margin: tuple[int, ...]
    batch: int
    seed: int
    foreground: float = 0.33
    sampling: Literal["cycle", "uniform"] = "cycle"
    voxel_weights: str | None = None

    def sample(self, number: int, index: int) -> Sample:
        """Sample `index` of batch `number`, computed by the processor."""
        cut, case_id = self.cut(number, index)
        return self.inner(augmented(cut), case_id)

    def inner(self, patch: Patch, case_id: str) -> Sample:
        """The sample of a patch, whose labels and weights are as large as the answer of the net."""
        image, labels, weight = patch
        inner = (0, *(slice(m, n - m) for m, n in zip(self.margin, self.policy.frame.shape, strict=True)))
        return Sample(image, labels[inner], None if weight is None else weight[inner], case_id)

    def cut(self, number: int, index: int) -> tuple[Cut, str]:
        """Sample `index` of batch `number`, drawn and read; and the case it comes from."""
        rng = np.random.default_rng((self.seed, number, index))
        case_id = self._case(rng, number, index)
        image, labels = self.store.image(case_id), self.store.labels(case_id)
        shape = tuple(labels.shape[1:])
        patch = self.policy.frame.shape
        target = tuple(n - 2 * m for n, m in zip(patch, self.margin, strict=True))
        start = place(rng, shape, target, self._focus(rng, case_id, index))
        reach = tuple(n if m else 0 for n, m in zip(patch, self.margin, strict=True))
        centre = [s - m + n // 2 + r for s, m, n, r in zip(start, self.margin, patch, reach, strict=True)]
        border: Literal["zero", "mirror"] = "mirror" if any(self.margin) else "zero"

        def reader(array: Any, kind: type) -> Read:
            def read(box_start: tuple[int, ...], box_shape: tuple[int, ...]) -> np.ndarray:
                inside = [s - r for s, r in zip(box_start, reach, strict=True)]
                return read_box(array, inside, box_shape, border).astype(kind, copy=False)

            return read

        weight = None if self.voxel_weights is None else self.store.extra(case_id, self.voxel_weights)[None]
        cut = cut_patch(
            reader(image, np.float32),
            reader(labels, np.int32),
            [n + 2 * r for n, r in zip(shape, reach, strict=True)],
            centre,
            self.policy,
            rng,
            fill_label=OUTSIDE,
            read_weight=None if weight is None else reader(weight, np.float32),
        )
        return cut, case_id

    def _case(self, rng: np.random.Generator, number: int, index: int) -> str:
        if self.sampling == "uniform":
            return self.ids[rng.integers(len(self.ids))]
        turn, place_in_turn = divmod(number * self.batch + index, len(self.ids))
        order = np.random.default_rng((self.seed, turn, 0, 0)).permutation(len(self.ids))
        return self.ids[order[place_in_turn]]

    def _focus(self, rng: np.random.Generator, case_id: str, index: int) -> np.ndarray | None:
        """A voxel of a structure of the case, or None for samples that may lie anywhere."""
        num_centred = round(self.foreground * self.batch)
        chance = self.foreground if num_centred == 0 else float(index >= self.batch - num_centred)
        if rng.random() >= chance:
            return None
        locations = self.store.locations(case_id)
        present = [group for group in self.labels.values if any(len(locations.get(v, ())) for v in group)]
        if not present:
            return None
        group = present[rng.integers(len(present))]
        voxels = np.concatenate([locations[value] for value in group if value in locations])
        return voxels[rng.integers(len(voxels))]


def place(
    rng: np.random.Generator, shape: Sequence[int], patch: Sequence[int], focus: np.ndarray | None
) -> tuple[int, ...]:
    """First voxel of a patch that lies inside the image; an image smaller than the patch lies in its middle."""
    start = []
    for axis, (size, length) in enumerate(zip(shape, patch, strict=True)):
        room = size - length
        anywhere = int(rng.integers(max(0, room) + 1))
        if room <= 0:
            start.append(-((-room) // 2))
        elif focus is None:
            start.append(anywhere)
        else:
            start.append(min(max(0, int(focus[axis]) - length // 2), room))
    return tuple(start)


@dataclass
class Feed:
    """Batches in order, prepared ahead by threads.

    Attributes:
        sampler: Draws the samples.
        task: Encodes labels into the target.
        dims: Spatial dimensions of the net; a patch with one voxel along its first axis is handed to a 2D net flat.
        workers: Threads.
        share: Which of how many devices the batch is for; of two, the second gets samples 1, 3, 5.
        device: Where batches are wanted.
        computes: Whether the device augments, so that threads only draw and read.
        ahead: Batches prepared before they are asked for.
        waited_seconds: Time the net had to wait so far.
    """

    sampler: Sampler
    task: Task
    dims: int
    workers: int
    share: tuple[int, int] = (0, 1)
    device: torch.device = CPU
    computes: bool = False
    ahead: int = 3
    waited_seconds: float = field(default=0.0, init=False)

    def batches(self, first: int) -> Generator[Batch, None, None]:
        """Batch `first` and all that follow, without end; close the iterator to stop the threads."""
        num_threads = torch.get_num_threads()
        pool = ThreadPoolExecutor(self.workers, "patches", initializer=self._begin_thread)
        try:
            waiting = deque(self._ask(pool, first + i) for i in range(self.ahead))
            # A thread that sets its own number of threads also sets the default of the process.
            waiting[0][0].exception()
            torch.set_num_threads(num_threads)
            number = first + self.ahead
            while True:
                begin = time.perf_counter()
                samples = [future.result() for future in waiting.popleft()]
                self.waited_seconds += time.perf_counter() - begin
                waiting.append(self._ask(pool, number))
                number += 1
                yield self._collate(samples)
        finally:
            pool.shutdown(cancel_futures=True)
            torch.set_num_threads(num_threads)

    def batch(self, number: int) -> Batch:
        """The batch of this number, now and without threads."""
        return self._collate([self._sample(number, index) for index in self._places])

    @property
    def _places(self) -> range:
        rank, count = self.share
        return range(rank, self.sampler.batch, count)

    @property
    def _pinned(self) -> bool:
        return self.device.type == "cuda"

    def _begin_thread(self) -> None:
        torch.set_num_threads(1)
        if self._pinned:
            torch.cuda.set_device(self.device)

    def _ask(self, pool: ThreadPoolExecutor, number: int) -> list[Future[Drawn]]:
        return [pool.submit(self._sample, number, index) for index in self._places]

    def _sample(self, number: int, index: int) -> Drawn:
        """What a thread does for a sample."""
        cut, case_id = self.sampler.cut(number, index)
        if self._pinned:  # a GPU is not asked whether it met an unknown value: it would have to be waited for
            self.task.encode(torch.tensor([0, *self.sampler.store.voxels(case_id)]))
        return (portable(cut, self._pinned), case_id) if self.computes else self.sampler.inner(augmented(cut), case_id)

    def _collate(self, drawn: list[Drawn]) -> Batch:
        """A batch on the device."""
        samples = [
            one if isinstance(one, Sample) else self.sampler.inner(augmented_on(self.device, one[0]), one[1])
            for one in drawn
        ]
        image, labels = self._stacked([s.image for s in samples]), self._stacked([s.labels for s in samples])
        weights = [sample.weight for sample in samples if sample.weight is not None]
        weight = self._stacked(weights) if weights else None
        if image.ndim - 2 > self.dims:
            image, labels = image.squeeze(2), labels.squeeze(1)
            weight = None if weight is None else weight.squeeze(1)
        return Batch(image, encode(self.task, labels), weight, tuple(sample.case_id for sample in samples))

    def _stacked(self, parts: list[Any]) -> torch.Tensor:
        """The samples in one tensor on the device, by way of pinned memory when the device is a GPU."""
        tensors = [torch.as_tensor(part) for part in parts]
        if not self._pinned or tensors[0].is_cuda:
            return torch.stack(tensors).to(self.device)
        pinned = torch.empty((len(tensors), *tensors[0].shape), dtype=tensors[0].dtype, pin_memory=True)
        return torch.stack(tensors, out=pinned).to(self.device, non_blocking=True)


def encode(task: Task, labels: torch.Tensor) -> torch.Tensor:
    """The task's target of labels (B, *S); voxels outside the image are ignored."""
    outside = labels == OUTSIDE
    target = task.encode(labels.masked_fill(outside, 0))
    return target.masked_fill(outside if target.ndim == outside.ndim else outside[:, None], -1)


def default_workers() -> int:
    """Threads for patches: half the cores, at most 8."""
    return max(1, min(8, cores() // 2))
