"""The methods by name, as their papers call them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ..core.case import Image
from .active_contour import chan_vese, geodesic
from .baseline import Baseline, Labelling, Naming, baselines
from .clustering import cluster, modes, nearest, sample
from .graph_cut import least_energy
from .prior import Examples, checked
from .random_field import FieldSettings, mean_field
from .random_walker import STRENGTH, walk
from .regions import watershed
from .thresholds import otsu_thresholds

__all__ = ["baselines"]


@baselines.register("bayes", papers="duda1973pattern")
def bayes() -> Baseline:
    """Each voxel by itself is the class that its intensity and its place make likeliest."""
    return Labelling(lambda image, energies: energies.argmin(0))


@baselines.register("otsu", papers="otsu1979threshold")
def otsu() -> Baseline:
    """Each image is cut in two at the threshold between which its classes differ most."""
    return _otsu(lambda examples: 2)


@baselines.register("multi_otsu", papers="liao2001multilevel")
def multi_otsu() -> Baseline:
    """Each image is cut at several thresholds, into one class more than there are classes to find."""
    return _otsu(lambda examples: len(examples.values) + 1)


def _otsu(number: Callable[[Examples], int]) -> Baseline:
    def words(image: Image, examples: Examples) -> np.ndarray:
        grey = checked(image).mean(0)
        return np.searchsorted(otsu_thresholds(grey, number(examples)), grey).astype(np.int16)

    return Naming(words, number)


@baselines.register("k_means", papers="lloyd1982least")
def k_means() -> Baseline:
    """The intensities of each image form clusters, two more than there are classes, named from dark to bright."""

    def words(image: Image, examples: Examples) -> np.ndarray:
        array = checked(image)
        return nearest(array, cluster(sample(array), len(examples.values) + 2))

    return Naming(words, lambda examples: len(examples.values) + 2)


@baselines.register("mean_shift", papers="comaniciu2002meanshift")
def mean_shift(window: float = 0.25) -> Baseline:
    """Intensities climb to the modes of their density; each mode is named by the typical intensity it is nearest to.

    Args:
        window: Width of the window, in standard deviations of the intensities.
    """

    def words(image: Image, examples: Examples) -> np.ndarray:
        centres, mode_of = modes(checked(image), window)
        return nearest(centres.T, examples.words)[mode_of]

    return Naming(words, lambda examples: len(examples.words))


@baselines.register("watershed", papers="meyer1994topographic")
def watershed_from_markers() -> Baseline:
    """The surest voxels are markers that flood the edges of the image."""
    return Labelling(watershed)


@baselines.register("graph_cut", papers=("boykov2001interactive", "boykov2001expansion", "boykov2004comparison"))
def graph_cut(smoothness: float = 1.0) -> Baseline:
    """The labelling of least energy, with short boundaries that follow edges.

    Args:
        smoothness: The price of a boundary between voxels that are alike.
    """
    return Labelling(lambda image, energies: least_energy(image, energies, smoothness))


@baselines.register("chan_vese", papers=("chan2001active", "marquezneila2014morphological"))
def chan_vese_contour() -> Baseline:
    """A contour around each structure that moves until both sides are as uniform as possible."""
    return Labelling(chan_vese)


@baselines.register("geodesic_contour", papers=("caselles1997geodesic", "marquezneila2014morphological"))
def geodesic_contour() -> Baseline:
    """A contour around each structure that slides to the nearest edges."""
    return Labelling(geodesic)


@baselines.register("random_walker", papers=("grady2006random", "grady2005prior"))
def random_walker(strength: float = STRENGTH) -> Baseline:
    """The structure that a walk which avoids edges is likeliest to reach first.

    Args:
        strength: How strongly the prior holds.
    """
    return Labelling(lambda image, energies: walk(image, energies, strength).argmax(0))


@baselines.register("dense_crf", papers=("krahenbuhl2011dense", "adams2010permutohedral"))
def dense_crf(appearance: float = 0.3, smoothness: float = 0.3) -> Baseline:
    """A random field in which every voxel hears all others, the more the nearer and the more alike they are.

    Intensities and places alone are unsure of small structures, which stronger weights would talk away.

    Args:
        appearance: Weight of nearby voxels that look alike.
        smoothness: Weight of near voxels, however they look.
    """
    settings = FieldSettings(appearance=appearance, smoothness=smoothness)

    def solve(image: Image, energies: np.ndarray) -> np.ndarray:
        prior = np.exp(-energies)
        return mean_field(image, prior / prior.sum(0), settings).argmax(0)

    return Labelling(solve)
