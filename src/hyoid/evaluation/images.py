"""Images and fields beside their targets: the rows of one case."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ..core.case import Image
from ..core.errors import DataError
from ..core.lengths import Lengths
from ..metrics.finding import Compared
from ..metrics.registration import Motion
from ..metrics.restoration import Images
from ..planning.measure import digest_of
from .report import EvaluationSettings, rounded
from .rows import Row


def rows_of_image(
    case: tuple[str, str],
    answer: Image,
    target: Image,
    outputs: Sequence[str],
    settings: EvaluationSettings,
    lengths: Lengths,
) -> list[Row]:
    """The rows of a case (its id and group): one for each channel of an image, which `outputs` name; one of a field."""
    if answer.channels != target.channels:
        raise DataError(f"{case[0]}: the answer has {answer.channels} channels, and the target has {target.channels}.")
    names, compared = ["field"], list[Compared]()
    if target.kind == "field":
        compared = [Motion.of(_along_axes(answer), _along_axes(target), target.grid.spacing_mm)]
    else:
        usual = [f"channel_{k}" for k in range(target.channels)]
        names = list(outputs) if len(outputs) == len(usual) else usual
        compared = [Images.of(*pair) for pair in zip(answer.array, target.array, strict=True)]
    metrics, mark = settings.build(), digest_of(target.array)
    rows = []
    for name, one in zip(names, compared, strict=True):
        values = {metric.name: rounded(metric.of(one, settings.rules) / metric.scale(lengths)) for metric in metrics}
        rows.append(Row(*case, name, "found", math.nan, math.nan, values, mark))
    return rows


def _along_axes(field: Image) -> np.ndarray:
    """The displacements of a field along the axes of its array, in mm."""
    return np.einsum("ca,c...->a...", np.asarray(field.grid.direction), field.array.astype(float))
