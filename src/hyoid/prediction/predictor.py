"""Predictor: a case in, an answer on the same grid out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from pydantic import Field, field_validator

from ..classical.random_field import FieldSettings, refine
from ..core.boxes import Filled
from ..core.case import Case, Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..core.settings import Settings
from ..engines.choice import BackendName, ChoosingEngine, Patches
from ..engines.engine import Engine
from ..engines.torch import TorchEngine
from ..files.formats import check_suffix
from ..nets.net import Net
from ..ops.resample import decode_onto, onto
from ..planning.plan import Plan
from ..preparation.pipeline import prepare
from ..preparation.streamed import prepare_streamed
from ..tasks.task import Task
from .cascade import ANSWERED
from .memory import check_size, fitting
from .postprocess import keep_largest
from .slabs import Piece, all_pieces, pieces, same_voxels
from .tiles import GROWN, Border, Tiling, Window, cheapest_tile, stitch, windows
from .whole import check_assembling, room_for, slabs_of

Advance = Callable[[float], object]
Watch = Callable[[Piece], object]
Slabs = Callable[[Window | None], Iterator[tuple[int, torch.Tensor]]]
Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]

ACTIVATED = 2**20
"""Numbers that are made probabilities at once, so few that their copies stay in the cache."""

CHUNK_BYTES = 2**28
"""Probabilities that are decoded or resampled at once, so that what is made of them stays small too."""


class PredictionSettings(Settings):
    """How a trained net is applied to whole images."""

    overlap: float = Field(0.5, ge=0, lt=1, description="Share of a patch that neighbouring tiles both cover.")
    mirror: bool | None = Field(
        None,
        description="Average the answers to mirrored tiles, along the axes of the plan; null: with 2D nets.",
    )
    precision: Precision = Field("auto", description="Number format in the net; auto is the one of the plan.")
    batch: int | None = Field(None, ge=1, description="Tiles that go through the net together; the plan's when none.")
    whole: float = Field(
        2.0,
        ge=0,
        description="Largest tile, in patches: smaller images are not cut, and tiles grow where that saves work.",
    )
    memory_gb: float = Field(1.5, gt=0, description="Memory for the maps that are being blended.")
    backend: BackendName = Field(
        "torch", description="What computes the net; auto: torch until another engine pays and agrees with it."
    )
    refine: Literal["dense_crf"] | None = Field(
        None, description="What corrects probabilities by the image before they become labels: dense_crf."
    )
    dense_crf: FieldSettings = Field(FieldSettings(), description="The random field that `refine: dense_crf` uses.")
    largest_component: tuple[str, ...] = Field((), description="Structures of which only the largest piece is kept.")
    format: str | None = Field(
        None,
        description="File format of answers: nii.gz, seg.nrrd, tif, png, ome.zarr, ...; null: that of the image.",
    )

    @field_validator("format")
    @classmethod
    def _check_format(cls, wanted: str | None) -> str | None:
        try:
            return None if wanted is None else check_suffix(wanted)[1:]
        except ConfigError as error:
            raise ValueError(str(error).split(": ", 1)[1]) from None


class Predictor:
    """Answers whole cases.

    Args:
        engine: What computes tiles.
        plan: How a case is prepared, the patch, and the axes that may be mirrored.
        settings: How the net is applied; its backend and precision are those of the engine.

    Attributes:
        before: Adds the answer of the run before to a case, in a later stage of a cascade.

    Raises:
        ConfigError: When engine and plan do not belong together, or the task cannot be answered with these settings.
    """

    def __init__(self, engine: Engine, plan: Plan, settings: PredictionSettings | None = None) -> None:
        self.before: Callable[[Case], Case] | None = None
        self.engine = engine
        self.evidence = engine.evidence
        self.task = engine.evidence.task
        self.plan = plan
        self.settings = settings or PredictionSettings()
        facts = engine.facts
        if (facts.dims, facts.in_channels) != (plan.dims, plan.net.in_channels):
            raise ConfigError(
                f"The engine computes a {facts.dims}D net of {facts.in_channels} channels, and the plan is for one of "
                f"{plan.dims}D and {plan.net.in_channels}; take engine and plan from the same run."
            )
        check_assembling(self.task, self.settings.refine, self.settings.largest_component)

    @classmethod
    def of(
        cls,
        net: Net,
        task: Task,
        plan: Plan,
        settings: PredictionSettings | None = None,
        device: torch.device | str = "cpu",
        kept: tuple[Path, str] | None = None,
        patches: Patches | None = None,
    ) -> Predictor:
        """The predictor of a net, computed by the engine that the settings name.

        Args:
            net: It is moved to the device and put into evaluation mode.
            task: What the channels mean.
            plan: How a case is prepared.
            settings: How the net is applied.
            device: Where the net runs.
            kept: Folder in which other engines than torch keep their programs, and a key that tells weights apart.
            patches: Gives tiles of prepared cases, for engines that are judged or calibrated.
        """
        settings = settings or PredictionSettings()
        precision = plan.precision if settings.precision == "auto" else settings.precision
        engine = TorchEngine.of(net, task, plan.net.in_channels, device, precision)
        if settings.backend == "torch":
            return cls(engine, plan, settings)
        return cls(ChoosingEngine(engine, settings.backend, kept, patches), plan, settings)

    def predict(
        self,
        case: Case,
        prepared: Image | None = None,
        advance: Advance | None = None,
        watch: Watch | None = None,
    ) -> Image:
        """The labels of a case on exactly the grid of its image.

        Args:
            case: An image in the channels the net was trained with.
            prepared: The prepared image when that was done already.
            advance: Told the share of the case that was just done.
            watch: Given the probabilities of each part before it is decoded and forgotten.

        Raises:
            DataError: When the case has another number of channels or dimensions than the net, or the memory does not
                suffice for it.
        """
        prepared = self.prepared(case) if prepared is None else prepared
        target = case.image.grid
        with fitting(case, self.plan):
            if self.settings.refine is not None:
                answer, _ = self._refined(case, prepared, advance, watch)
            elif watch is None and same_voxels(prepared.grid, target) and not self.task.assembles:
                labels = self.predict_labels(prepared.array, advance)
                answer = onto(Image(labels[None], prepared.grid, "labels"), target)
            else:
                answer = Image(np.zeros((1, *target.shape), self.label_type), target, "labels")
                self.predict_into(answer.array[0], case, advance, prepared, watch)
            return keep_largest(answer, self.task.labels, self.settings.largest_component)

    def predict_probabilities(
        self, case: Case, prepared: Image | None = None, advance: Advance | None = None
    ) -> tuple[Image, Image]:
        """The labels of a case and the probabilities behind them, both on the grid of its image.

        Probabilities are float16, and zero where nothing was predicted. The net answers once for both.
        """
        with fitting(case, self.plan):
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
        for piece in self.pieces(prepared, target, advance):
            if watch is not None:
                watch(piece)
            keep(piece)
            del piece
        exclusive = self.task.channels > len(self.task.structures)
        refined = refine(case.image, maps.array, exclusive, self.settings.dense_crf)
        labels = np.empty(target.shape, self.label_type)
        for index in range(target.shape[0]):
            labels[index] = self.task.decode(refined[:, index])
        return Image(labels[None], target, "labels"), maps.with_array(refined)

    def within(self, memory_gb: float) -> Predictor:
        """The same predictor, whose probabilities take at most a third of a memory: the rest is for net and image."""
        other = copy(self)
        blended = min(self.settings.memory_gb, memory_gb / 3)
        other.settings = self.settings.model_copy(update={"memory_gb": blended})
        return other

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
        prepared, target = self.prepared(case) if prepared is None else prepared, case.image.grid
        if self.task.assembles:
            with self._assembled(prepared, advance) as (maps, whole):
                for piece in pieces(slabs_of(maps, CHUNK_BYTES), prepared.grid, 0, target):
                    labels[piece.place] = onto(whole, piece.target).array[0]
                    if watch is not None:
                        watch(piece)
            return
        for piece in self.pieces(prepared, target, advance):
            if watch is not None:
                watch(piece)
            labels[piece.place] = decode_onto(piece.probabilities, piece.source, piece.target, self.task.decode)
            del piece  # it would be in memory together with the next one

    def predict_prepared(self, image: np.ndarray, advance: Advance | None = None) -> np.ndarray:
        """The maps (K, *S) float32 of a prepared image (C, *S)."""
        maps = np.empty((self.task.channels, *image.shape[1:]), np.float32)
        self._fill(maps, image, advance)
        return maps

    def _fill(self, maps: np.ndarray, image: np.ndarray, advance: Advance | None) -> None:
        """Write the maps (K, *S) of a prepared image (C, *S), part by part."""
        for place, slab in self._blended(image, advance):
            for part, some in self.evidence.parts(slab):
                maps[(slice(None), *place)][(slice(None), *part)] = some.cpu().numpy()
                del some
            del slab  # here and below: a part of the ring, which would outlive its window

    @contextmanager
    def _assembled(self, prepared: Image, advance: Advance | None) -> Iterator[tuple[np.ndarray, Image]]:
        """All maps of a prepared image, float16, and the answer that the task assembles of them."""
        shape = (self.task.channels, *prepared.grid.shape)
        with room_for(shape, self.settings.memory_gb) as maps:
            self._fill(maps, prepared.array, advance)
            answer = np.asarray(self.task.assemble(maps, prepared.grid), self.label_type)
            yield maps, Image(answer[None], prepared.grid, "labels")

    def predict_labels(self, image: np.ndarray, advance: Advance | None = None, grid: Grid | None = None) -> np.ndarray:
        """The answer (*S) to a prepared image (C, *S); holds all maps only for a task that assembles.

        Args:
            image: Shape (C, *S).
            advance: Told the share of the image that was just done.
            grid: Where the image lies, for a task that assembles; one without known voxel sizes when None.
        """
        if self.task.assembles:
            with self._assembled(Image(image, grid or Grid.plain(image.shape[1:])), advance) as (_, whole):
                return whole.array[0]
        labels = np.empty(image.shape[1:], self.label_type)
        for place, slab in self._blended(image, advance):
            for part, maps in self.evidence.parts(slab):
                labels[place][part] = self.task.decode(maps).cpu().numpy()
                del maps
            del slab
        return labels

    def prepared(self, case: Case) -> Image:
        """The image of a case as the net wants it."""
        if self.before is not None and ANSWERED not in case.facts:
            case = self.before(case)
        channels = len(self.plan.preparation.intensity)
        if channels and case.image.channels != channels:
            raise DataError(
                f"{case.id}: the net learned from {channels} channels; this image has {case.image.channels}."
            )
        dims = len(self.plan.patch)
        if case.image.grid.dims != dims:
            raise DataError(
                f"{case.id}: the net learned from {dims}D images; this one has {case.image.grid.dims} axes."
            )
        with fitting(case, self.plan):
            check_size(case, self.plan)
            if not isinstance(case.image.array, np.ndarray):
                return prepare_streamed(case, self.plan.preparation)
            return prepare(Case(case.id, case.image, None, case.facts), self.plan.preparation).image

    def tiling(self, shape: Sequence[int]) -> Tiling:
        """How an image of this shape is cut: whole when it is about as small as a patch, else as takes least work."""
        patch, net = self.plan.patch, self.engine.facts
        flat = len(patch) - net.dims
        margin = (0,) * flat + net.margin
        if net.tiles is not None:
            return self._cut(shape, (1,) * flat + net.tiles[2:], margin)
        # Two voxels or more must remain at the coarsest level: one alone cannot be normalised.
        axes = zip(shape[flat:], net.margin, net.divisor, strict=True)
        image = (1,) * flat + net.fitting_shape([max(n + 2 * m, d + (d > 1)) for n, m, d in axes])
        most = self.settings.whole * math.prod(patch)
        if math.prod(image) <= most:
            return self._cut(shape, image, margin)
        grown = [(1,) * flat + net.fitting_shape([round(share * n) for n in patch[flat:]]) for share in GROWN]
        lengths = [
            [first, *sorted({min(n, full) for n in longer if min(n, full) > first})]
            for first, full, longer in zip(patch, image, zip(*grown, strict=True), strict=True)
        ]
        most = min(most, self.settings.memory_gb * 2**30 / self._voxel_bytes)
        least = cheapest_tile(lengths, most, lambda seen: self._work(self._cut(shape, seen, margin)))
        return self._cut(shape, least, margin)

    def _cut(self, shape: Sequence[int], seen: Sequence[int], margin: Sequence[int]) -> Tiling:
        """An image cut into tiles of which the net sees this much; what they share is a part of a patch."""
        border: Border = "mirror" if any(margin) else "zero"
        tile = tuple(n - 2 * m for n, m in zip(seen, margin, strict=True))
        shared = [self.settings.overlap * (n - 2 * m) for n, m in zip(self.plan.patch, margin, strict=True)]
        return Tiling(tuple(shape), tile, tuple(margin), tuple(shared), border)

    def _work(self, tiling: Tiling) -> int:
        """Voxels that go through the net, those included that two windows answer."""
        parts, _ = windows(tiling, self.evidence.channels, self.settings.memory_gb)
        return tiling.seen * sum(math.prod(map(len, tiling.rows(window))) for window in parts)

    @property
    def _voxel_bytes(self) -> int:
        """Memory of a tile's voxel: what the net says, what is averaged and its weighted copy are there together."""
        return 3 * 4 * self.evidence.channels

    @property
    def device(self) -> torch.device:
        """Where the net is computed."""
        return self.engine.device

    @property
    def _mirrors(self) -> bool:
        return self.plan.dims == 2 if self.settings.mirror is None else self.settings.mirror

    @property
    def plans(self) -> list[Plan]:
        """The plans of all nets that answer."""
        return [self.plan]

    @property
    def label_type(self) -> np.dtype:
        """Type in which labels are kept."""
        return self.task.dtype

    def pieces(self, prepared: Image, target: Grid, advance: Advance | None) -> Iterator[Piece]:
        """The maps of a prepared image, and the parts of a target that they settle; see `slabs.pieces`."""
        tiling, parts, slabs = self._stitching(prepared.array, advance)
        return all_pieces(partial(self._probable, slabs), parts, prepared.grid, tiling.long_axis, target)

    def _probable(self, slabs: Slabs, window: Window | None) -> Iterator[tuple[int, torch.Tensor]]:
        """The slabs of a window as probabilities."""
        for start, slab in slabs(window):
            if self.evidence.activated:
                yield start, slab
            else:
                whole = slab.new_empty(self.task.channels, *slab.shape[1:])
                for part, maps in self.evidence.parts(slab):
                    whole[(slice(None), *part)] = maps
                yield start, whole
                del whole
            del slab

    def _blended(self, image: np.ndarray, advance: Advance | None) -> Iterator[tuple[tuple[slice, ...], torch.Tensor]]:
        """Averages of parts of a prepared image, and where they lie in it."""
        tiling, parts, slabs = self._stitching(image, advance)
        for window in parts:
            place = [slice(None)] * len(tiling.shape)
            if window is not None:
                place[window.axis] = slice(window.start, window.stop)
            for start, slab in slabs(window):
                place[tiling.long_axis] = slice(start, start + slab.shape[tiling.long_axis + 1])
                yield tuple(place), slab
                del slab

    def _stitching(self, image: np.ndarray, advance: Advance | None) -> tuple[Tiling, list[Window | None], Slabs]:
        """Where tiles lie, the windows that fit the memory, and what gives the slabs of a window."""
        tiling = self.tiling(image.shape[1:])
        parts, dtype = windows(tiling, self.evidence.channels, self.settings.memory_gb)
        tile_gb = self._voxel_bytes * math.prod(tiling.tile) / 2**30
        together = (self.settings.batch or self.plan.batch) * math.prod(self.plan.patch) / tiling.seen
        batch = max(1, int(min(together, self.settings.memory_gb / tile_gb)))
        told = None if advance is None else lambda share: advance(share / len(parts))

        def slabs(window: Window | None) -> Iterator[tuple[int, torch.Tensor]]:
            most = CHUNK_BYTES // (4 * self.task.channels)
            if len(self._flips) > 1:
                return stitch(self.forward, image, tiling, batch, window, dtype, told, None, most)
            return stitch(self.said, image, tiling, batch, window, dtype, told, self.evidence.averaged, most)

        return tiling, parts, slabs

    @property
    def _flips(self) -> list[list[int]]:
        """Spatial axes of the net along which the tiles are mirrored, each time; the first time along none."""
        flat = len(self.plan.patch) - self.engine.facts.dims
        axes = [axis - flat for axis in self.plan.mirror_axes if axis >= flat] if self._mirrors else []
        return [list(some) for count in range(len(axes) + 1) for some in combinations(axes, count)]

    @torch.no_grad()
    def said(self, tiles: torch.Tensor) -> torch.Tensor:
        """The evidence of a batch of tiles (B, C, *S), none of them mirrored."""
        tiles, flat = self._as_seen(tiles)
        answer = self.engine(tiles)
        return answer.unsqueeze(2) if flat else answer

    @torch.no_grad()
    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """What is averaged of a batch of tiles (B, C, *S), over mirrored ones when asked."""
        tiles, flat = self._as_seen(tiles)
        _, *flips = self._flips
        answer = self._answer(tiles)
        for some in flips:
            answer.add_(self.task.mirrored(self._answer(tiles.flip([axis + 2 for axis in some])), some))
        if flips:
            answer /= len(flips) + 1
        return answer.unsqueeze(2) if flat else answer

    def _as_seen(self, tiles: torch.Tensor) -> tuple[torch.Tensor, bool]:
        """Tiles as the net takes them, and whether they were volumes of one slice for a 2D net."""
        ahead = self.device.type == "cuda"  # the next tiles are read while these are copied and answered
        tiles = (tiles.pin_memory() if ahead else tiles).to(self.device, torch.float32, non_blocking=ahead)
        flat = tiles.ndim - 2 > self.engine.facts.dims
        return (tiles.squeeze(2) if flat else tiles), flat

    def _answer(self, tiles: torch.Tensor) -> torch.Tensor:
        """What is averaged of tiles (B, K, *S), float32, part by part, so that nothing is there twice."""
        said = self.engine(tiles)
        answer = torch.empty(said.shape, dtype=torch.float32, device=said.device)
        rows = max(1, ACTIVATED // max(1, said[:, :, :1].numel()))
        for some, part in zip(answer.split(rows, 2), said.split(rows, 2), strict=True):
            some.copy_(self.evidence.averaged(part))
        return answer
