"""Cascade: the answer of an earlier run enters a later one as channels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.labels import Labels

ANSWERED = "answered_before"
"""The fact of a case whose image has these channels already."""


def with_answer(case: Case, answer: Image, labels: Labels) -> Case:
    """The case with a channel for each structure of an answer: 1 inside it and 0 elsewhere.

    Raises:
        DataError: When the answer has other voxels than the image.
    """
    image = case.image
    if answer.grid.shape != image.grid.shape:
        raise DataError(f"{case.id}: the answer of the run before has {answer.grid}, but the image has {image.grid}.")
    groups = zip(labels.values, labels.written, strict=True)
    masks = [np.isin(answer.array[0], (*values, written)) for values, written in groups]
    array = np.concatenate([image.array, np.stack(masks).astype(image.array.dtype)])
    return replace(case, image=image.with_array(array), facts={**case.facts, ANSWERED: "yes"})
