"""What a paper on a net in medical imaging should tell (CLAIM), and what of it a run knows by itself."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ..evaluation.report import Report
from .data_sheet import DataSheet
from .facts import RunFacts
from .figures import name_of
from .wording import between, number, several


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
    model, data = facts.model, _of_data(facts.data_sheet)
    kind = f"{'Segmentation' if report.rules else 'Images'} by a deep net ({model['net']})" if model else ""
    net = _lines(model, ("net", "parameters", "operations", "input", "output"))
    taught = _lines(model, ("training", "loss", "optimiser"))
    versions = facts.environment
    software = ", ".join(f"{name} {versions[name]}" for name in ("hyoid", "python", "torch") if name in versions)
    intervals = f"{100 * report.settings.confidence:g} % bootstrap intervals (BCa)"
    intervals += f", {report.settings.resamples} draws of whole groups"
    gaps = f"Gaps by {', '.join(report.subgroups)}" if report.subgroups else ""
    explained = "Calibration of probabilities and pictures of every kind of error" if report.certainty else ""
    people = f"Known of each case: {', '.join(report.columns)}" if report.columns else ""
    protocol = "All settings under To repeat it; `hyoid cite` gives the papers" if facts.settings else ""
    metric, truth = report.settings.metrics[0], f"{report.noun.capitalize()}s"
    performance = f"Mean {name_of(metric)} {mean_of(report, 'mean', metric)}"
    summary = f"{performance}. {facts.what}."
    sections: dict[str, tuple[tuple[str, str, str], ...]] = {
        "Title and abstract": (
            ("The kind of artificial intelligence, named in title or abstract", kind, ""),
            ("A structured summary of design, methods, results and conclusions", summary, "design, conclusions"),
        ),
        "Introduction": (
            ("Background, intended use and role in the clinic", "", "all"),
            ("Aims and hypotheses", "", "all"),
        ),
        "Study design": (
            ("Prospective or retrospective", "", "all"),
            ("Goal, such as a new model, feasibility, or not being worse than another one", "", "all"),
        ),
        "Data": (
            ("Where the data come from", facts.data and facts.data + data["cases"], "institutions, dates, licence"),
            ("Who and what was included and excluded", data["excluded"], "criteria"),
            ("How images were prepared", data["choices"], ""),
            ("Which parts of the data were used", data["flow"], ""),
            ("How persons were made unrecognisable", "", "all"),
            ("How missing data were handled", " ".join(report.rules), ""),
            ("How images were acquired", data["acquisition"], "scanners, protocols"),
        ),
        "Reference standard": (
            ("What counts as truth", f"{truth}: {', '.join(report.structures)}", f"definition of each {report.noun}"),
            ("Why this was chosen", "", "all"),
            ("Who annotated, with which training", "", "all"),
            ("How the test cases were annotated, with which tools", "", "all"),
            ("How much annotators differ from each other and from themselves", "", "all"),
        ),
        "Partitions": (
            ("How cases were dealt into parts", facts.split_rule, ""),
            ("At which level the parts are disjoint", data["disjoint"], ""),
            ("How many cases were tested, and why so many", _sample(report), "why so many"),
        ),
        "Model": (
            ("The net, its input and its output, in full", net, ""),
            ("Software and versions", software, ""),
            ("First weights", model.get("first weights", ""), ""),
        ),
        "Training": (
            ("Training, augmentation and all numbers that were set", taught, ""),
            ("How the final model was selected", model.get("selection", ""), ""),
            ("Ensembles", model.get("ensemble", "None: one net answers") if model else "", ""),
        ),
        "Evaluation": (
            (
                "Metrics",
                ", ".join(map(name_of, report.settings.metrics)) + "; definitions under How it was measured",
                "",
            ),
            ("Measures of significance and uncertainty", intervals, ""),
            ("Robustness and sensitivity", gaps, "other scanners, noise, settings"),
            ("Methods of explanation, and whether they were validated", explained, "further methods"),
            ("Evaluation on internal data", facts.what, ""),
            ("Test on external data", "", "all"),
            ("Registration of a clinical trial", "", "all"),
        ),
        "Results": (
            ("How many were included and excluded, as a diagram", data["flow"], "a diagram"),
            ("Persons and diseases in each part", people, "age, sex, disease"),
            ("Performance on all test data", performance, ""),
            (f"Performance with its precision, {report.noun} by {report.noun}", _by_structure(report), ""),
            ("Analysis of failures", _failures(report), ""),
        ),
        "Discussion": (
            ("Limitations: bias, uncertainty, generality", " ".join(limitations(report, facts)), "further ones"),
            ("What follows for practice", "", "all"),
        ),
        "Other": (
            ("Protocol and technical details", protocol, ""),
            ("Availability of software, model and data", "The software is free (Apache-2.0)", "model, data"),
            ("Funding, and the role of those who funded", "", "all"),
        ),
    }
    return tuple(Item(section, *row) for section, rows in sections.items() for row in rows)


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
    found += report.flatters
    missed = sum(row.finding == "missed" for row in report.rows)
    if missed:
        found.append(f"{several(missed, 'structure')} missed altogether in {several(len(report.cases), 'case')}.")
    if report.unjudged:
        found.append(report.unjudged)
    return found


def _lines(model: Mapping[str, str], names: Sequence[str]) -> str:
    return "; ".join(f"{name}: {model[name]}" for name in names if name in model)


def _of_data(sheet: DataSheet | None) -> Mapping[str, str]:
    """What the data sheet answers by the item; nothing without one."""
    told: dict[str, str] = defaultdict(str)
    if sheet is None:
        return told
    told["cases"] = f", {sheet.facts['cases']} cases" if "cases" in sheet.facts else ""
    warned = f"; {several(len(sheet.warnings), 'warning')} of reading under Data" if sheet.warnings else ""
    told["excluded"] = f"{several(len(sheet.unlabelled), 'case')} without annotation{warned}"
    told["choices"] = "; ".join(f"{name}: {chosen}" for name, _, chosen in sheet.choices)
    parts = sheet.parts().items()
    told["flow"] = "; ".join(f"{part}: {several(n, 'case')}, {several(groups, 'group')}" for part, (n, groups) in parts)
    if sheet.shapes:
        channels = f"channels {sheet.facts['channels']}; " if "channels" in sheet.facts else ""
        told["acquisition"] = f"{channels}sizes and spacings under Data"
    if len(sheet.split) > 1:
        level = "groups of cases (patients)" if sheet.groups_known else "single cases; no patients are known"
        copies = f", {several(len(sheet.leaking_copies()), 'equal image')}" if sheet.digests else ""
        told["disjoint"] = f"Disjoint by {level}; in several parts: {several(len(sheet.leaks()), 'group')}{copies}"
    return told


def _sample(report: Report) -> str:
    groups = len({row.group for row in report.rows})
    one = report.summary("mean", report.settings.metrics[0]).spread
    width = f"; {100 * report.settings.confidence:g} % interval of the mean {between(one.low, one.high)}"
    least = "no difference" if math.isnan(report.detectable) else f"a difference of {number(report.detectable)}"
    smallest = f"; {least} to another net could be found"
    cases = several(len(report.cases), "case")
    return f"{cases} of {several(groups, 'independent group')}{width + smallest if groups > 1 else ''}"


def mean_of(report: Report, name: str, metric: str) -> str:
    """The mean of a metric with its interval in brackets."""
    one = report.summary(name, metric).spread
    return f"{number(one.mean)} ({between(one.low, one.high)})"


def _by_structure(report: Report) -> str:
    told = "; ".join(f"{name} {mean_of(report, name, report.settings.metrics[0])}" for name in report.judged[:6])
    return told + (f"; more under By {report.noun}" if len(report.judged) > 6 else "")


def _failures(report: Report) -> str:
    missed = sum(row.finding == "missed" for row in report.rows)
    spurious = sum(row.finding == "spurious" for row in report.rows)
    worst = f"worst case {report.ranked()[0]}"
    told = f"{several(missed, 'structure')} missed, {spurious} made up; {worst}; pictures of the worst cases"
    return told if report.rules else worst
