"""Segmentation without a net: what a net has to beat, and a random field that refines what it answers.

A baseline learns from annotated cases what little it can (which intensities and which places belong to which
structure) and then segments an image by itself. Read in this order:

- `baseline`: Baseline, the shelf `baselines`
- `prior`: what annotated cases teach: intensities and places of each structure
- `clustering`: k-means and mean shift
- `thresholds`: Otsu with two or more classes
- `neighbours`: how much alike neighbouring voxels are
- `regions`: watershed from markers
- `max_flow`: the smallest cut of a grid
- `graph_cut`: the labelling of least energy
- `active_contour`: contours that move by morphology
- `random_walker`: which structure a random walk reaches first
- `lattice`: Gaussian filtering in many dimensions
- `random_field`: mean field of a fully connected random field, and refinement of probabilities
- `mean_mask`: where structures usually are, whatever the image shows
- `shelf`: the methods by name
- `scribbles`: segmenting an image in which a few voxels were marked by hand

`baselines` (with every method on the shelf), `Examples` and `from_scribbles` can be imported from here.
"""

from importlib import import_module
from typing import Any

_HOMES = {"baselines": "shelf", "Examples": "prior", "from_scribbles": "scribbles"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"hyoid.classical has no {name!r}")
    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
