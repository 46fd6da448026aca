"""Predictor: a case in, an answer on the same grid out."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import combinations
from pathlib import Path

import numpy as np
import torch

from ..core.case import Case, Image
from ..core.errors import ConfigError, DataError
from ..core.grid import Grid
from ..engines.choice import ChoosingEngine, Patches
from ..engines.engine import Engine
from ..engines.torch import TorchEngine
from ..nets.net import Net
from ..ops.boxes import Border
from ..ops.resample import onto
from ..planning.plan import Plan
from ..preparation.intensity import scaled_back
from ..preparation.pipeline import prepare
from ..preparation.streamed import prepare_streamed
from ..tasks.task import Task, answered
from .answering import CHUNK_BYTES, Advance, Answering
from .cascade import ANSWERED
from .memory import check_size, fitting
from .settings import PredictionSettings
from .slabs import Piece, all_pieces, same_voxels
from .tiles import GROWN, Tiling, Window, cheapest_tile, stitch, windows
from .whole import check_assembling

Slabs = Callable[[Window | None], Iterator[tuple[int, torch.Tensor]]]

ACTIVATED = 2**20
"""Numbers that are made probabilities at once, so few that their copies stay in the cache."""


class Predictor(Answering):
    """Answers whole cases by one net.

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
        self.engine, self.evidence, self.task = engine, engine.evidence, engine.evidence.task
        self.plan, self.plans = plan, [plan]
        self.settings = settings or PredictionSettings()
        facts = engine.facts
        if (facts.dims, facts.in_channels) != (plan.dims, plan.net.in_channels):
            raise ConfigError(
                f"The engine computes a {facts.dims}D net of {facts.in_channels} channels, and the plan is for one of "
                f"{plan.dims}D and {plan.net.in_channels}; take engine and plan from the same run."
            )
        check_assembling(self.task, self.settings)

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
        usual = plan.precision if task.kind == "labels" else "32-true"  # numbers are not rounded
        precision = usual if settings.precision == "auto" else settings.precision
        engine = TorchEngine.of(net, task, plan.net.in_channels, device, precision)
        if settings.backend == "torch":
            return cls(engine, plan, settings)
        return cls(ChoosingEngine(engine, settings.backend, kept, patches), plan, settings)

    def _at_once(self, case: Case, prepared: Image, advance: Advance | None) -> Image | None:
        grid, target, kind = prepared.grid, case.image.grid, self.task.kind
        if kind == "labels" and (self.task.assembles or not same_voxels(grid, target)):
            return None
        answer = self.predict_labels(prepared.array, advance, grid).reshape(-1, *grid.shape)
        if self.plan.preparation.target and kind == "intensities":
            answer = scaled_back(answer, self.plan.preparation.target)
        return onto(Image(answer, grid, kind), target)

    def predict_prepared(self, image: np.ndarray) -> np.ndarray:
        """The maps (K, *S) float32 of a prepared image (C, *S)."""
        case = Case("", Image(image, Grid.plain(image.shape[1:])))
        maps = np.empty((self.task.channels, *image.shape[1:]), np.float32)
        self._fill(maps, case, case.image, None)
        return maps

    def _fill(self, maps: np.ndarray, case: Case, prepared: Image, advance: Advance | None) -> None:
        for place, part, some in self._parts(prepared.array, advance):
            maps[(slice(None), *place)][(slice(None), *part)] = some.cpu().numpy()
            del some

    def predict_labels(self, image: np.ndarray, advance: Advance | None = None, grid: Grid | None = None) -> np.ndarray:
        """The answer to a prepared image (C, *S), as `decode` gives it; holds all maps only for a task that assembles.

        `advance` is told the share of the image that was just done; `grid` is where it lies, for a task that assembles.
        """
        if self.task.assembles:
            case = Case("", Image(image, grid or Grid.plain(image.shape[1:])))
            with self._assembled(case, case.image, advance) as (_, whole):
                return whole.array[0] if whole.channels == 1 else whole.array
        answer = np.empty(image.shape[1:], self.task.dtype)
        for place, part, maps in self._parts(image, advance):
            some = answered(self.task, self.task.decode(maps))
            channels = (slice(None),) * (some.ndim - len(place))
            if answer.ndim < some.ndim:
                answer = np.empty((len(some), *image.shape[1:]), self.task.dtype)
            answer[(*channels, *place)][(*channels, *part)] = some
            del maps
        return answer

    def prepared(self, case: Case) -> Image:
        """The image of a case as the net wants it."""
        if self.before is not None and ANSWERED not in case.facts:
            case = self.before(case)
        channels, dims = len(self.plan.preparation.intensity), len(self.plan.patch)
        if channels and case.image.channels != channels:
            there = f"{channels} channels; this image has {case.image.channels}"
            raise DataError(f"{case.id}: the net learned from {there}.")
        if case.image.grid.dims != dims:
            there = f"{dims}D images; this one has {case.image.grid.dims} axes"
            raise DataError(f"{case.id}: the net learned from {there}.")
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

    def pieces(self, case: Case, prepared: Image, advance: Advance | None) -> Iterator[Piece]:
        """The maps of a prepared image, and the parts of the grid of the case's image that they settle."""
        tiling, parts, slabs = self._stitching(prepared.array, advance)
        return all_pieces(partial(self._probable, slabs), parts, prepared.grid, tiling.long_axis, case.image.grid)

    def _probable(self, slabs: Slabs, window: Window | None) -> Iterator[tuple[int, torch.Tensor]]:
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

    def _parts(
        self, image: np.ndarray, advance: Advance | None
    ) -> Iterator[tuple[tuple[slice, ...], tuple[slice, ...], torch.Tensor]]:
        """Maps of parts of a prepared image: where a slab lies in it, where the part lies in the slab, and its maps."""
        tiling, windows, slabs = self._stitching(image, advance)
        for window in windows:
            place = [slice(None)] * len(tiling.shape)
            if window is not None:
                place[window.axis] = slice(window.start, window.stop)
            for start, slab in slabs(window):
                place[tiling.long_axis] = slice(start, start + slab.shape[tiling.long_axis + 1])
                for part, maps in self.evidence.parts(slab):
                    yield tuple(place), part, maps
                    del maps
                del slab  # a part of the ring, which would outlive its window

    def _stitching(self, image: np.ndarray, advance: Advance | None) -> tuple[Tiling, list[Window | None], Slabs]:
        """Where tiles lie, the windows that fit the memory, and what gives the slabs of a window."""
        tiling = self.tiling(image.shape[1:])
        exact = self.task.kind != "labels"  # float32 has twice the size that windows in float16 are cut for
        parts, dtype = windows(tiling, self.evidence.channels, self.settings.memory_gb / (2 if exact else 1))
        dtype = torch.float32 if exact else dtype
        tile_gb = self._voxel_bytes * math.prod(tiling.tile) / 2**30
        together = (self.settings.batch or self.plan.batch) * math.prod(self.plan.patch) / tiling.seen
        batch = max(1, int(min(together, self.settings.memory_gb / tile_gb)))
        told = None if advance is None else lambda share: advance(share / len(parts))

        def slabs(window: Window | None) -> Iterator[tuple[int, torch.Tensor]]:
            most = CHUNK_BYTES // (4 * self.task.channels)
            activate = None if len(self._flips) > 1 else self.evidence.averaged
            return stitch(self.forward, image, tiling, batch, window, dtype, told, activate, most)

        return tiling, parts, slabs

    @property
    def _flips(self) -> list[list[int]]:
        """Spatial axes of the net along which the tiles are mirrored, each time; the first time along none."""
        flat = len(self.plan.patch) - self.engine.facts.dims
        mirrors = self.plan.dims == 2 if self.settings.mirror is None else self.settings.mirror
        axes = [axis - flat for axis in self.plan.mirror_axes if axis >= flat] if mirrors else []
        return [list(some) for count in range(len(axes) + 1) for some in combinations(axes, count)]

    @torch.no_grad()
    def forward(self, tiles: torch.Tensor) -> torch.Tensor:
        """The evidence of a batch of tiles (B, C, *S); with mirrored tiles the mean of what is averaged of it."""
        ahead = self.engine.device.type == "cuda"  # the next tiles are read while these are copied and answered
        tiles = (tiles.pin_memory() if ahead else tiles).to(self.engine.device, torch.float32, non_blocking=ahead)
        flat = tiles.ndim - 2 > self.engine.facts.dims  # volumes of one slice, for a 2D net
        tiles = tiles.squeeze(2) if flat else tiles
        _, *flips = self._flips
        answer = self._averaged(tiles) if flips else self.engine(tiles)
        for some in flips:
            answer.add_(self.task.mirrored(self._averaged(tiles.flip([axis + 2 for axis in some])), some))
        if flips:
            answer /= len(flips) + 1
        return answer.unsqueeze(2) if flat else answer

    def _averaged(self, tiles: torch.Tensor) -> torch.Tensor:
        """What is averaged of tiles (B, K, *S), float32, part by part, so that nothing is there twice."""
        said = self.engine(tiles)
        answer = torch.empty(said.shape, dtype=torch.float32, device=said.device)
        rows = max(1, ACTIVATED // max(1, said[:, :, :1].numel()))
        for some, part in zip(answer.split(rows, 2), said.split(rows, 2), strict=True):
            some.copy_(self.evidence.averaged(part))
        return answer
