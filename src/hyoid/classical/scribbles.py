"""Segmenting one image in which somebody marked a few voxels of each structure, without any other case."""

from __future__ import annotations

from ..core.case import Case, Image
from ..core.errors import ConfigError, DataError
from ..core.labels import Labels
from .baseline import Labelling
from .prior import Examples
from .shelf import baselines

OPTIONS = {"random_walker": {"strength": 0.1}}
"""Walks go far between marks, since intensities without places say less than the marks."""


def from_scribbles(image: Image, scribbles: Image, labels: Labels, method: str = "graph_cut") -> Image:
    """Labels of an image in which some voxels were marked by hand.

    Intensities are learned from the marked voxels, which keep their mark; places teach nothing.

    Args:
        image: What to segment.
        scribbles: Marks on the same grid, background among them; `labels.ignore` where nothing is marked.
        labels: The structures, with the value of unmarked voxels as `ignore`.
        method: A baseline that keeps seeds, such as graph_cut, random_walker or watershed.

    Raises:
        ConfigError: When unmarked voxels have no value, or the method cannot keep seeds.
        DataError: When nothing is marked, or only one class.
    """
    baseline = baselines.build(method, **OPTIONS.get(method, {}))
    if not isinstance(baseline, Labelling):
        raise ConfigError(f"baseline {method!r} finds its parts by itself and cannot keep scribbles.")
    if labels.ignore is None:
        raise ConfigError("Scribbles need a value for voxels that are not marked: `ignore` of the labels.")
    if scribbles.array.shape[1:] != image.grid.shape:
        raise DataError(f"The scribbles have shape {scribbles.array.shape[1:]} and the image {image.grid.shape}.")
    examples = Examples([Case("scribbles", image, scribbles)], labels, places=False)
    marked = [value for value in examples.values if (scribbles.array[0] == value).any()]
    if len(marked) < 2:
        raise DataError("Mark voxels of at least two classes; background 0 is one of them.")
    baseline.fit(examples)
    return baseline.segment(image, scribbles)
