"""Putting report, facts and pictures into one self-contained report.html."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.duration import duration
from ..core.files import write_text
from ..evaluation.report import Report
from .facts import RunFacts
from .figures import name_of
from .sections import cases, data, findings, making, scores
from .wording import between, number, several

if TYPE_CHECKING:
    from jinja2 import Environment

Section = Callable[[Report, RunFacts], dict[str, Any] | None]
"""What a section's template names, or None when there is nothing to tell."""

SECTIONS: tuple[Section, ...] = (
    scores.result,
    scores.summary,
    scores.baselines,
    scores.distributions,
    findings.agreement,
    findings.confusion,
    findings.certainty,
    findings.detection,
    findings.subgroups,
    cases.gallery,
    cases.cases,
    making.training,
    data.data,
    making.plan,
    making.cost,
    making.rules,
    making.card,
    making.environment,
)
"""In the order of the page; the template of each is sections/NAME.html."""


def write_page(folder: str | Path, report: Report, facts: RunFacts | None = None) -> Path:
    """Write `report.html`: everything in one file, no address outside it, no script needed to read it.

    Args:
        folder: Where the page goes.
        report: The numbers.
        facts: Where they come from; parts that are not known are not shown.

    Returns:
        The path of the page.
    """
    known = facts or RunFacts()
    known = known if report.rules else replace(known, overlay=None)  # nothing can be outlined
    jinja = environment()
    jinja.filters["several"] = several
    jinja.filters["interval"] = lambda spread: between(spread.low, spread.high)
    jinja.filters["quartiles"] = lambda spread: between(spread.q1, spread.q3)
    jinja.filters["watt_hours"] = making.watt_hours
    jinja.filters["duration"] = lambda seconds: "–" if seconds is None else duration(seconds)
    jinja.globals.update(
        report=report,
        facts=known,
        primary=report.settings.metrics[0],
        num_groups=len({row.group for row in report.rows}),
        percent=f"{100 * report.settings.confidence:g} %",
        between=between,
    )
    contents = [(section.__name__, section(report, known)) for section in SECTIONS]
    return write_filled(
        Path(folder) / "report.html",
        jinja,
        "page.html",
        sections=[
            jinja.from_string(_text(f"sections/{name}.html")).render(content)
            for name, content in contents
            if content is not None
        ],
        script=_text("page.js") + _text("viewer.js"),
    )


def environment() -> Environment:
    """What the templates of every page know."""
    from jinja2 import Environment, StrictUndefined

    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters["number"] = number
    jinja.globals.update(name_of=name_of, version=version("hyoid"), style=_text("page.css"))
    return jinja


def write_filled(target: Path, jinja: Environment, template: str, **content: Any) -> Path:
    """Write a page from its template, and give its path."""
    write_text(target, jinja.from_string(_text(template)).render(content))
    return target


def _text(name: str) -> str:
    return files("hyoid.reporting").joinpath(name).read_text(encoding="utf-8")
