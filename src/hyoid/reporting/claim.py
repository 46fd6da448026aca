"""What a paper on a net in medical imaging should tell (CLAIM), and what of it a run knows by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from ..evaluation.report import Report
from .facts import RunFacts
from .figures import name_of
from .wording import between, number, several

Answer = Callable[[Report, RunFacts], str]


@dataclass(frozen=True)
class Item:
    """One thing to tell.

    Attributes:
        section: Part of the paper.
        asks: What is to be told.
        answer: What the run knows of it; empty when nothing.
        missing: What only the author knows; empty when nothing is missing.
    """

    section: str
    asks: str
    answer: str
    missing: str

    @property
    def state(self) -> str:
        """Whether it is answered, partly answered, or left to the author."""
        if not self.answer:
            return "author"
        return "partly" if self.missing else "answered"


def items(report: Report, facts: RunFacts) -> tuple[Item, ...]:
    """Every item with what this run answers, in the order of the checklist and in own words.

    Reference:
        tejani2024claim.
    """
    return tuple(
        Item(section, asks, answer(report, facts) if answer else "", missing)
        for section, rows in _ITEMS.items()
        for asks, answer, missing in rows
    )


def _kind(report: Report, facts: RunFacts) -> str:
    return f"Segmentation by a deep net ({facts.model['net']})" if facts.model else ""


def _abstract(report: Report, facts: RunFacts) -> str:
    return f"{_performance(report, facts)}. {facts.what}."


def _sources(report: Report, facts: RunFacts) -> str:
    sheet = facts.data_sheet
    cases = f", {sheet.facts['cases']} cases" if sheet and "cases" in sheet.facts else ""
    return f"{facts.data}{cases}" if facts.data else ""


def _excluded(report: Report, facts: RunFacts) -> str:
    sheet = facts.data_sheet
    if sheet is None:
        return ""
    unlabelled = several(len(sheet.unlabelled), "case") + " without annotation"
    warned = f"; {several(len(sheet.warnings), 'warning')} of reading under Data" if sheet.warnings else ""
    return f"{unlabelled}{warned}"


def _choices(report: Report, facts: RunFacts) -> str:
    rows = facts.data_sheet.choices if facts.data_sheet else ()
    return "; ".join(f"{name}: {chosen}" for name, _, chosen in rows)


def _missing_data(report: Report, facts: RunFacts) -> str:
    return " ".join(report.settings.rules.sentences())


def _acquisition(report: Report, facts: RunFacts) -> str:
    sheet = facts.data_sheet
    if sheet is None or not sheet.shapes:
        return ""
    channels = f"channels {sheet.facts['channels']}; " if "channels" in sheet.facts else ""
    return f"{channels}sizes and spacings under Data"


def _structures(report: Report, facts: RunFacts) -> str:
    return f"Structures: {', '.join(report.structures)}"


def _partition(report: Report, facts: RunFacts) -> str:
    return facts.split_rule


def _disjoint(report: Report, facts: RunFacts) -> str:
    sheet = facts.data_sheet
    if sheet is None or len(sheet.split) < 2:
        return ""
    level = "groups of cases (patients)" if sheet.groups_known else "single cases; no patients are known"
    shared = several(len(sheet.leaks()), "group")
    copies = f", {several(len(sheet.leaking_copies()), 'equal image')}" if sheet.digests else ""
    return f"Disjoint by {level}; in several parts: {shared}{copies}"


def _sample(report: Report, facts: RunFacts) -> str:
    groups = len({row.group for row in report.rows})
    one = report.summary("mean", report.settings.metrics[0]).spread
    width = f"; {100 * report.settings.confidence:g} % interval of the mean {between(one.low, one.high)}"
    smallest = f"; a difference of {number(report.detectable)} to another net could be found"
    cases = several(len(report.cases), "case")
    return f"{cases} of {several(groups, 'independent group')}{width + smallest if groups > 1 else ''}"


def _model(report: Report, facts: RunFacts) -> str:
    names = ("net", "parameters", "operations", "input", "output")
    return "; ".join(f"{name}: {facts.model[name]}" for name in names if name in facts.model)


def _software(report: Report, facts: RunFacts) -> str:
    names = ("hyoid", "python", "torch")
    return ", ".join(f"{name} {facts.environment[name]}" for name in names if name in facts.environment)


def _line(name: str) -> Answer:
    return lambda report, facts: facts.model.get(name, "")


def _training(report: Report, facts: RunFacts) -> str:
    names = ("training", "loss", "optimiser")
    return "; ".join(f"{name}: {facts.model[name]}" for name in names if name in facts.model)


def _ensemble(report: Report, facts: RunFacts) -> str:
    return facts.model.get("ensemble", "None: one net answers") if facts.model else ""


def _metrics(report: Report, facts: RunFacts) -> str:
    return ", ".join(map(name_of, report.settings.metrics)) + "; definitions under How it was measured"


def _uncertainty(report: Report, facts: RunFacts) -> str:
    settings = report.settings
    return f"{100 * settings.confidence:g} % bootstrap intervals (BCa), {settings.resamples} draws of whole groups"


def _robustness(report: Report, facts: RunFacts) -> str:
    return f"Gaps by {', '.join(report.subgroups)}" if report.subgroups else ""


def _explained(report: Report, facts: RunFacts) -> str:
    return "Calibration of probabilities and pictures of every kind of error" if report.certainty else ""


def _internal(report: Report, facts: RunFacts) -> str:
    return facts.what


def _flow(report: Report, facts: RunFacts) -> str:
    parts = facts.data_sheet.parts() if facts.data_sheet else {}
    told = [f"{part}: {several(cases, 'case')}, {several(groups, 'group')}" for part, (cases, groups) in parts.items()]
    return "; ".join(told)


def _people(report: Report, facts: RunFacts) -> str:
    return f"Known of each case: {', '.join(report.columns)}" if report.columns else ""


def _performance(report: Report, facts: RunFacts) -> str:
    metric = report.settings.metrics[0]
    one = report.summary("mean", metric).spread
    return f"Mean {name_of(metric)} {number(one.mean)} ({between(one.low, one.high)})"


def _by_structure(report: Report, facts: RunFacts) -> str:
    metric = report.settings.metrics[0]
    found = [(name, report.summary(name, metric).spread) for name in report.judged[:6]]
    told = "; ".join(f"{name} {number(one.mean)} ({between(one.low, one.high)})" for name, one in found)
    return told + ("; more under By structure" if len(report.judged) > 6 else "")


def _failures(report: Report, facts: RunFacts) -> str:
    missed = sum(row.finding == "missed" for row in report.rows)
    spurious = sum(row.finding == "spurious" for row in report.rows)
    worst = report.ranked()[0]
    return f"{several(missed, 'structure')} missed, {spurious} made up; worst case {worst}; pictures of the worst cases"


def limitations(report: Report, facts: RunFacts) -> list[str]:
    """What a reader must keep in mind, as far as the numbers tell."""
    found = ["Judged on one data set; how it does on images of other hospitals and scanners has not been measured."]
    groups = len({row.group for row in report.rows})
    if groups < 10:
        found.append(f"Only {several(groups, 'independent group')} of cases: intervals say little.")
    sheet = facts.data_sheet
    if sheet and not sheet.groups_known:
        found.append("No patients are known: images of one patient may be on both sides of the split.")
    if sheet and (sheet.leaks() or sheet.leaking_copies()):
        found.append("Training and validation share patients or images, so the figures flatter.")
    missed = sum(row.finding == "missed" for row in report.rows)
    if missed:
        found.append(f"{several(missed, 'structure')} missed altogether in {several(len(report.cases), 'case')}.")
    if report.unjudged:
        found.append(report.unjudged)
    return found


def _limits(report: Report, facts: RunFacts) -> str:
    return " ".join(limitations(report, facts))


def _protocol(report: Report, facts: RunFacts) -> str:
    return "All settings under To repeat it; `hyoid cite` gives the papers" if facts.settings else ""


def _available(report: Report, facts: RunFacts) -> str:
    return "The software is free (Apache-2.0)"


_ITEMS: dict[str, tuple[tuple[str, Answer | None, str], ...]] = {
    "Title and abstract": (
        ("The kind of artificial intelligence, named in title or abstract", _kind, ""),
        ("A structured summary of design, methods, results and conclusions", _abstract, "design, conclusions"),
    ),
    "Introduction": (
        ("Background, intended use and role in the clinic", None, "all"),
        ("Aims and hypotheses", None, "all"),
    ),
    "Study design": (
        ("Prospective or retrospective", None, "all"),
        ("Goal, such as a new model, feasibility, or not being worse than another one", None, "all"),
    ),
    "Data": (
        ("Where the data come from", _sources, "institutions, dates, licence"),
        ("Who and what was included and excluded", _excluded, "criteria"),
        ("How images were prepared", _choices, ""),
        ("Which parts of the data were used", _flow, ""),
        ("How persons were made unrecognisable", None, "all"),
        ("How missing data were handled", _missing_data, ""),
        ("How images were acquired", _acquisition, "scanners, protocols"),
    ),
    "Reference standard": (
        ("What counts as truth", _structures, "definition of each structure"),
        ("Why this was chosen", None, "all"),
        ("Who annotated, with which training", None, "all"),
        ("How the test cases were annotated, with which tools", None, "all"),
        ("How much annotators differ from each other and from themselves", None, "all"),
    ),
    "Partitions": (
        ("How cases were dealt into parts", _partition, ""),
        ("At which level the parts are disjoint", _disjoint, ""),
        ("How many cases were tested, and why so many", _sample, "why so many"),
    ),
    "Model": (
        ("The net, its input and its output, in full", _model, ""),
        ("Software and versions", _software, ""),
        ("First weights", _line("first weights"), ""),
    ),
    "Training": (
        ("Training, augmentation and all numbers that were set", _training, ""),
        ("How the final model was selected", _line("selection"), ""),
        ("Ensembles", _ensemble, ""),
    ),
    "Evaluation": (
        ("Metrics", _metrics, ""),
        ("Measures of significance and uncertainty", _uncertainty, ""),
        ("Robustness and sensitivity", _robustness, "other scanners, noise, settings"),
        ("Methods of explanation, and whether they were validated", _explained, "further methods"),
        ("Evaluation on internal data", _internal, ""),
        ("Test on external data", None, "all"),
        ("Registration of a clinical trial", None, "all"),
    ),
    "Results": (
        ("How many were included and excluded, as a diagram", _flow, "a diagram"),
        ("Persons and diseases in each part", _people, "age, sex, disease"),
        ("Performance on all test data", _performance, ""),
        ("Performance with its precision, structure by structure", _by_structure, ""),
        ("Analysis of failures", _failures, ""),
    ),
    "Discussion": (
        ("Limitations: bias, uncertainty, generality", _limits, "further ones"),
        ("What follows for practice", None, "all"),
    ),
    "Other": (
        ("Protocol and technical details", _protocol, ""),
        ("Availability of software, model and data", _available, "model, data"),
        ("Funding, and the role of those who funded", None, "all"),
    ),
}
