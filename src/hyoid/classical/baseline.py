"""What every baseline is: it learns from annotated cases, and then gives labels for an image on the same grid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError, DataError
from ..core.registry import Registry
from .prior import EXCLUDED, Examples, Prior, checked

Solve = Callable[[Image, np.ndarray], np.ndarray]
"""From an image and the energies (K, *S) of the classes to the class of each voxel (*S)."""

Words = Callable[[Image, Examples], np.ndarray]
"""Gives each voxel (*S) of an image the number of a word."""


class Baseline(Protocol):
    """A method that segments without a net."""

    def fit(self, examples: Examples) -> None:
        """Learn what the method needs to know of the structures.

        Raises:
            DataError: When the examples hold nothing to learn from.
        """

    def segment(self, image: Image) -> Image:
        """Labels in file values on the grid of the image, which is prepared as the examples were.

        Raises:
            ConfigError: When nothing was learned yet.
            DataError: When the image has other channels or axes than the examples.
        """


baselines: Registry[Baseline] = Registry("baseline")


class Naming:
    """An image is parted into words by itself; examples tell only which word, at which place, is which structure.

    Args:
        words: What parts the image.
        number: How many words there are, given how many classes there are.
    """

    def __init__(self, words: Words, number: Callable[[Examples], int]) -> None:
        self.words = words
        self.number = number

    def fit(self, examples: Examples) -> None:
        """Count which word is which structure where."""
        self.examples = examples
        self.prior = examples.count(lambda image: self.words(image, examples), self.number(examples))

    def segment(self, image: Image) -> Image:
        """Labels by Bayes' rule."""
        _check(self, image)
        words = self.words(image, self.examples)
        return _labels(self.prior.energies(words).argmin(0), self.prior, image)


class Labelling:
    """Examples give each class an energy at each voxel; the image then decides what the voxels are together.

    Args:
        solve: What decides.
    """

    def __init__(self, solve: Solve) -> None:
        self.solve = solve

    def fit(self, examples: Examples) -> None:
        """Count which intensities are which structure where."""
        self.examples = examples
        self.prior = examples.prior

    def segment(self, image: Image, seeds: Image | None = None) -> Image:
        """Labels; those of seeds, where they are known values, hold."""
        _check(self, image)
        energies = self.prior.energies(self.examples.word_of(image))
        marks = [] if seeds is None else [seeds.array[0] == value for value in self.prior.values]
        for index, marked in enumerate(marks):
            energies[:, marked] = EXCLUDED
            energies[index, marked] = 0
        classes = self.solve(image, energies)
        for index, marked in enumerate(marks):
            classes[marked] = index  # a contour may have slid over them
        return _labels(classes, self.prior, image)


def _check(baseline: Naming | Labelling, image: Image) -> None:
    if not hasattr(baseline, "prior"):
        raise ConfigError("A baseline learns from examples first: call `fit` before `segment`.")
    dims = baseline.prior.counts.ndim - 2
    if image.grid.dims != dims:
        raise DataError(f"the method learned from {dims}D images; this one has {image.grid.dims} axes.")
    checked(image)


def _labels(classes: np.ndarray, prior: Prior, image: Image) -> Image:
    values = np.array(prior.values)
    values = values.astype(np.result_type(np.min_scalar_type(values.min()), np.min_scalar_type(values.max())))
    return image.with_array(values[classes][None], "labels")
