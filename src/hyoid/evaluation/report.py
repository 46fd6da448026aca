"""Report: one row per case and structure, what they add up to, and the files they are kept in."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from ..core.errors import ConfigError, DataError
from ..core.files import atomic_path, regular, write_text
from ..core.lengths import Lengths, mm_in
from ..core.result import Line, Result, Table
from ..core.settings import Settings
from ..core.shapes import checked, shape_of
from ..core.trees import load_json
from ..metrics.metric import DEFAULT_METRICS, Metric, Rules
from ..metrics.shelves import HELD, of_files
from .confusion import Confusion
from .paired import by_group, detectable_difference
from .record import FORMAT, as_stored, as_text, plain, schema
from .rows import Row, Summary, fitting, flat, summary_table
from .statistics import Spread, mean_of_known, spread
from .subgroups import Subgroup, subgroups, tells_kinds
from .volumes import Agreement, agreement

_DIGITS = 6
UNKNOWN = "unknown"
"""The finding of a structure that was not annotated in a case."""

_FIXED_COLUMNS = ("case", "group", "structure", "finding", "reference_size", "prediction_size")

_NEEDED, _KNOWN = (
    ("structures", "length_unit", "size_unit", "notes"),
    ("confusion", "certainty", "baselines", "references", "flatters"),
)


class EvaluationSettings(Settings):
    """What is measured, and by which rules."""

    metrics: tuple[str, ...] = Field(
        DEFAULT_METRICS, min_length=1, description="Names of metrics; the first one ranks cases."
    )
    rules: Rules = Field(Rules(), description="What a metric gives when a mask is empty.")
    tolerance_mm: float | None = Field(
        None,
        gt=0,
        description="Distance that nsd and nsd_area still count as agreement, pixels where their size is unknown; "
        "none: the edge of a voxel, but at least 1 mm where that is 0.25 mm or more.",
    )
    options: dict[str, dict[str, float | str]] = Field(
        {}, description="Options of metrics by name, such as {f_beta: {beta: 0.5}}."
    )
    objects: Literal["numbers", "pieces"] = Field(
        "numbers",
        description="What metrics of objects compare: object numbers where annotations have them (else pieces), or "
        "always connected pieces.",
    )
    confidence: float = Field(0.95, gt=0, lt=1, description="Probability the intervals are meant to cover.")
    resamples: int = Field(2000, ge=100, description="Bootstrap draws for each interval.")
    seed: int = Field(0, description="Of the bootstrap.")

    @property
    def draws(self) -> tuple[float, int, int]:
        """Confidence, resamples and seed, as every function of the bootstrap takes them."""
        return self.confidence, self.resamples, self.seed

    def measured_in(self, lengths: Lengths) -> EvaluationSettings:
        """These settings with the tolerance that follows from lengths, where none is set."""
        return self.model_copy(update={"tolerance_mm": self.tolerance_mm or lengths.step_mm})

    def build(self) -> tuple[Metric, ...]:
        """The metrics, ready to be called."""
        given = {} if self.tolerance_mm is None else {"tolerance_mm": self.tolerance_mm}
        usual = dict.fromkeys(("nsd", "nsd_area"), given)
        unused = sorted(set(self.options) - set(self.metrics))
        if unused:
            raise ConfigError(f"evaluation.options: {unused[0]} is not measured; add it to evaluation.metrics.")
        options = {name: {**usual.get(name, {}), **self.options.get(name, {})} for name in self.metrics}
        return tuple(of_files(name, **given) for name, given in options.items())


@dataclass(frozen=True)
class Report(Result):
    """What an evaluation found; finished, and the same whether it was just made or read from its files.

    Attributes:
        rows: One per case and structure, cases in order.
        structures: Names in the order of the labels.
        settings: What was measured, and by which rules.
        length_unit: "mm", "µm" or "nm", or "px" when the images do not know their pixel size.
        size_unit: "ml", or the square or cube of the unit of lengths.
        notes: Sentences on what was assumed or repaired.
        facts: What else is known of each case (site, scanner, sex): the columns of the data set's case table.
        confusion: Which structure was taken for which; None where structures overlap.
        certainty: How sure the net was (`Certainty.to_dict`), when its probabilities were measured.
        baselines: What the mean mask and, when asked, classical methods reach on the same cases (`rivals.against`).
        flatters: Sentences on why the numbers are better than new cases would give.
    """

    rows: tuple[Row, ...]
    structures: tuple[str, ...]
    settings: EvaluationSettings = field(default_factory=EvaluationSettings)
    length_unit: str = "mm"
    size_unit: str = "ml"
    notes: tuple[str, ...] = ()
    facts: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    confusion: Confusion | None = None
    certainty: Mapping[str, Any] | None = None
    baselines: Mapping[str, Any] | None = None
    flatters: tuple[str, ...] = ()

    @cached_property
    def cases(self) -> tuple[str, ...]:
        """Case ids in order."""
        return tuple(self._by_case)

    @cached_property
    def groups(self) -> tuple[str, ...]:
        """Patient of each case."""
        return tuple(rows[0].group for rows in self._by_case.values())

    @cached_property
    def metrics(self) -> dict[str, Metric]:
        """The measured metrics by name."""
        return {metric.name: metric for metric in self.settings.build()}

    @cached_property
    def rules(self) -> tuple[str, ...]:
        """The rules for structures that are missed, in words; none where images or fields are judged."""
        of_labels = any(metric.compares in HELD["labels"] for metric in self.metrics.values())
        return self.settings.rules.sentences() if of_labels else ()

    @property
    def noun(self) -> str:
        """What a row of a case is about: a structure, or an output, which is a channel of an image, or a field."""
        return "structure" if self.rules else "output"

    def unit(self, metric: str) -> str:
        """Unit of a metric in this report."""
        unit = self.metrics[metric].unit
        return self.length_unit if unit == "mm" else unit

    def length(self, length_mm: float) -> str:
        """A length in the unit of the report: 0.65 µm."""
        return f"{length_mm / mm_in(self.length_unit):.4g} {self.length_unit}"

    def rows_of(self, structure: str) -> tuple[Row, ...]:
        """The rows of one structure."""
        return tuple(self._by_structure.get(structure, ()))

    def rows_of_case(self, case: str) -> tuple[Row, ...]:
        """The rows of one case."""
        return tuple(self._by_case.get(case, ()))

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the facts that are known of any case, in order."""
        taken = {*_FIXED_COLUMNS, *self.settings.metrics}
        known = dict.fromkeys(name for case in self.cases for name in self.facts.get(case, ()))
        return tuple(name for name in known if name not in taken)

    @cached_property
    def judged(self) -> tuple[str, ...]:
        """The structures that the reference of a case holds (all when none does); only these make up the mean."""
        seen = {row.structure for row in self.rows if row.finding in ("found", "missed")}
        return tuple(name for name in self.structures if name in seen) or self.structures

    @property
    def unjudged(self) -> str:
        """A sentence on the structures that no reference holds, and how often they were made up; empty without any."""
        told = []
        for name in (name for name in self.structures if name not in self.judged):
            made_up = sum(row.finding == "spurious" for row in self.rows_of(name))
            cases = f"made up in {made_up} case{'s' * (made_up != 1)}" if made_up else "never made up"
            told.append(f"{name} ({cases})")
        return f"In no reference, so not part of the mean of structures: {', '.join(told)}." if told else ""

    @cached_property
    def summaries(self) -> tuple[Summary, ...]:
        """Every structure with every metric, in order."""
        return tuple(
            self._counted(name, metric, self.rows_of(name), [row.values[metric] for row in self.rows_of(name)])
            for name in self.structures
            for metric in self.settings.metrics
        )

    @cached_property
    def means(self) -> tuple[Summary, ...]:
        """For each metric the mean of the judged structures' means (macro mean)."""
        rows = [self.rows_of(name) for name in self.judged]
        return tuple(
            self._counted(
                "mean", metric, self.rows, [[row.values[metric] for row in case] for case in zip(*rows, strict=True)]
            )
            for metric in self.settings.metrics
        )

    def summary(self, structure: str, metric: str) -> Summary:
        """The summary of one structure and metric; structure "mean" is the macro mean."""
        for one in (*self.summaries, *self.means):
            if (one.structure, one.metric) == (structure, metric):
                return one
        raise DataError(f"The report has no {metric!r} of {structure!r}.")

    def score(self, case: str, metric: str | None = None) -> float:
        """Mean of a metric (the first one by default) over the judged structures of a case; NaN when none counts."""
        name = metric or self.settings.metrics[0]
        values = [row.values[name] for row in self.rows_of_case(case) if row.structure in self.judged]
        return rounded(float(mean_of_known(values)))

    def ranked(self) -> tuple[str, ...]:
        """Case ids from worst to best by the first metric; ties by id, cases without a value last."""
        sign = 1 if self.metrics[self.settings.metrics[0]].higher_is_better else -1
        scores = {case: self.score(case) for case in self.cases}
        return tuple(sorted(self.cases, key=lambda case: (math.isnan(scores[case]), sign * scores[case], case)))

    @cached_property
    def detectable(self) -> float:
        """Smallest mean difference of the first metric that another run is told apart by, in four of five paired tests
        on these patients, if differences spread as widely as the scores do; NaN where so few
        patients show no difference, however large.
        """
        scores = by_group([*map(self.score, self.cases)], self.groups)
        return detectable_difference(scores, 1 - self.settings.confidence)

    @cached_property
    def agreements(self) -> dict[str, Agreement]:
        """Agreement of sizes of each judged structure."""
        names = self.judged if self.rules else ()
        return {name: agreement(*self.sizes(name), self.groups, *self.settings.draws[:2]) for name in names}

    def sizes(self, structure: str) -> tuple[list[float], list[float]]:
        """Predicted and reference size of a structure in each case."""
        rows = self.rows_of(structure)
        return [row.prediction_size for row in rows], [row.reference_size for row in rows]

    @cached_property
    def subgroups(self) -> dict[str, tuple[Subgroup, ...]]:
        """The kinds of cases by the first metric, for each column that tells kinds apart."""
        return {column: self.subgroups_of(column) for column in self.comparable}

    @cached_property
    def comparable(self) -> tuple[str, ...]:
        """Columns that tell a few kinds of cases apart."""
        return tuple(column for column in self.columns if tells_kinds(column, self._entries(column)))

    def subgroups_of(self, column: str, metric: str | None = None) -> tuple[Subgroup, ...]:
        """The kinds of cases that a column tells apart, by a metric (the first one by default).

        Raises:
            DataError: When no case has this column, or it has another value in nearly every case.
        """
        entries = self._entries(column)
        if not any(entries.values()):
            raise DataError(f"cases.csv has no column {column!r}; known: {', '.join(self.columns) or 'none'}.")
        scores = [self.score(case, metric) for case in self.cases]
        return subgroups(column, entries, scores, self.groups, *self.settings.draws)

    def _entries(self, column: str) -> dict[str, str]:
        return {case: self.facts.get(case, {}).get(column, "") for case in self.cases}

    def shown(self, width: int) -> Iterable[Line | Table]:
        """The mean of each structure in each metric that has room."""
        headings = {name: f"{name} ({unit})" if (unit := self.unit(name)) else name for name in self.metrics}
        names = fitting(headings, self.structures, width)
        found = [one for one in (*self.summaries, *self.means) if one.metric in names]
        yield summary_table(found, headings, self.settings.confidence, len(self.cases), self.noun)
        if left_out := len(headings) - len(names):
            yield Line(f"... and {left_out} more metrics, in report.json and cases.csv of --into", look="faint")

    def to_json(self) -> Mapping[str, Any]:
        """As in report.json, and the rows of cases.csv."""
        fixed = attrgetter(*_FIXED_COLUMNS)
        cases = [dict(zip(_FIXED_COLUMNS, fixed(row), strict=True)) | dict(row.values) for row in self.rows]
        return self.to_dict() | {"cases": cases}

    def to_dict(self, story: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """What report.json holds: conventions, summaries, means and what follows from them.

        Args:
            story: What is known of the run beside the numbers.
        """
        return {
            "format": FORMAT,
            "structures": list(self.structures),
            "judged": list(self.judged),
            "num_cases": len(self.cases),
            "num_groups": len({row.group for row in self.rows}),
            "settings": self.settings.model_dump(mode="json"),
            "rules": list(self.rules),
            "length_unit": self.length_unit,
            "size_unit": self.size_unit,
            "metrics": {
                name: {
                    "meaning": metric.meaning,
                    "unit": self.unit(name),
                    "convention": metric.convention,
                    "best": metric.best,
                    "higher_is_better": metric.higher_is_better,
                }
                for name, metric in self.metrics.items()
            },
            "summary": [flat(one) for one in self.summaries],
            "mean": [flat(one) for one in self.means],
            "detectable": plain(self.detectable),
            "agreement": [
                {"structure": name, **plain({**asdict(one), "middles": None, "differences": None})}
                for name, one in self.agreements.items()
            ],
            "subgroups": {column: [plain(asdict(one)) for one in kinds] for column, kinds in self.subgroups.items()},
            "confusion": None if self.confusion is None else plain(asdict(self.confusion)),
            "certainty": self.certainty,
            "baselines": None if self.baselines is None else dict(self.baselines),
            "references": {
                case: {row.structure: row.reference_mark for row in rows if row.reference_mark}
                for case, rows in self._by_case.items()
            },
            "unjudged": self.unjudged,
            "flatters": list(self.flatters),
            "notes": list(self.notes),
            "run": None if story is None else dict(story),
        }

    def write(self, folder: str | Path, story: Mapping[str, Any] | None = None) -> None:
        """Write `cases.csv` and `report.json`; equal reports give equal bytes.

        Args:
            folder: Where they go.
            story: What is known of the run beside the numbers, kept in report.json.
        """
        root = Path(folder)
        write_text(root / "report.json", json.dumps(self.to_dict(story), indent=2, ensure_ascii=False) + "\n")
        with atomic_path(root / "cases.csv") as path, path.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(map(as_text, [*_FIXED_COLUMNS, *self.settings.metrics, *self.columns]))
            for row in self.rows:
                facts = [row.case, row.group, row.structure, row.finding]
                numbers = [row.reference_size, row.prediction_size, *(row.values[m] for m in self.settings.metrics)]
                known = self.facts.get(row.case, {})
                cells = [*facts, *map(_cell, numbers), *(known.get(name, "") for name in self.columns)]
                writer.writerow(map(as_text, cells))

    @classmethod
    def read(cls, folder: str | Path) -> Report:
        """The report whose files lie in this folder.

        Raises:
            DataError: When a file is missing or not as `write` leaves it.
        """
        root = Path(folder)
        try:
            facts = load_json(regular(root / "report.json").read_text(encoding="utf-8"))
            checked(facts, _read_shape(), root / "report.json", "evaluate again")
            settings = EvaluationSettings.parse(facts["settings"], str(root / "report.json"))
            with regular(root / "cases.csv").open(newline="", encoding="utf-8") as file:
                head, *lines = ([as_stored(cell) for cell in cells] for cells in csv.reader(file))
            table = [dict(zip(head, cells, strict=True)) for cells in lines if cells]
            marks = facts.get("references", {})
            rows = tuple(_row(cells, settings.metrics, marks.get(cells["case"], {})) for cells in table)
            other = set(_FIXED_COLUMNS) | set(settings.metrics)
            known = {
                cells["case"]: {name: text for name, text in cells.items() if name not in other} for cells in table
            }
        except FileNotFoundError as error:
            raise DataError(f"{error.filename}: no such file; `hyoid evaluate` writes it.") from None
        except (AttributeError, KeyError, TypeError, ValueError, csv.Error) as error:
            raise DataError(f"{root}: report.json and cases.csv are not a report that hyoid wrote ({error}).") from None
        return cls(
            rows,
            tuple(facts["structures"]),
            settings,
            facts["length_unit"],
            facts["size_unit"],
            tuple(facts["notes"]),
            {case: row for case, row in known.items() if row},
            Confusion.from_dict(facts.get("confusion")),
            facts.get("certainty"),
            facts.get("baselines"),
            tuple(facts.get("flatters", ())),
        )

    @cached_property
    def _by_case(self) -> dict[str, list[Row]]:
        return _grouped(self.rows, "case")

    @cached_property
    def _by_structure(self) -> dict[str, list[Row]]:
        return _grouped(self.rows, "structure")

    def _counted(self, structure: str, metric: str, rows: tuple[Row, ...], values: ArrayLike) -> Summary:
        numbers = spread(values, self.groups, *self.settings.draws)
        table = np.asarray(values, float).reshape(len(self.cases), -1)
        findings = [row.finding for row in rows]
        return Summary(
            structure,
            metric,
            Spread(**{key: rounded(value) for key, value in asdict(numbers).items()}),
            num_cases=len({row.case for row in rows if row.finding != UNKNOWN}),
            num_counted=int(np.isfinite(table).any(1).sum()),
            num_present=findings.count("found") + findings.count("missed"),
            num_missed=findings.count("missed"),
            num_spurious=findings.count("spurious"),
        )


def _read_shape() -> dict[str, Any]:
    """The shape of what `Report.read` takes from report.json; earlier ones lack some of it."""
    whole = schema()
    shape = {name: shape_of(whole["properties"][name], whole["$defs"]) for name in _NEEDED + _KNOWN}
    return {name if name in _NEEDED else f"{name}?": one for name, one in shape.items()}


def _grouped(rows: tuple[Row, ...], field_name: str) -> dict[str, list[Row]]:
    """Rows by the value of one field, in order."""
    found: dict[str, list[Row]] = {}
    for row in rows:
        found.setdefault(getattr(row, field_name), []).append(row)
    return found


def rounded(value: float) -> float:
    """A number as reports keep it: six decimals, so that files and memory hold the same."""
    return round(float(value), _DIGITS) + 0.0


def rounded_size(value: float) -> float:
    """A size as reports keep it: six decimals, and six digits of what is small."""
    return float(f"{value:.6g}") if 0 < value < 0.1 else rounded(value)


def _cell(value: float) -> str:
    if value != rounded(value) and not math.isnan(value):  # a small size
        return str(np.format_float_positional(value))
    return "" if math.isnan(value) else f"{value:.{_DIGITS}f}"


def _row(cells: Mapping[str, str], names: tuple[str, ...], marks: Mapping[str, str]) -> Row:
    number = lambda text: float(text) if text else float("nan")  # noqa: E731
    return Row(
        cells["case"],
        cells["group"],
        cells["structure"],
        cells["finding"],
        number(cells["reference_size"]),
        number(cells["prediction_size"]),
        {name: number(cells[name]) for name in names},
        marks.get(cells["structure"], ""),
    )
