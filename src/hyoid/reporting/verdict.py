"""The verdict: a light and the sentences behind it, from all that was measured, for the page and the terminal."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from statistics import median
from typing import Any, Literal

from ..core.progress import log
from ..evaluation.report import Report
from ..evaluation.statistics import Spread
from .facts import RunFacts
from .figures import name_of
from .sections.cases import outliers
from .wording import number, several

Light = Literal["failed", "look", "good"]

COLOURS: dict[Light, str] = {"failed": "red", "look": "amber", "good": "green"}

HALF, FAIR = 0.5, 0.7
"""Mean overlap below which an answer is more wrong than right, and below which it needs a look (Dice)."""

THIN = 3.0
"""Typical thickness in voxels below which a border that is off by one voxel decides the overlap."""

_FEW = 10
_OBJECTS = "object_f1"
_SAME: Callable[[float], float] = lambda value: value  # noqa: E731
_TWICE: Callable[[float], float] = lambda value: 2 * value / (1 + value)  # noqa: E731
AS_DICE = {
    **dict.fromkeys(("dice", "object_f1", "lesion_f1", "nsd", "cl_dice"), _SAME),
    **dict.fromkeys(("iou", "aji", "panoptic_quality", "seg"), _TWICE),
}
"""How metrics of overlap are put on the scale of Dice."""


@dataclass(frozen=True)
class Verdict:
    """What is to be thought of a report.

    Attributes:
        light: Failed, look or good.
        text: The score and why, in sentences.
    """

    light: Light
    text: str

    def to_dict(self) -> dict[str, Any]:
        """What report.json holds of it."""
        return {"light": COLOURS[self.light], "verdict": self.text}

    def tell(self) -> None:
        """Say it on the terminal; red is a warning."""
        (log.warning if self.light == "failed" else log.info)("Verdict: %s. %s", COLOURS[self.light], self.text)


def verdict_of(report: Report, facts: RunFacts) -> Verdict:
    """The light, and the sentences of that light behind the score; see docs/how-to/read_the_report.md for the rule.

    Failed: the numbers flatter, a simpler method is as good, the mean overlap of a structure is below one half, or a
    structure was missed. Look: any of these may be so by chance or for a structure thinner than three voxels, the
    overlap is below 0.7, a structure was made up, a case is unusually bad, the training fell short, or there are too
    few independent cases.
    """
    worthless = [*_beaten(report), *_poor(report, facts)]
    found: list[tuple[Light, str]] = [("failed", text) for text in (*_flattering(report, facts), *report.flatters)]
    found += [*worthless, *_by_finding(report), *(("look", text) for text in facts.doubts), *_of_cases(report)]
    lights = [light for light, _ in found]
    light: Light = "failed" if "failed" in lights else "look" if lights else "good"
    told = [text for one, text in found if one == light] or [_nothing(report, facts)]
    if any(one == "failed" for one, _ in worthless):
        told.append(f"It is not worth using yet. {facts.remedy}".rstrip())
    return Verdict(light, " ".join([_score(report), *told]))


def _score(report: Report) -> str:
    primary = report.settings.metrics[0]
    spread, unit = report.summary("mean", primary).spread, report.unit(primary)
    ends = "" if math.isnan(spread.low) else f" ({number(spread.low)} to {number(spread.high)})"
    return f"Mean {name_of(primary)} {number(spread.mean)}{f' {unit}' if unit else ''}{ends}."


def _flattering(report: Report, facts: RunFacts) -> Iterator[str]:
    if facts.data_sheet and facts.data_sheet.leaks():
        yield "Training and validation share patients: these numbers flatter."
    elif facts.data_sheet and facts.data_sheet.leaking_copies():
        yield "Training and validation share images: these numbers flatter."


def _beaten(report: Report) -> Iterator[tuple[Light, str]]:
    """Methods that are as good on average, with their score, and those whose lead may be chance."""
    primary = report.settings.metrics[0]
    methods = (report.baselines or {}).get("methods", ())
    better, close = list[str](), list[str]()
    for one in methods:
        ahead, low = (math.nan if one["ahead"][key] is None else one["ahead"][key] for key in ("mean", "low"))
        (mean,) = (row["mean"] for row in one["mean"] if row["metric"] == primary)
        (better if ahead <= 0 else close if low <= 0 else []).append(f"{one['name']} ({number(mean)})")
    if better:
        yield "failed", f"No better than methods without a net: {_all_of(better)}."
    if close:
        yield "look", f"Perhaps only by chance better than methods without a net: {_all_of(close)}."


def _poor(report: Report, facts: RunFacts) -> Iterator[tuple[Light, str]]:
    """What the overlap says, by the metric that decides or the first one of overlap, and then by objects."""
    metric = next((name for name in report.settings.metrics if name in AS_DICE), None)
    if metric is None:
        return
    every = {one: report.summary(one, metric).spread for one in report.judged}
    yield from _overlap(metric, every, {"": report.summary("mean", metric).spread}, facts)
    if metric != _OBJECTS:
        counted = _objects(report, facts)
        yield from _overlap(_OBJECTS, counted, counted, facts)


def _objects(report: Report, facts: RunFacts) -> dict[str, Spread]:
    """The F1 of objects, where it is measured, of structures that are several objects in most cases."""
    if _OBJECTS not in report.settings.metrics:
        return {}
    counts = {one: [row.num_objects for row in report.rows_of(one) if row.num_objects] for one in report.judged}
    several = {one for one, some in counts.items() if some and median(some) > 1} | set(facts.scattered)
    return {one: report.summary(one, _OBJECTS).spread for one in report.judged if one in several}


def _overlap(
    metric: str, every: Mapping[str, Spread], whole: Mapping[str, Spread], facts: RunFacts
) -> Iterator[tuple[Light, str]]:
    """What one metric says of every structure, and of the whole, whose name is empty for the mean of structures."""
    scale, name = AS_DICE[metric], name_of(metric)
    low = {one: spread.mean for one, spread in every.items() if scale(spread.mean) < HALF}
    thin = {one: value for one, value in low.items() if one in facts.thin}
    some = _all_of([f"{one} {number(value)}" for one, value in low.items()])
    if len(low) > len(thin):
        yield "failed", f"{name} below one half: {some}."
    elif thin:
        yield "look", f"{name} is low where structures are thinner than {THIN:g} voxels: {some}."
    if low:
        return
    poor = [f"{one} {number(spread.mean)}" * bool(one) for one, spread in whole.items() if scale(spread.mean) < FAIR]
    wide = [one for one, spread in whole.items() if scale(spread.low) < HALF]
    if poor:
        told = f"Mean {name} is below the {FAIR:g} that is usually called good: {_all_of(poor)}"
        yield "look", f"{told.removesuffix(': ')}."
    elif wide:
        yield (
            "look",
            f"The interval of the mean {name} reaches below one half: {_all_of(wide)}".removesuffix(": ") + ".",
        )


def _by_finding(report: Report) -> Iterator[tuple[Light, str]]:
    missed, spurious = (
        len({row.case for row in report.rows if row.finding == finding}) for finding in ("missed", "spurious")
    )
    if missed:
        yield "failed", f"Structures were missed in {missed} of {several(len(report.cases), 'case')}; see them first."
    if spurious:
        yield "look", f"Structures were made up in {several(spurious, 'case')}."


def _of_cases(report: Report) -> Iterator[tuple[Light, str]]:
    groups = len({row.group for row in report.rows})
    if unusual := outliers(report):
        yield "look", f"{several(len(unusual), 'case')} scored unusually badly."
    if groups < _FEW:
        yield "look", f"{several(groups, 'independent case')} cannot say much about new ones."


def _nothing(report: Report, facts: RunFacts) -> str:
    told = "No structure was missed or made up, and no case stands out." if report.rules else "No case stands out."
    if torn := [f"{one} {number(spread.mean)}" for one, spread in _objects(report, facts).items() if spread.mean < 1]:
        told = f"No case stands out, but not every object was found one by one ({name_of(_OBJECTS)}: {_all_of(torn)})."
    judged = len((report.baselines or {}).get("methods", ())) > 1
    return told if judged else f"{told} Classical methods were not judged (`--baseline`)."


def _all_of(names: list[str], most: int = 5) -> str:
    if len(names) > most:
        names = [*names[:most], f"{len(names) - most} more"]
    return names[0] if len(names) == 1 else "" if not names else f"{', '.join(names[:-1])} and {names[-1]}"


def story(report: Report, facts: RunFacts) -> dict[str, Any]:
    """What report.json holds of the run, with the verdict."""
    return facts.to_dict() | verdict_of(report, facts).to_dict()
