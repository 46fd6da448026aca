"""MODEL_CARD.md: what a net is for, what it learned from, how well it does, and what its author must add."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ..core.digest import short_name
from ..core.files import write_text
from ..core.progress import log
from ..evaluation.report import Report
from .claim import Item, items, limitations, mean_of
from .facts import RunFacts
from .figures import name_of
from .wording import several

_TO_ADD = "*To be added by the author.*"


def write_card(folder: str | Path, report: Report, facts: RunFacts) -> Path:
    """Write `MODEL_CARD.md` and give its path; a card that was edited stays as it is, with a notice."""
    target = Path(folder) / "MODEL_CARD.md"
    if target.is_file() and not _as_written(target.read_text(encoding="utf-8")):
        log.info("%s was edited and stays as it is; delete it to have a new one.", target)
        return target
    text = model_card(report, facts)
    write_text(target, f"{text}\n<!-- hyoid {short_name(text)} -->\n")
    return target


def _as_written(card: str) -> bool:
    """Whether nobody has changed a card: its last line tells what stood above it."""
    text, _, mark = card.rpartition("\n<!-- hyoid ")
    return mark.strip() == f"{short_name(text)} -->"


def model_card(report: Report, facts: RunFacts) -> str:
    """The card as Markdown."""
    parts = [
        f"# {facts.title}",
        f"{facts.what}. {facts.date}.",
        "For research; not a medical device.",
        *_section("Intended use", [_TO_ADD]),
        *_section("Not intended for", [f"Any {report.noun} but {', '.join(report.structures)}. {_TO_ADD}"]),
        *_section("Model", _lines(facts.model)),
        *_section("Data", _data(report, facts)),
        *_section("Performance", _performance(report)),
        *_section("Limitations", [f"- {text}" for text in limitations(report, facts)]),
        *_section("Ethics, licence, contact", [_TO_ADD]),
        *_section("Environment", _lines(facts.environment)),
        *_section("CLAIM", _checklist(items(report, facts))),
    ]
    return _harmless("\n\n".join(part for part in parts if part)) + "\n"


def _harmless(text: str) -> str:
    """Markdown in which no name of a case, structure or column is a tag or a link."""
    return text.replace("<", "&lt;").replace("](", "]\\(")


def counted(found: tuple[Item, ...]) -> str:
    """How many items are answered, partly answered and left to the author, as a sentence."""
    states = [item.state for item in found]
    answered, partly, author = (states.count(state) for state in ("answered", "partly", "author"))
    return f"Of {len(found)} items this report answers {answered}, {partly} in part, and leaves {author} to the author."


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"## {title}", "\n".join(lines)] if lines else []


def _lines(facts: Mapping[str, str]) -> list[str]:
    return [f"- {name}: {text}" for name, text in facts.items()]


def _data(report: Report, facts: RunFacts) -> list[str]:
    sheet = facts.data_sheet
    if sheet is None:
        return [f"- {facts.data or 'data set'}: {several(len(report.cases), 'judged case')}"]
    parts = [
        f"- {part}: {several(cases, 'case')} of {several(groups, 'group')}"
        for part, (cases, groups) in sheet.parts().items()
    ]
    rule = [f"- {facts.split_rule}."] if facts.split_rule else []
    return [*_lines(sheet.facts), *parts, *rule]


def _performance(report: Report) -> list[str]:
    metrics = report.settings.metrics
    rows = [*report.structures, *(["mean"] if len(report.judged) > 1 else [])]
    head = [f"{name_of(metric)} ({unit})" if (unit := report.unit(metric)) else name_of(metric) for metric in metrics]
    return [
        _row(["", *head]),
        _row(["---"] * (len(metrics) + 1)),
        *(_row([name, *(mean_of(report, name, metric) for metric in metrics)]) for name in rows),
        "",
        f"Mean over {several(len(report.cases), 'case')}, {100 * report.settings.confidence:g} % interval in brackets. "
        + " ".join(report.rules),
    ]


def _checklist(found: tuple[Item, ...]) -> list[str]:
    return [
        counted(found) + " Items follow CLAIM 2024 in own words.",
        "",
        _row(["Section", "To tell", "Told here", "The author adds"]),
        _row(["---"] * 4),
        *(_row([item.section, item.asks, item.answer, item.missing]) for item in found),
    ]


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
