"""Which patches are learned from: case, place and everything random, drawn by the number of the batch.

Every sample draws from a generator of its own, seeded with (seed, number of the batch, place in the batch) and, in all
streams but `labelled`, the code of the stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np

from ..augmentation.patches import FILLS, Cut, Patch, cut_patch, needed_box
from ..augmentation.policies import Policy
from ..augmentation.transform import Changes
from ..core.errors import ConfigError
from ..ops.boxes import Border, read_box
from ..ops.warp import Warp
from ..preparation.store import Store
from ..tasks.task import Task

OUTSIDE = -1
"""Label of voxels outside the image; they are ignored."""

TYPES = Patch(image=np.float32, labels=np.int32, weight=np.float32, target=np.float32)
"""What is read of each part of a patch."""

STREAMS = {"labelled": 0, "unlabelled": 1, "pairs": 2, "views": 3}
"""Kinds of samples, and the code of each in the seed of a sample.

- `labelled`: patches of cases with a truth, a share of them centred on a structure
- `unlabelled`: patches from anywhere in cases without a truth
- `pairs`: the same place in the two images of a case, or in two cases where no case has a second image, moved alike;
  only the intensities of the first image are changed
- `views`: one patch of any case twice, moved alike, with intensities changed on their own
"""


class Drawn(NamedTuple):
    """A sample that is drawn and read.

    Attributes:
        case_id: Where it was cut.
        annotated: For each structure of the task whether it was annotated in the case.
        cut: The sample itself; it has labels where the case is labelled.
        other: A second image: the other one of a pair, or another view; None in streams without.
    """

    case_id: str
    annotated: tuple[bool, ...]
    cut: Cut
    other: Cut | None = None


@dataclass(frozen=True, kw_only=True)
class Sampler:
    """Draws samples; the same number always gives the same batch.

    Attributes:
        store: Prepared cases.
        task: Says what the truth of a case is.
        ids: Cases with a truth that are learned from.
        unlabelled: Cases without a truth that may be learned from.
        policy: Augmentation of patches of the input's shape.
        margin: Voxels by which the net's answer is smaller than the patch at each end; then borders are mirrored.
        batch: Samples of a batch, those of all devices together.
        seed: Of everything drawn.
        foreground: Share of the samples of a batch that are centred on a structure: the last ones, or in batches
            too small for that any one by chance.
        sampling: Every case in turn, in an order drawn anew each time round, or any case each time.
        voxel_weights: Name of a map in the store that weights voxels in the loss, or None.

    Raises:
        ConfigError: When the policy would warp a field, whose vectors are not turned with it.
    """

    store: Store
    task: Task
    ids: tuple[str, ...]
    unlabelled: tuple[str, ...] = ()
    policy: Policy
    margin: tuple[int, ...]
    batch: int
    seed: int
    foreground: float = 0.33
    sampling: Literal["cycle", "uniform"] = "cycle"
    voxel_weights: str | None = None

    def __post_init__(self) -> None:
        if self.task.truth == "field" and self.policy.spatial:
            raise ConfigError(
                f"The task learns a field of displacements, whose vectors the augmentation {self.policy.name!r} would"
                " not turn with the image; set planning.policy=none."
            )

    def cases(self, stream: str) -> tuple[str, ...]:
        """The cases that a stream draws from.

        Raises:
            ConfigError: When there are too few, or no stream has this name.
        """
        if stream not in STREAMS:
            raise ConfigError(f"There is no stream of batches {stream!r}; known are {', '.join(STREAMS)}.")
        if stream == "pairs" and self._paired:
            return self._paired
        every = {"labelled": self.ids, "unlabelled": self.unlabelled}.get(stream, self.ids + self.unlabelled)
        kind = {"labelled": " with labels", "unlabelled": " without labels"}.get(stream, "")
        needed = 2 if stream == "pairs" else 1
        if len(every) < needed:
            raise ConfigError(
                f"The regime feeds on the stream {stream!r}, which needs {needed} or more cases{kind}; training has"
                f" {len(every)}. Add images{kind} to the data set and plan again, or choose another training.regime."
            )
        return every

    @property
    def halo(self) -> tuple[int, ...]:
        """Voxels around the patch, at each end of an axis, that are cut for the task to encode."""
        return tuple(self.task.halo if n > 1 else 0 for n in self.policy.frame.shape)

    def annotated(self, case_id: str) -> tuple[bool, ...]:
        """For each structure of the task whether it was annotated in the case."""
        names = self.store.annotated(case_id)
        return tuple(names is None or name in names for name in self.task.structures)

    def draw(self, number: int, index: int, stream: str = "labelled") -> Drawn:
        """Sample `index` of batch `number` of a stream, drawn and read with the halo around it."""
        code = STREAMS[stream]
        rng = np.random.default_rng((self.seed, number, index, code) if code else (self.seed, number, index))
        case_id = self._case(rng, number, index, stream)
        annotated = self.annotated(case_id)
        labelled = stream == "labelled" or (stream != "unlabelled" and self.store.is_labelled(case_id))
        sources = self._sources(case_id, labelled)
        shape, target = sources.image.shape[1:], self._target
        start = place(rng, shape, target, self._focus(rng, case_id, index) if labelled else None)
        if stream == "pairs":
            share = [(s + n // 2) / m for s, n, m in zip(start, target, shape, strict=True)]
            partner = (case_id, start) if self._paired else self._partner(rng, case_id, share)
            other = self._sources(partner[0], False, second=partner[0] == case_id)
        frame = zip(start, self.margin, self.policy.frame.shape, self._reach, strict=True)
        centre = [s - m + n // 2 + r for s, m, n, r in frame]
        warp, changes = self._policy.draw(rng, centre, sources.image.shape[0])
        cut = self._cut(sources, warp, changes)
        if stream == "pairs":
            moved = replace(warp, offset=warp.offset + np.subtract(partner[1], start))
            return Drawn(case_id, annotated, cut, self._cut(other, moved))
        if stream == "views":
            again = Patch(cut.parts.image.copy())
            changes = self._policy.draw_intensity(rng, len(again.image))
            return Drawn(case_id, annotated, cut, replace(cut, parts=again, changes=changes))
        return Drawn(case_id, annotated, cut)

    def _case(self, rng: np.random.Generator, number: int, index: int, stream: str) -> str:
        ids, code = self.cases(stream), STREAMS[stream]
        if self.sampling == "uniform":
            return ids[rng.integers(len(ids))]
        turn, place_in_turn = divmod(number * self.batch + index, len(ids))
        order = np.random.default_rng((self.seed, turn, 0, 0, code) if code else (self.seed, turn, 0, 0))
        return ids[order.permutation(len(ids))[place_in_turn]]

    def _focus(self, rng: np.random.Generator, case_id: str, index: int) -> np.ndarray | None:
        """A voxel of a structure of the case, or None for samples that may lie anywhere."""
        num_centred = round(self.foreground * self.batch)
        chance = self.foreground if num_centred == 0 else float(index >= self.batch - num_centred)
        if rng.random() >= chance:
            return None
        locations = self.store.locations(case_id)
        present = [group for group in self.task.labels.values if any(len(locations.get(v, ())) for v in group)]
        if not present:
            return None
        group = present[rng.integers(len(present))]
        voxels = np.concatenate([locations[value] for value in group if value in locations])
        return voxels[rng.integers(len(voxels))]

    def _partner(self, rng: np.random.Generator, case_id: str, share: Sequence[float]) -> tuple[str, tuple[int, ...]]:
        """Another case, and the start of a patch whose middle lies at this share of its axes."""
        others = [one for one in self.cases("pairs") if one != case_id]
        other = others[rng.integers(len(others))]
        shape = self.store.image(other).shape[1:]
        # The small addition keeps (a / n) * n from falling below a.
        middle = np.array([part * n + 1e-6 for part, n in zip(share, shape, strict=True)])
        return other, place(rng, shape, self._target, middle)

    @cached_property
    def _paired(self) -> tuple[str, ...]:
        """The cases that have a second image."""
        return tuple(case_id for case_id in self.ids + self.unlabelled if "other" in self.store.facts(case_id))

    @cached_property
    def _policy(self) -> Policy:
        return self.policy.grown(self.task.halo)

    @cached_property
    def _target(self) -> tuple[int, ...]:
        return tuple(n - 2 * m for n, m in zip(self.policy.frame.shape, self.margin, strict=True))

    @cached_property
    def _reach(self) -> tuple[int, ...]:
        """Mirrored voxels at each end of an axis that may be read beyond the image."""
        return tuple(n if m else 0 for n, m in zip(self._policy.frame.shape, self.margin, strict=True))

    def _sources(self, case_id: str, labelled: bool, second: bool = False) -> Patch:
        """The whole arrays of a case, with its second image or its own, of which patches are read."""
        store, name = self.store, self.voxel_weights
        image = store.other(case_id) if second else store.image(case_id)
        if not labelled:
            return Patch(image)
        weight = None if name is None else store.extra(case_id, name)[None]
        return Patch(
            image, weight=weight, **{"target" if store.has_target(case_id) else "labels": store.truth(case_id)}
        )

    def _cut(self, sources: Patch, warp: Warp, changes: Changes = ()) -> Cut:
        """A patch, read where the warp needs it."""
        padded = [n + 2 * r for n, r in zip(sources.image.shape[1:], self._reach, strict=True)]
        start, shape = needed_box(warp, padded)
        inside = [s - r for s, r in zip(start, self._reach, strict=True)]
        border: Border = "mirror" if any(self.margin) else "zero"

        def read(array: Any, kind: type) -> Any:
            return None if array is None else read_box(array, inside, shape, border).astype(kind, copy=False)

        parts = Patch(*map(read, sources, TYPES))
        if parts.target is not None:  # the labels say only where the image ends
            parts = parts._replace(labels=np.zeros((1, *shape), np.int32))
        return cut_patch(parts, start, warp, changes, FILLS._replace(labels=OUTSIDE))


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
