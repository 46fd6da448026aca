"""What annotated cases teach a method without a net: which intensities and which places belong to which structure.

Intensities are replaced by words: the nearest of 64 typical ones. Counting how often each class has each word in each
cell of a coarse grid over the image gives P(word | class) and P(class | place), and with Bayes' rule energies
-log P(word | class) - w log P(class | place). The weight w is the one under which Bayes' rule alone has the best
mean Dice on the counted voxels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.labels import Labels
from .clustering import cluster, nearest

NUM_WORDS = 64
SAMPLED = 20_000
"""Voxels that typical intensities are found from."""
CELLS = 8
"""Most cells along an axis that places are told apart by."""
WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
EXCLUDED = 60.0
"""Energy of a class that is impossible."""

Partition = Callable[[Image], np.ndarray]
"""Gives each voxel (*S) of an image the number of a word."""


def checked(image: Image, what: str = "the image") -> np.ndarray:
    """The intensities (C, *S) as float32.

    Raises:
        DataError: When some are not finite.
    """
    array = np.ascontiguousarray(image.array, np.float32)
    if not np.isfinite(array).all():
        raise DataError(f"{what}: some intensities are not finite; replace NaN and infinity first.")
    return array


@dataclass(frozen=True)
class Prior:
    """Intensities and places of each class, as counted.

    Attributes:
        values: The file value of each class; background 0 is the first.
        counts: How many voxels have each class, word and cell: (K, W, *cells).
    """

    values: tuple[int, ...]
    counts: np.ndarray

    @cached_property
    def intensity(self) -> np.ndarray:
        """-log P(word | class), (K, W)."""
        seen = self.counts.reshape(*self.counts.shape[:2], -1).sum(2) + 0.5
        energy = -np.log(seen / seen.sum(1, keepdims=True))
        energy[self.counts.reshape(len(self.values), -1).sum(1) == 0] = EXCLUDED
        return energy.astype(np.float32)

    @cached_property
    def place(self) -> np.ndarray:
        """-log P(class | place), (K, *cells)."""
        seen = self.counts.sum(1) + 0.5
        return (-np.log(seen / seen.sum(0))).astype(np.float32)

    @cached_property
    def weight(self) -> float:
        """How much places count, chosen by the mean Dice of the structures on the counted voxels."""
        return max(WEIGHTS, key=self._dice)

    def energies(self, words: np.ndarray) -> np.ndarray:
        """Energy of each class at each voxel, (K, *S) float32, the smallest being 0."""
        from scipy.ndimage import zoom

        result = self.intensity[:, words]
        if self.weight:
            factors = [n / cells for n, cells in zip(words.shape, self.place.shape[1:], strict=True)]
            for energy, place in zip(result, self.place, strict=True):
                energy += self.weight * zoom(place, factors, order=1, mode="nearest", grid_mode=True)
        result -= result.min(0)
        return result

    def _dice(self, weight: float) -> float:
        places = self.place.reshape(len(self.values), 1, -1)
        counts = self.counts.reshape(*self.counts.shape[:2], -1)
        answer = (self.intensity[:, :, None] + weight * places).argmin(0)
        scores = []
        for index in range(1, len(self.values)):
            said, real = counts[:, answer == index].sum(), counts[index].sum()
            if real:
                scores.append(2 * counts[index][answer == index].sum() / (said + real))
        return float(np.mean(scores)) if scores else 0.0


class Examples:
    """Annotated cases to learn from; they are gone through as often as a method needs.

    Args:
        cases: Images with labels, read anew each time they are iterated.
        labels: What the values mean; ignored voxels teach nothing.
        places: Whether places in the image mean anything.
    """

    def __init__(self, cases: Iterable[Case], labels: Labels, places: bool = True) -> None:
        self.cases = cases
        self.labels = labels
        self.places = places

    @property
    def values(self) -> tuple[int, ...]:
        """The file value of each class, background first."""
        known = {value for group in self.labels.values for value in group}
        return (0, *sorted(known))

    @cached_property
    def words(self) -> np.ndarray:
        """Typical intensities, (W, C), from dark to bright."""
        rng = np.random.default_rng(0)
        samples = []
        for case in self.cases:
            flat = checked(case.image, case.id).reshape(case.image.channels, -1)
            samples.append(flat[:, rng.integers(0, flat.shape[1], SAMPLED)])
        if not samples:
            raise DataError("There are no annotated cases to learn from.")
        if len({sample.shape[0] for sample in samples}) > 1:
            raise DataError("The cases to learn from have different numbers of channels.")
        together = np.concatenate(samples, 1)
        chosen = rng.choice(together.shape[1], min(SAMPLED, together.shape[1]), replace=False)
        return cluster(together[:, chosen].T, NUM_WORDS)

    @cached_property
    def prior(self) -> Prior:
        """The prior with typical intensities as words."""
        return self.count(self.word_of, len(self.words))

    def word_of(self, image: Image) -> np.ndarray:
        """The nearest typical intensity of each voxel, (*S).

        Raises:
            DataError: When the image has another number of channels.
        """
        array = checked(image)
        if len(array) != self.words.shape[1]:
            raise DataError(f"the method learned from {self.words.shape[1]} channels; this image has {len(array)}.")
        return nearest(array, self.words)

    def count(self, partition: Partition, num_words: int) -> Prior:
        """The prior with the parts of a partition as words.

        Raises:
            DataError: When there is not one annotated voxel.
        """
        values = np.array(self.values)
        total: np.ndarray | None = None
        for case in self.cases:
            if case.truth is None:
                raise DataError(f"{case.id}: there are no labels to learn from.")
            labels = self.labels.classed(case.truth.array[0])
            index = np.searchsorted(values, labels).clip(0, len(values) - 1)
            known = values[index] == labels
            cells = (CELLS if self.places else 1,) * labels.ndim
            at = np.zeros(labels.shape, np.int64)
            for axis, (size, n) in enumerate(zip(cells, labels.shape, strict=True)):
                step = np.arange(n) * size // n
                at = at * size + step.reshape([-1 if a == axis else 1 for a in range(labels.ndim)])
            words = partition(case.image)
            code = (index * num_words + words) * int(np.prod(cells)) + at
            full = (len(values), num_words, *cells)
            counts = np.bincount(code[known], minlength=int(np.prod(full))).reshape(full)
            total = counts if total is None else total + counts
        if total is None or not total.any():
            raise DataError("The cases to learn from have no annotated voxel.")
        return Prior(tuple(self.values), total)
