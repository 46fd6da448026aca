"""Rows of a report: one structure of one case, one metric of all cases, and the table of the latter."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from ..core.result import Column, Table
from .record import plain
from .statistics import Spread


@dataclass(frozen=True)
class Row:
    """One structure of one case.

    Attributes:
        case: Case id.
        group: Patient or other group whose cases belong together.
        structure: Its name.
        finding: found, missed, spurious or absent; unknown where the structure was not annotated.
        reference_size: Volume in ml (3D), area in mm² (2D) or number of pixels (uncalibrated 2D); NaN when unknown.
        prediction_size: The same of the prediction.
        values: Metric values; NaN where the rules exclude the case, or the structure was not annotated.
        reference_mark: A text that tells references apart (`identity`); empty when there is nothing or none was kept.
        num_objects: Objects of the reference, 0 when they were not counted; not kept in files.
    """

    case: str
    group: str
    structure: str
    finding: str
    reference_size: float
    prediction_size: float
    values: Mapping[str, float]
    reference_mark: str = ""
    num_objects: int = field(default=0, compare=False, repr=False)


@dataclass(frozen=True)
class Summary:
    """One metric of one structure over all cases, or of all structures together (`structure` is then "mean").

    Attributes:
        num_cases: Cases that were judged; of a structure those in which it was annotated.
        num_counted: Cases that the numbers are made of, that is, not excluded by the rules.
        num_present: Cases whose reference holds the structure.
        num_missed: Cases of these whose prediction lacks it.
        num_spurious: Cases whose prediction holds it though the reference does not.
    """

    structure: str
    metric: str
    spread: Spread
    num_cases: int
    num_counted: int
    num_present: int
    num_missed: int
    num_spurious: int


def flat(summary: Summary) -> dict[str, Any]:
    """A summary as one flat JSON object."""
    fields = plain(asdict(summary))
    head = {key: fields.pop(key) for key in ("structure", "metric")}
    return {**head, **fields.pop("spread"), **fields}


def fitting(headings: Mapping[str, str], structures: Sequence[str], width: int) -> list[str]:
    """The first metrics, by their headings, that a table of this width has room for; at least one."""
    room = width - max(map(len, ("structure", *structures))) - 2 * len("0.000 to 0.000") - 4
    names: list[str] = []
    for name, heading in headings.items():
        room -= len(heading) + 2
        if names and room < 0:
            break
        names.append(name)
    return names


def summary_table(
    summaries: Sequence[Summary], headings: Mapping[str, str], confidence: float, num_cases: int, noun: str
) -> Table:
    """The mean of each structure and metric, with the interval of the first metric.

    Args:
        summaries: Every structure in every shown metric; those of the structure "mean" come last.
        headings: Heading of each metric.
        confidence: Of the intervals.
        num_cases: All cases of the report.
        noun: What has a row: structures, which can be missed, or else.
    """
    by_structure: dict[str, list[Summary]] = {}
    for one in summaries:
        by_structure.setdefault(one.structure, []).append(one)
    heads = [headings[name] for name in dict.fromkeys(one.metric for one in summaries)]
    heads[1:1] = [f"{100 * confidence:.0f} %"]
    heads += ["missed"] * (noun == "structure")
    columns = (Column(noun), *(Column(head, right=True) for head in heads))
    rows = []
    for structure, (first, *others) in by_structure.items():
        spread, means = first.spread, [f"{one.spread.mean:.3f}" for one in others]
        interval = "-" if math.isnan(spread.low) else f"{spread.low:.3f} to {spread.high:.3f}"
        missed = [f"{first.num_missed} of {first.num_present}"] * (noun == "structure")
        rows.append((structure, f"{spread.mean:.3f}", interval, *means, *missed))
    title = f"{num_cases} case{'s' * (num_cases != 1)}"
    return Table(columns, tuple(rows), title, sums=True)
