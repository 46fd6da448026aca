"""Comparison: two or more reports of the same cases side by side."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ..core.errors import DataError
from ..core.files import write_text
from ..core.progress import log
from ..core.result import Column, Line, Result, Table
from ..metrics.objects import Objects
from .paired import Difference, difference, holm
from .pooling import SeedSpread, pooled
from .ranking import Ranking, ranking
from .report import UNKNOWN, Report
from .statistics import mean_of_known
from .subgroups import Subgroup
from .volumes import Agreement, agreement

MEAN = "mean"


@dataclass(frozen=True)
class Compared:
    """The difference of two reports in one metric of one structure, or of the mean of structures.

    Attributes:
        metric: Its name.
        structure: Its name, or "mean".
        base: Report that the difference is measured from.
        other: The other report.
        found: The difference `other - base`.
        adjusted: The permutation p after Holm's correction over all comparisons of this metric.
        better: Name of the better report when `adjusted` is below 1 - confidence, else "".
    """

    metric: str
    structure: str
    base: str
    other: str
    found: Difference
    adjusted: float
    better: str

    @property
    def cells(self) -> tuple[str, ...]:
        """The row of a table."""
        one = self.found
        numbers = (one.mean, one.wilcoxon, one.permutation, self.adjusted, one.detectable)
        mean, *others = ("-" if math.isnan(value) else f"{value:.4f}" for value in numbers)
        interval, patients = f"{one.low:.4f} to {one.high:.4f}", str(one.num_groups)
        return self.metric, f"{self.other} - {self.base}", mean, interval, patients, *others, self.better or "-"


@dataclass(frozen=True)
class Comparison(Result):
    """Reports of the same cases, measured by the same rules.

    Attributes:
        reports: By name, all with the same cases in the same order.
        notes: Sentences on what was left out.
        runs: For each report that stands for several runs of other seeds, these.
    """

    reports: Mapping[str, Report]
    notes: tuple[str, ...] = ()
    runs: Mapping[str, Mapping[str, Report]] = field(default_factory=dict)

    @classmethod
    def of_pools(cls, pools: Mapping[str, Mapping[str, Report]]) -> Comparison:
        """As `of`, each side being one run or several that differ by their seed alone.

        Raises:
            DataError: As `of` does, and when runs of one side were judged on different cases or references.
        """
        sides = {name: pooled(runs) for name, runs in pools.items()}
        runs = {name: runs for name, runs in pools.items() if len(runs) > 1}
        for same in runs.values():
            cls(same)._check_references()
        return replace(cls.of(sides), runs=runs)

    @classmethod
    def of(cls, reports: Mapping[str, Report]) -> Comparison:
        """The comparison of what the reports share: cases, structures and metrics.

        Raises:
            DataError: When there is nothing to compare, or reports used different rules or references.
        """
        if len(reports) < 2:
            raise DataError("A comparison needs two evaluated runs or more.")
        first = next(iter(reports.values()))
        for name, one in reports.items():
            if one.settings.rules != first.settings.rules or one.length_unit != first.length_unit:
                raise DataError(f"{name}: empty masks or units differ from {next(iter(reports))}; evaluate both alike.")
        shared = [case for case in first.cases if all(case in one.cases for one in reports.values())]
        if len(shared) < 2:
            raise DataError(f"{' and '.join(reports)} share {len(shared)} cases; a comparison needs two or more.")
        notes = [
            f"{left_out} cases of {name} are not in all and are left out."
            for name, one in reports.items()
            if (left_out := len(one.cases) - len(shared))
        ]
        notes += [f"{name}: {text}" for name, one in reports.items() for text in one.flatters]
        for note in notes:
            log.warning(note)
        rows = {name: tuple(row for case in shared for row in one.rows_of_case(case)) for name, one in reports.items()}
        found = cls({name: replace(one, rows=rows[name]) for name, one in reports.items()}, tuple(notes))
        if not found.metrics or not found.structures:
            raise DataError(f"{' and '.join(reports)} share no metric or no structure.")
        found._check_references()
        measured = dict.fromkeys(name for one in reports.values() for name in one.settings.metrics)
        if unlike := [name for name in measured if name not in found.metrics]:
            told = f"Not compared, since not all measured it with the same tolerance and options: {', '.join(unlike)}."
            log.warning(told)
            found = replace(found, notes=(*notes, told))
        return found

    def _check_references(self) -> None:
        """Refuse reports of cases that have one name but not one reference, which its size or its mark gives away."""
        for (name, one), structure in itertools.product(self.reports.items(), self.structures):
            for own, usual in zip(one.rows_of(structure), self.first.rows_of(structure), strict=True):
                if own.finding == usual.finding == UNKNOWN:
                    continue
                if one.rules and not math.isclose(own.reference_size, usual.reference_size, rel_tol=1e-4):
                    raise DataError(
                        f"{own.case}: {structure} measures {own.reference_size:g} {one.size_unit} in the reference "
                        f"of {name} and {usual.reference_size:g} in that of {next(iter(self.reports))}; runs are "
                        "compared on the same references only."
                    )
                if own.reference_mark and usual.reference_mark and own.reference_mark != usual.reference_mark:
                    raise DataError(
                        f"{own.case}: {structure} is as large in the reference of {name} as in that of "
                        f"{next(iter(self.reports))}, but of other voxels; runs are compared on the same references "
                        "only. Evaluate both against one of them."
                    )

    @property
    def first(self) -> Report:
        """The first report, which gives the order of everything."""
        return next(iter(self.reports.values()))

    @cached_property
    def metrics(self) -> tuple[str, ...]:
        """Metrics that all reports have, computed in the same way."""
        return tuple(name for name in self.first.settings.metrics if all(map(self._alike(name), self.reports.values())))

    def _alike(self, name: str) -> Callable[[Report], bool]:
        """Whether a report has a metric with the options of the first."""
        usual = self.first.settings

        def alike(one: Report) -> bool:
            if name not in one.metrics or one.settings.options.get(name) != usual.options.get(name):
                return False
            if one.metrics[name].compares is Objects and one.settings.objects != usual.objects:
                return False
            return one.settings.tolerance_mm == usual.tolerance_mm or name not in ("nsd", "nsd_area")

        return alike

    @cached_property
    def structures(self) -> tuple[str, ...]:
        """Judged structures that all reports have."""
        return tuple(name for name in self.first.judged if all(name in one.structures for one in self.reports.values()))

    def values(self, name: str, metric: str, structure: str = MEAN) -> np.ndarray:
        """One value per case, NaN where the rules left it out; the mean is over the structures all have."""
        one = self.reports[name]
        wanted = self.structures if structure == MEAN else (structure,)
        return mean_of_known([[row.values[metric] for row in one.rows_of(each)] for each in wanted])

    @cached_property
    def differences(self) -> tuple[Compared, ...]:
        """Every pair of reports in every metric, for the mean and for each structure when there are several."""
        return tuple(row for metric in self.metrics for row in self._of_metric(metric))

    @cached_property
    def ranking(self) -> Ranking:
        """Ranks by the first metric; cases that one report has no value for are left out."""
        settings, metric = self.first.settings, self.metrics[0]
        table = np.column_stack([self.values(name, metric) for name in self.reports])
        known = np.isfinite(table).all(1)
        groups = [group for group, good in zip(self.first.groups, known, strict=True) if good]
        better = self.first.metrics[metric].higher_is_better
        return ranking(table[known], groups, better, settings.resamples, settings.seed)

    @cached_property
    def volumes(self) -> dict[tuple[str, str], Agreement]:
        """Agreement of sizes of each report and structure."""
        return {
            (name, structure): agreement(*one.sizes(structure), self.first.groups, *self.first.settings.draws[:2])
            for name, one in self.reports.items()
            for structure in (self.structures if one.rules else ())
        }

    @cached_property
    def subgroups(self) -> dict[str, dict[str, tuple[Subgroup, ...]]]:
        """For each column that tells kinds of cases apart, the subgroups of each report by the first metric."""
        return {
            column: {name: one.subgroups_of(column, self.metrics[0]) for name, one in self.reports.items()}
            for column in self.first.comparable
        }

    @cached_property
    def seeds(self) -> dict[str, tuple[SeedSpread, ...]]:
        """For each report of several seeds, how each metric of the compared cases depends on the seed."""
        return {name: tuple(self._seeds(name, metric) for metric in self.metrics) for name in self.runs}

    def _seeds(self, name: str, metric: str) -> SeedSpread:
        means = {}
        for run, one in self.runs[name].items():
            rows = {(row.case, row.structure): row.values[metric] for row in one.rows}
            table = [[rows[case, structure] for case in self.first.cases] for structure in self.structures]
            means[run] = float(mean_of_known(mean_of_known(table)))
        return SeedSpread.of(metric, means)

    def _of_metric(self, metric: str) -> Iterator[Compared]:
        settings = self.first.settings
        parts = (MEAN, *(self.structures if len(self.structures) > 1 else ()))
        pairs = list(itertools.product(parts, itertools.combinations(self.reports, 2)))
        found = [
            difference(
                self.values(base, metric, part),
                self.values(other, metric, part),
                self.first.groups,
                *settings.draws,
                tests=len(pairs),
            )
            for part, (base, other) in pairs
        ]
        adjusted = holm([one.permutation for one in found])
        for (part, (base, other)), one, p in zip(pairs, found, adjusted, strict=True):
            better = ""
            if p < 1 - settings.confidence:
                better = other if (one.mean > 0) == self.first.metrics[metric].higher_is_better else base
            yield Compared(metric, part, base, other, one, p, better)

    def shown(self, width: int) -> Iterable[Line | Table]:
        """The ranking with its win matrix, and the differences of the means."""
        cases, groups = len(self.first.cases), len(set(self.first.groups))
        heads = ("place", "mean rank", "first in", *(f"better than {name}" for name in self.reports))
        title = f"{cases} cases of {groups} groups, ranked by {self.metrics[0]}"
        columns = (Column("run"), *(Column(name, right=True) for name in heads))
        yield Table(columns, tuple(self._ranks()), title)
        yield Line("")
        level = f"{100 * self.first.settings.confidence:.0f} %"
        heads = ("difference", level, "patients", "Wilcoxon p", "permutation p", "Holm p", "detectable", "better")
        columns = (Column("metric"), Column("runs"), *(Column(name, right=True) for name in heads))
        yield Table(columns, tuple(row.cells for row in self.differences if row.structure == MEAN))
        if self.seeds:
            yield Line("")
            columns = Column("pooled"), Column("metric"), Column("mean of each seed"), Column("SD of seeds", right=True)
            yield Table(columns, tuple(self._seed_rows()))
        yield from (Line(note, look="faint") for note in self.notes)

    def _seed_rows(self) -> Iterator[tuple[str, ...]]:
        for name, spreads in self.seeds.items():
            for one in spreads:
                yield name, one.metric, "  ".join(f"{mean:.4f}" for mean in one.means.values()), f"{one.sd:.4f}"

    def _ranks(self) -> Iterator[tuple[str, ...]]:
        place = self.ranking
        for number, name in enumerate(self.reports):
            wins = ["" if other == number else f"{100 * share:.0f} %" for other, share in enumerate(place.wins[number])]
            first = f"{100 * place.shares[number, 0]:.0f} %"
            yield name, str(place.places[number]), f"{place.mean_ranks[number]:.2f}", first, *wins

    def to_json(self) -> Mapping[str, Any]:
        """What comparison.json holds; undefined numbers are null."""
        place = self.ranking
        return {
            "format": "hyoid.comparison/1",
            "runs": list(self.reports),
            "num_cases": len(self.first.cases),
            "num_groups": len(set(self.first.groups)),
            "confidence": self.first.settings.confidence,
            "differences": [_plain({**asdict(row), **asdict(row.found), "found": None}) for row in self.differences],
            "ranking": {
                "metric": self.metrics[0],
                "mean_ranks": list(place.mean_ranks),
                "places": list(place.places),
                "shares_of_places": place.shares.tolist(),
                "tau": _plain(place.tau),
                "wins": place.wins.tolist(),
            },
            "volumes": [
                _plain({"run": name, "structure": structure, **asdict(one), "middles": None, "differences": None})
                for (name, structure), one in self.volumes.items()
            ],
            "subgroups": {
                column: {name: [_plain(asdict(one)) for one in kinds] for name, kinds in by_run.items()}
                for column, by_run in self.subgroups.items()
            },
            "seeds": {name: [_plain(asdict(one)) for one in spreads] for name, spreads in self.seeds.items()},
            "notes": list(self.notes),
        }

    def write(self, folder: str | Path) -> None:
        """Write comparison.json."""
        text = json.dumps(self.to_json(), indent=2, ensure_ascii=False)
        write_text(Path(folder) / "comparison.json", f"{text}\n")


def _plain(value: Any) -> Any:
    """Without entries that are None, and null for what is not a number."""
    if isinstance(value, dict):
        return {key: _plain(one) for key, one in value.items() if one is not None}
    return None if isinstance(value, float) and not math.isfinite(value) else value
