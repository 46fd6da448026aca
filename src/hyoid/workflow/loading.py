"""A trained run in memory: arrays, images and files in, answers out; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path

import numpy as np

from ..core.case import Case, Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..datasets.cases import check_finite, find_images, harmonised, read_case
from ..planning.likeness import warn_of
from ..prediction.answering import Answering
from ..run_folder import open_run
from .answers import predictor_of
from .question import check_prediction
from .signatures import came, verb

Source = np.ndarray | Image | str | Path | Sequence[str | Path]
"""What a model answers: an array, an image, a file, or the files of all channels."""

Spacing = Sequence[float] | None
Affine = np.ndarray | None


@dataclass(frozen=True)
class Model:
    """A trained run that answers in memory, on exactly the grid of what it is given.

    An array has shape `(*S)`, or `(C, *S)` with the channels in the order of `channel_names`; a picture may also be
    `(H, W, C)`. Its place is one of `spacing_mm`, the voxel size along each of its axes, which then point to the right,
    the front and the head (RAS); `affine`, voxel index to millimetres (RAS); and `grid`. Images and files know theirs.

    Attributes:
        predictor: What answers.
        dims: Axes of the images.
        channel_names: What each channel of an image is.
        calibrated: Whether the net learned from images with a known voxel size.

    Raises:
        ConfigError: By each method, when the place of an array is missing or given twice.
        DataError: By each method, when channels or axes do not fit, or numbers are NaN or infinite.

    Example:
        >>> model = hyoid.load("runs/organs")
        >>> labels = model(array, spacing_mm=(1, 1, 2.5))
    """

    predictor: Answering
    dims: int
    channel_names: tuple[str, ...]
    calibrated: bool

    @property
    def structures(self) -> dict[str, tuple[int, ...]]:
        """The values that each structure has in an answer, by its name."""
        labels = self.predictor.task.labels
        return dict(zip(labels.names, labels.values, strict=True))

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the maps that `probabilities` gives."""
        return self.predictor.task.outputs

    def __call__(
        self, array: np.ndarray, spacing_mm: Spacing = None, *, affine: Affine = None, grid: Grid | None = None
    ) -> np.ndarray:
        """The answer to an array: labels, or an image of one channel, (*S), else (C', *S)."""
        answer = self.predict(array, spacing_mm, affine=affine, grid=grid)
        return answer.array[0] if answer.channels == 1 else answer.array

    def predict(
        self, source: Source, spacing_mm: Spacing = None, *, affine: Affine = None, grid: Grid | None = None
    ) -> Image:
        """The answer to an array, an image or a file: labels, an image or a field."""
        return self.predictor.predict(self._compared(self._case(source, spacing_mm, affine, grid)))

    def probabilities(
        self, source: Source, spacing_mm: Spacing = None, *, affine: Affine = None, grid: Grid | None = None
    ) -> Image:
        """The map of each of `outputs`, float16, for an array, an image or a file."""
        case = self._compared(self._case(source, spacing_mm, affine, grid))
        return self.predictor.predict_probabilities(case)[1]

    def unlike(
        self, source: Source, spacing_mm: Spacing = None, *, affine: Affine = None, grid: Grid | None = None
    ) -> dict[str, str]:
        """In what an image is unlike all that the net learned from, with the figures of both; empty when it is not."""
        return self.predictor.unlike(self._case(source, spacing_mm, affine, grid))

    def _compared(self, case: Case) -> Case:
        """The case, with a warning when it is unlike those of training."""
        if differences := self.predictor.unlike(case):
            warn_of({case.id: differences}, 1)
        return case

    def _case(self, source: Source, spacing_mm: Spacing, affine: Affine, grid: Grid | None) -> Case:
        files = source if isinstance(source, list | tuple) and source else [source]
        if not isinstance(source, np.ndarray | Image) and not all(isinstance(one, str | PathLike) for one in files):
            raise ConfigError(
                f"source: expected a NumPy array, a hyoid.Image, a file or a list of files, got {came(source)}."
            )
        given = sum(place is not None for place in (spacing_mm, affine, grid))
        if given > 1 or (given and not isinstance(source, np.ndarray)):
            raise ConfigError("Give one of spacing_mm, affine and grid, for an array; images and files have a grid.")
        count = len(self.channel_names)
        if isinstance(source, np.ndarray):
            array = self._channels_first(source)
            source = Image(array, self._grid(array.shape[1:], spacing_mm, affine, grid))
        if isinstance(source, Image):
            array = harmonised(source.array, count, "image", "the array")
            check_finite(array, "image", "the array")
            return Case("image", replace(source, array=array))
        entries = find_images(source, self.channel_names)
        if len(entries) > 1:
            raise ConfigError(f"Expected one image, got {len(entries)}; answer them one after the other.")
        return read_case(entries[0], count)

    def _grid(self, shape: tuple[int, ...], spacing_mm: Spacing, affine: Affine, grid: Grid | None) -> Grid:
        if spacing_mm is not None and np.size(spacing_mm) != len(shape):
            given = f"spacing_mm has {np.size(spacing_mm)} numbers"
            raise ConfigError(f"{given}, but the array has {len(shape)} axes in space.")
        if affine is not None:
            if np.shape(affine) != (size := (len(shape) + 1,) * 2):
                given = f"affine: expected the shape {size} for {len(shape)} axes in space, got {np.shape(affine)}"
                raise ConfigError(f"{given}.")
            return Grid.from_affine(affine, shape)
        if grid is None and spacing_mm is None and self.calibrated:
            raise ConfigError("Say how large the voxels of the array are: spacing_mm, affine or grid.")
        return grid or Grid.plain(shape, spacing_mm)

    def _channels_first(self, array: np.ndarray) -> np.ndarray:
        dims, count = self.dims, len(self.channel_names)
        if array.dtype.kind not in "buif":
            raise DataError(f"An image holds numbers; the array is of type {array.dtype}.")
        array = array.astype(np.uint8) if array.dtype == bool else array
        if array.ndim == dims:
            return array[None]
        if array.ndim != dims + 1:
            axes = "(H, W), (C, H, W) or (H, W, C)" if dims == 2 else "(X, Y, Z) or (C, X, Y, Z)"
            raise DataError(f"The net learned from {dims}D images, as arrays {axes}; got the shape {array.shape}.")
        known = {count} if count not in (1, 3) else {1, 3}  # grey and colour stand for each other
        is_first, is_last = array.shape[0] in known, dims == 2 and array.shape[-1] in known
        if is_first == is_last:
            what = "may have its channels first or last" if is_first else f"has no axis of {count} channels"
            raise DataError(f"An array of shape {array.shape} {what}; give a hyoid.Image (C, *S).")
        return np.ascontiguousarray(np.moveaxis(array, -1, 0)) if is_last else array


@verb()
def load(run: str | Path, *, device: str | None = None, changes: Sequence[str] = ()) -> Model:
    """Load a trained run or an ensemble, to answer arrays, images and files in memory.

    Args:
        run: Folder of a trained run, or of an ensemble.
        device: Where the net runs, such as cpu or cuda:1; that of the run when not given.
        changes: A setting to change, such as prediction.mirror=true.

    Raises:
        ConfigError: When the run was not trained yet, or a setting does not fit.
    """
    changes = changes if device is None else (*changes, f"device={device}")
    check_prediction(None, None, changes)
    folder = open_run(run)
    predictor, dataset = predictor_of(folder, changes, keeps=False), folder.dataset
    calibrated = all(seen.calibrated for seen in dataset.seen.values())
    return Model(predictor, folder.fingerprint.dims, dataset.channel_names, calibrated)
