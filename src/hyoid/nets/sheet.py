"""The family as a table, and one net as a sheet: what it costs, how it looks, its fields and its papers."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import groupby
from typing import Any

from ..core.citations import cite
from ..core.errors import ConfigError
from ..core.progress import log, stage
from ..core.result import Column, Line, Result, Table
from .cost import Cost, cost_of, without_numbers
from .drawing import as_svg, as_text
from .family.build import build_spec, nets
from .net import Net, NetSpec, sizes
from .portrait import LevelView, portrait
from .variants import LEFT_OUT

SHAPES = {2: (256, 256), 3: (64, 64, 64)}
"""Input that costs are told for when nobody names one."""


@dataclass(frozen=True)
class NetRow:
    """What one net costs.

    Attributes:
        name: On the shelf.
        family: The file of `nets/family` it stands in.
        dims: Dimensions it is made for.
        cost: Of one sample of `shape`.
        shape: The asked input, or the next larger one that the net accepts.
        about: What is special about it.
        papers: Keys of references.bib.
    """

    name: str
    family: str
    dims: tuple[int, ...]
    cost: Cost
    shape: tuple[int, ...]
    about: str
    papers: tuple[str, ...]

    @property
    def sees(self) -> str:
        """The receptive field: one number, one for each axis, or all."""
        return receptive_field(self.cost.receptive_field)


@dataclass(frozen=True)
class Family(Result):
    """Nets with their costs for the same input, family by family."""

    shape: tuple[int, ...]
    in_channels: int
    out_channels: int
    rows: tuple[NetRow, ...]

    def shown(self, width: int) -> Iterable[Line | Table]:
        """The nets family by family, with what one sample costs each."""
        ends = f"{self.in_channels} to {self.out_channels} channels"
        yield Line(f"{len(self.rows)} nets, for an input of {sizes(self.shape)}, {ends}", look="strong")
        numbers = (Column(name, right=True, long="cut") for name in ("for", "parameters", "GFLOP", "MB", "sees"))
        columns = (Column("net", long="cut"), *numbers, Column("paper", look="faint", long="cut"))
        yield Table(columns, tuple(self._cells()))
        yield Line("MB: activations kept for the gradient of one sample, 32 bits; sees: voxels that reach a logit.")

    def _cells(self) -> Iterator[tuple[str, ...]]:
        for name, rows in groupby(self.rows, lambda row: row.family):
            yield (name,)
            for row in rows:
                dims, count = " ".join(f"{n}D" for n in row.dims), f"{row.cost.parameters / 1e6:.2f} M"
                costs = dims, count, giga(row.cost.flops), megabytes(row.cost), row.sees
                yield f"  {row.name}", *costs, ", ".join(row.papers)

    def to_json(self) -> Mapping[str, Any]:
        """The input, and each net with its cost."""
        return asdict(self)


@dataclass(frozen=True)
class NetSheet(Result):
    """One net: its row, its spec and its levels."""

    row: NetRow
    spec: NetSpec
    levels: tuple[LevelView, ...]

    def describe(self) -> list[str]:
        """Cost, drawing, fields as YAML and papers as BibTeX, in lines."""
        row, cost = self.row, self.row.cost
        lines = [
            f"{row.name}: {row.about}",
            f"input {sizes(row.shape)} of {self.spec.in_channels}, for {' and '.join(f'{n}D' for n in row.dims)}: "
            f"{cost.parameters:,} parameters, {giga(cost.flops)} GFLOP, activations {megabytes(cost)} MB, "
            f"a logit sees {row.sees}",
            "",
            *as_text(self.levels, self.spec.out_channels),
            *(["", f"Not drawn: {self.spec.undrawn}"] if self.spec.undrawn else []),
            *(["", f"Left out: {LEFT_OUT[row.name]}"] if row.name in LEFT_OUT else []),
            "",
            *self.spec.to_yaml().splitlines(),
        ]
        return [*lines, "", *cite(row.papers).splitlines()] if row.papers else lines

    def shown(self, width: int) -> Iterable[Line | Table]:
        """The lines of `describe`."""
        return map(Line, self.describe())

    def to_json(self) -> Mapping[str, Any]:
        """The row, the spec, and the levels."""
        levels = [asdict(level) | {"scale": [float(share) for share in level.scale]} for level in self.levels]
        return {"row": asdict(self.row), "spec": self.spec.model_dump(mode="json"), "levels": levels}

    def to_svg(self) -> str:
        """The drawing as SVG."""
        parameters = f"{self.row.cost.parameters / 1e6:.3g} million parameters"
        title = f"{self.row.name}, {self.spec.dims}D, {parameters}"
        note = f"Not drawn: {self.spec.undrawn}" if self.spec.undrawn else ""
        return as_svg(self.levels, self.spec.out_channels, title, note)


def family(shape: Sequence[int], in_channels: int = 1, out_channels: int = 2, names: Iterable[str] = nets) -> Family:
    """What the nets cost that are made for images of this shape; each is asked once on the meta device.

    Nets that so small an image cannot train are left out and named in the log.

    Raises:
        ConfigError: When the shape has not 2 or 3 sizes, or is too small for every net.
    """
    rows, listed, refused = [], list(names), []
    with stage("measuring nets", len(listed)) as progress:
        for name in listed:
            if len(shape) in (dims := made_for(name, in_channels, out_channels)):
                spec = build_spec(name, len(shape), in_channels, out_channels)
                try:
                    rows.append(_row(name, dims, spec, without_numbers(spec), shape))
                except ConfigError as error:
                    refused.append((name, error))
            progress.advance(1)
    if refused and not rows:
        raise refused[0][1]
    if refused:
        log.warning("%s is too small to train: %s.", sizes(shape), ", ".join(name for name, _ in refused))
    rows.sort(key=lambda row: (row.family, row.cost.parameters))
    return Family(tuple(shape), in_channels, out_channels, tuple(rows))


def sheet(name: str, shape: Sequence[int], in_channels: int = 1, out_channels: int = 2) -> NetSheet:
    """One net for images of this shape.

    Raises:
        ConfigError: When there is no such net, or it is not made for so many dimensions or for so small images.
    """
    spec = build_spec(name, len(shape), in_channels, out_channels)
    net = without_numbers(spec)
    row = _row(name, made_for(name, in_channels, out_channels), spec, net, shape)
    return NetSheet(row, spec, portrait(net, in_channels, row.shape))


def made_for(name: str, in_channels: int = 1, out_channels: int = 2) -> tuple[int, ...]:
    """Dimensions that a net is made for."""
    return tuple(dims for dims in (2, 3) if _accepts(name, dims, in_channels, out_channels))


def _accepts(name: str, dims: int, in_channels: int, out_channels: int) -> bool:
    try:
        build_spec(name, dims, in_channels, out_channels)
    except ConfigError:
        return False
    return True


def _row(name: str, dims: tuple[int, ...], spec: NetSpec, net: Net, shape: Sequence[int]) -> NetRow:
    entry, fitting = nets[name], net.fitting_shape(shape)
    try:
        found = cost_of(net, spec.in_channels, fitting, alone=True)
    except (ValueError, RuntimeError):
        raise ConfigError(
            f"{name}: an input of {sizes(shape)}, which it fills up to {sizes(fitting)}, is too small to train on; "
            f"give a larger one."
        ) from None
    group = entry.build.__module__.rpartition(".")[2].replace("_", " ")
    return NetRow(name, group, dims, found, fitting, entry.summary, entry.papers)


def receptive_field(axes: Sequence[float]) -> str:
    """One number where axes agree; all where attention sees everything."""
    words = ["all" if math.isinf(size) else f"{size:.0f}" for size in axes]
    return words[0] if len(set(words)) == 1 else "x".join(words)


def giga(count: float) -> str:
    """Billions with three digits."""
    return _short(count / 1e9)


def megabytes(cost: Cost) -> str:
    """Memory of the kept activations of one sample in 32 bits."""
    return _short(cost.activation_values * 4 / 1e6)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
