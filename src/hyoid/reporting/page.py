"""Putting report, facts and pictures into one self-contained report.html."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..core.duration import duration
from ..core.files import atomic_path
from ..evaluation.report import Report
from .facts import RunFacts
from .figures import name_of
from .sections.agreement import agreement
from .sections.baselines import baselines
from .sections.card import card
from .sections.cases import cases
from .sections.certainty import certainty
from .sections.confusion import confusion
from .sections.cost import cost, watt_hours
from .sections.data import data
from .sections.detection import detection
from .sections.distributions import distributions
from .sections.environment import environment
from .sections.gallery import gallery
from .sections.plan import plan
from .sections.result import result
from .sections.rules import rules
from .sections.subgroups import subgroups
from .sections.summary import summary
from .sections.training import training
from .wording import between, number, several

if TYPE_CHECKING:
    from jinja2 import Environment

Section = Callable[[Report, RunFacts], dict[str, Any] | None]
"""What a section's template names, or None when there is nothing to tell."""

SECTIONS: tuple[Section, ...] = (
    result,
    summary,
    baselines,
    distributions,
    agreement,
    confusion,
    certainty,
    detection,
    subgroups,
    gallery,
    cases,
    training,
    data,
    plan,
    cost,
    rules,
    card,
    environment,
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
    jinja = _environment(report, known)
    told = [(section.__name__, section(report, known)) for section in SECTIONS]
    sections = [
        jinja.from_string(_text(f"sections/{name}.html")).render(content)
        for name, content in told
        if content is not None
    ]
    html = jinja.from_string(_text("page.html")).render(
        sections=sections,
        style=_text("page.css"),
        script=_text("page.js") + _text("viewer.js"),
        version=version("hyoid"),
    )
    target = Path(folder) / "report.html"
    with atomic_path(target) as path:
        path.write_text(html, encoding="utf-8")
    return target


def _environment(report: Report, facts: RunFacts) -> Environment:
    """What every template knows."""
    from jinja2 import Environment, StrictUndefined

    jinja = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    jinja.filters["number"] = number
    jinja.filters["several"] = several
    jinja.filters["interval"] = lambda spread: between(spread.low, spread.high)
    jinja.filters["quartiles"] = lambda spread: between(spread.q1, spread.q3)
    jinja.filters["watt_hours"] = watt_hours
    jinja.filters["duration"] = lambda seconds: "–" if seconds is None else duration(seconds)
    jinja.globals.update(
        report=report,
        facts=facts,
        primary=report.settings.metrics[0],
        num_groups=len({row.group for row in report.rows}),
        percent=f"{100 * report.settings.confidence:g} %",
        name_of=name_of,
        between=between,
    )
    return jinja


def _text(name: str) -> str:
    return files("hyoid.reporting").joinpath(name).read_text(encoding="utf-8")
