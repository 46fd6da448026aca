"""Answering: from the maps of a case to its answer, for predictors of one net and of several."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import copy
from typing import Self

import numpy as np

from ..classical.random_field import refine
from ..core.boxes import Filled
from ..core.case import Case, Image
from ..core.errors import ConfigError
from ..core.grid import Grid
from ..engines.engine import Engine
from ..ops.resample import decode_onto, onto
from ..planning.likeness import Known, facts_of
from ..planning.plan import Plan
from ..tasks.task import Task, answered
from .memory import fitting
from .postprocess import keep_largest
from .settings import PredictionSettings
from .slabs import Piece, pieces
from .whole import room_for, slabs_of

Advance = Callable[[float], object]
Watch = Callable[[Piece], object]

CHUNK_BYTES = 2**28
"""Probabilities that are decoded or resampled at once, so that what is made of them stays small too."""


class Answering(ABC):
    """Answers whole cases, whatever gives their maps.

    Attributes:
        task: What the maps mean.
        settings: How nets are applied.
        engine: What computes the net, the first of several.
        plans: The plans of all nets that answer.
        known: The cases that the nets learned from, to compare others with.
    """

    task: Task
    settings: PredictionSettings
    engine: Engine
    plans: list[Plan]
    known: Known | None = None

    @abstractmethod
    def prepared(self, case: Case) -> Image:
        """The image of a case as `pieces` wants it."""

    @abstractmethod
    def pieces(self, case: Case, prepared: Image, advance: Advance | None) -> Iterator[Piece]:
        """The maps of a case, and the parts of the grid of its image that they settle; see `slabs.pieces`."""

    @abstractmethod
    def _fill(self, maps: np.ndarray, case: Case, prepared: Image, advance: Advance | None) -> None:
        """Write the maps (K, *S) of a case on the grid of its prepared image, part by part."""

    def _at_once(self, case: Case, prepared: Image, advance: Advance | None) -> Image | None:
        """An image or a field, in the numbers of target files; or labels whose maps need not leave the device."""
        return None

    def unlike(self, case: Case) -> dict[str, str]:
        """In what a case is unlike all that the nets learned from, with figures; nothing where this is not known."""
        return {} if self.known is None else self.known.unlike(facts_of(case))

    def within(self, memory_gb: float) -> Self:
        """The same predictor, whose probabilities take at most a third of a memory: the rest is for net and image."""
        other = copy(self)
        blended = min(self.settings.memory_gb, memory_gb / 3)
        other.settings = self.settings.model_copy(update={"memory_gb": blended})
        return other

    def predict(
        self, case: Case, prepared: Image | None = None, advance: Advance | None = None, watch: Watch | None = None
    ) -> Image:
        """The answer to a case, labels, an image or a field, on exactly the grid of its image.

        Args:
            case: An image in the channels the net was trained with.
            prepared: The prepared image when that was done already.
            advance: Told the share of the case that was just done.
            watch: Given the probabilities of each part before it is decoded and forgotten.

        Raises:
            DataError: When the case has another number of channels or dimensions than the net, or the memory does not
                suffice for it.
        """
        prepared, target = self.prepared(case) if prepared is None else prepared, case.image.grid
        labels = self.task.kind == "labels"
        with fitting(case, self.plans[0]):
            if self.settings.refine is not None:
                answer: Image | None = self._refined(case, prepared, advance, watch)[0]
            else:
                answer = self._at_once(case, prepared, advance) if watch is None or not labels else None
            if watch is not None and not labels:
                for piece in self.pieces(case, prepared, None):
                    watch(piece)
            if answer is None:
                answer = Image(np.zeros((1, *target.shape), self.task.dtype), target, "labels")
                self.predict_into(answer.array[0], case, advance, prepared, watch)
            return keep_largest(answer, self.task.labels, self.settings.largest_component)

    def predict_probabilities(
        self, case: Case, prepared: Image | None = None, advance: Advance | None = None
    ) -> tuple[Image, Image]:
        """The answer to a case and the maps behind it, both on the grid of its image.

        Maps are float16, and zero where nothing was predicted. The net answers once for labels and their maps.
        """
        with fitting(case, self.plans[0]):
            if self.settings.refine is not None:
                prepared = self.prepared(case) if prepared is None else prepared
                answer, maps = self._refined(case, prepared, advance)
                return keep_largest(answer, self.task.labels, self.settings.largest_component), maps
            maps, keep = self._kept(case.image.grid)
            return self.predict(case, prepared, advance, keep), maps

    def _kept(self, target: Grid) -> tuple[Image, Watch]:
        """Room for all probabilities on a grid, float16, and what puts a piece into it."""
        maps = np.zeros((self.task.channels, *target.shape), np.float16)

        def keep(piece: Piece) -> None:
            source = Image(piece.probabilities, piece.source, "probabilities")
            maps[(slice(None), *piece.place)] = onto(source, piece.target).array

        return Image(maps, target, "probabilities"), keep

    def _refined(
        self, case: Case, prepared: Image, advance: Advance | None, watch: Watch | None = None
    ) -> tuple[Image, Image]:
        """Labels and probabilities once these have heard the image as it lies in its file."""
        target = case.image.grid
        maps, keep = self._kept(target)
        for piece in self.pieces(case, prepared, advance):
            if watch is not None:
                watch(piece)
            keep(piece)
            del piece
        exclusive = self.task.channels > len(self.task.structures)
        refined = refine(case.image, maps.array, exclusive, self.settings.dense_crf)
        labels = np.empty(target.shape, self.task.dtype)
        for index in range(target.shape[0]):
            labels[index] = self._decoded(refined[:, index])
        return Image(labels[None], target, "labels"), maps.with_array(refined)

    def predict_into(
        self,
        labels: Filled,
        case: Case,
        advance: Advance | None = None,
        prepared: Image | None = None,
        watch: Watch | None = None,
    ) -> None:
        """Write the labels of a case piece by piece, for what is larger than memory; postprocessing is left out.

        For a task that assembles, all maps are in a temporary file and the answer on the prepared grid is in memory.

        Args:
            labels: Takes labels (*S) at their places on the grid of the case's image; zeros so far.
            case: Its image may be on disk.
            advance: Told the share of the case that was just done.
            prepared: The prepared image when that was done already.
            watch: Given the probabilities of each piece.
        """
        prepared = self.prepared(case) if prepared is None else prepared
        if self.task.assembles:
            with self._assembled(case, prepared, advance) as (maps, whole):
                for piece in pieces(slabs_of(maps, CHUNK_BYTES), prepared.grid, 0, case.image.grid):
                    labels[piece.place] = onto(whole, piece.target).array[0]
                    if watch is not None:
                        watch(piece)
            return
        for piece in self.pieces(case, prepared, advance):
            if watch is not None:
                watch(piece)
            labels[piece.place] = decode_onto(piece.probabilities, piece.source, piece.target, self._decoded)
            del piece  # it would be in memory together with the next one

    def _decoded(self, maps: np.ndarray) -> np.ndarray:
        """The answer of maps, voxel by voxel."""
        return answered(self.task, self.task.decode(maps))

    @contextmanager
    def _assembled(self, case: Case, prepared: Image, advance: Advance | None) -> Iterator[tuple[np.ndarray, Image]]:
        """All maps of a prepared image, float16 for labels, and the answer that the task assembles of them."""
        exact = np.float16 if self.task.kind == "labels" else np.float32
        with room_for((self.task.channels, *prepared.grid.shape), self.settings.memory_gb, exact) as maps:
            self._fill(maps, case, prepared, advance)
            answer = self.task.assemble(maps, prepared.grid)
            shape, kind = prepared.grid.shape, self.task.kind
            if (np.shape(answer) if kind == "labels" else np.shape(answer)[-len(shape) :]) != shape:
                got = f"an array of shape {np.shape(answer)}" if hasattr(answer, "shape") else type(answer).__name__
                raise ConfigError(
                    f"Task {type(self.task).__name__}: `assemble` must give an array of the shape {shape}"
                    f" of its image; it gave {got}."
                )
            yield maps, Image(answered(self.task, answer).reshape(-1, *shape), prepared.grid, kind)
