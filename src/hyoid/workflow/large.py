"""Images too large for memory: which they are, and answering them block by block."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ..core.case import Case
from ..core.errors import ConfigError, DataError
from ..core.progress import log, stage
from ..datasets.cases import open_case
from ..datasets.entry import Entry
from ..files.canvas import Canvas
from ..files.formats import read_header, suffix_of, write_boxes, writes_boxes
from ..planning.plan import Plan
from ..prediction.answering import Answering
from ..preparation.pipeline import spacing_of
from ..preparation.streamed import needs_all


def too_large(
    predictor: Answering, entries: Sequence[Entry], channels: int, memory_gb: float, probabilities: bool
) -> dict[str, Case]:
    """The cases, still on disk, that are answered block by block since their images do not fit the memory.

    Raises:
        ConfigError: When something is asked for that needs all of such an image at once.
    """
    # The next image is read while one is predicted.
    each_gb = memory_gb / min(2, max(1, len(entries)))
    found = {}
    for entry in entries:
        needed = max(whole_gb(entry, plan) for plan in predictor.plans)
        if needed <= each_gb:
            continue
        told = f"{entry.id}: in memory it would take about {needed:.3g} GB, and {each_gb:.3g} GB may be used"
        reason = next(filter(None, (needs_all(plan.preparation) for plan in predictor.plans)), None)
        reason = "its answer is an image" if predictor.task.kind != "labels" else reason
        case = open_case(entry, channels) if reason is None else None
        if case is None:
            reason = reason or "its file cannot be read in parts, as tiled TIFF, OME-Zarr and uncompressed NIfTI can"
            log.warning("%s; it is read whole all the same, since %s.", told, reason)
            continue
        if asked := _needs_whole_answers(predictor, probabilities):
            raise ConfigError(
                f"{told}; in parts it cannot be answered with {asked}. Leave that out, or allow more with --memory."
            )
        log.info("%s; it is read, answered and written in parts.", told)
        found[entry.id] = case
    return found


def whole_gb(entry: Entry, plan: Plan) -> float:
    """Memory of an image that is read and prepared whole, about; 0 when that is not known from its headers."""
    if any(path.is_dir() and not suffix_of(path) for path in entry.images):
        return 0.0  # a DICOM series, whose slices are small files
    try:
        headers = [read_header(path) for path in entry.images]
    except DataError:
        return 0.0
    grid, channels = headers[0].grid, sum(header.channels for header in headers)
    stored = sum(header.channels * np.dtype(header.dtype).itemsize for header in headers)
    resampled = 0.0
    spacing_mm = spacing_of(grid, plan.preparation)
    if spacing_mm and len(spacing_mm) == grid.dims:
        steps = zip(grid.spacing_mm, spacing_mm, strict=True)
        resampled = 4 * (channels + 1) * math.prod(old / (new or old) for old, new in steps)
    # Numbers of the file, normalised ones with a copy of one channel, and labels.
    return math.prod(grid.shape) * (stored + 4 * (channels + 1) + resampled + 1) / 1e9


def _needs_whole_answers(predictor: Answering, probabilities: bool) -> str:
    settings = predictor.settings
    asked = {
        "--probabilities": probabilities,
        "prediction.refine": settings.refine is not None,
        "prediction.largest_component": bool(settings.largest_component),
        "prediction.format": settings.format is not None and not writes_boxes(settings.format),
    }
    return " and ".join(name for name, wanted in asked.items() if wanted)


def answer_large(predictor: Answering, case: Case, source: Path, into: Path) -> None:
    """Write the answer to a case on disk into a file, of which nothing is left when this is stopped."""
    grid = case.image.grid
    with Canvas(into.parent, grid.shape, predictor.task.dtype) as labels:
        with stage("predict", 1) as progress:
            predictor.predict_into(labels, case, lambda share: progress.advance(share, case.id))
        with stage("write"):
            write_boxes(into, labels, grid, source, predictor.task.labels)
