"""Cleaning an answer by what is known of the structures."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..core.case import Image
from ..core.errors import ConfigError, closest
from ..core.labels import Labels
from ..ops.morphology import largest


def keep_largest(image: Image, labels: Labels, structures: Sequence[str]) -> Image:
    """The labels with all but the largest connected piece of some structures turned to background.

    Voxels that touch by a face, an edge or a corner are connected. A structure that is absent stays absent.

    Raises:
        ConfigError: When a name is not among the structures.
    """
    if not structures:
        return image
    array = image.array.copy()
    for name in structures:
        if name not in labels.names:
            raise ConfigError(f"largest_component: there is no structure {name!r}.{closest(name, labels.names)}")
        mask = np.isin(array[0], labels.values[labels.names.index(name)])
        array[0][mask & ~largest(mask)] = 0
    return image.with_array(array)
