"""What a net had learned from before its training began, from run to run; images are known again by their content."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.progress import log
from ..datasets.entry import listed
from ..planning.content import parts_of
from ..planning.fingerprint import Fingerprint
from ..run_folder import EnsembleFolder, RunFolder, open_run

FILE = "lineage.json"


@dataclass(frozen=True)
class Past:
    """What weights have learned from.

    Attributes:
        taught: For each digest in the content of each training case its name and that of its run.
        judged: The same for cases that were kept from all of these trainings.
        unknown: Weights of which it is not known what they learned from, or not in a way that can be compared.
        name: The run of the weights.
    """

    taught: Mapping[str, str] = field(default_factory=dict)
    judged: Mapping[str, str] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    name: str = ""

    def parts(self, fingerprint: Fingerprint) -> dict[str, str]:
        """The part that each case had before, training or validation, by its name here; new cases have none."""
        before = [(case.id, "training") for case in fingerprint.cases if known_in(self.taught, case.content)]
        judged = [(case.id, "validation") for case in fingerprint.cases if known_in(self.judged, case.content)]
        return dict(judged + before)


def known_in(cases: Mapping[str, str], content: str) -> str:
    """The case by which the content of an image is known, that of any channel; empty when there is none."""
    return next((cases[one] for one in parts_of(content) if one in cases), "")


def _contents(fingerprint: Fingerprint) -> dict[str, list[str]]:
    """The digests by which each case is known; not those of a channel that different images share, such as an atlas."""
    wholes: dict[str, set[str]] = {}
    for case in fingerprint.cases:
        for one in parts_of(case.content):
            wholes.setdefault(one, set()).add(case.content)
    return {case.id: [one for one in parts_of(case.content) if len(wholes[one]) == 1] for case in fingerprint.cases}


def past_of(start: str | Path | None, dims: int | None = None) -> Past:
    """What weights that a net begins with have learned from: those of a run; of other files this is unknown.

    Contents of images with another number of axes than `dims` are not comparable.
    """
    if start is None:
        return Past()
    run = run_of(start)
    if run is None or not (run.path / "split.yaml").is_file():
        return Past(unknown=(Path(start).name,))
    found, theirs = replace(learned(run), name=run.path.name), run.fingerprint.dims
    if theirs == (dims or theirs):
        return found
    other = f"{found.name}, whose {theirs}D images are not comparable with {dims}D ones"
    return replace(found, unknown=(*found.unknown, other))


def run_of(start: str | Path) -> RunFolder | None:
    """The run that weights belong to; None for a file that is in no run."""
    path = Path(start).resolve()
    run = RunFolder(path if path.is_dir() else path.parent.parent)
    return run if run.experiment_file.is_file() else None


def past(run: RunFolder) -> Past:
    """What the first weights of a run had learned from, as noted when its training began."""
    noted = run.read_json(FILE)
    if noted:
        return Past(noted["taught"], noted["judged"], tuple(noted["unknown"]))
    start = run.experiment.training.start_from
    return Past() if start is None else past_of(start, run.fingerprint.dims)


def learned(folder: RunFolder) -> Past:
    """What all nets behind an answer have learned from at any time, those of a run before in a cascade too.

    What an ensemble answers by members that never saw it does not count.
    """
    taught, judged = dict[str, str](), dict[str, str]()
    unknown: tuple[str, ...] = ()
    for run in folder.members:
        facts, name, contents = run.fingerprint.cases, run.path.name, _contents(run.fingerprint)
        for earlier in (past(run), *_before(run)):
            taught, judged = {**taught, **earlier.taught}, {**judged, **earlier.judged}
            unknown += earlier.unknown
        complete = all(len(case.content.split()) == len(run.fingerprint.channels) for case in facts)
        unknown += () if complete else (f"{name}, of an earlier version",)
        for part, cases in ((taught, run.split.training), (judged, run.split.validation)):
            part |= {one: f"{case} of {name}" for case in cases for one in contents.get(case, ())}
    if isinstance(folder, EnsembleFolder):
        seen = {*seen_cases(folder), *folder.split.training}
        contents = _contents(folder.fingerprint)
        honest = {one for case in folder.unseen if case not in seen for one in contents.get(case, ())}
        taught = {content: case for content, case in taught.items() if content not in honest}
    return Past(taught, {content: case for content, case in judged.items() if content not in taught}, unknown)


def _before(run: RunFolder) -> list[Past]:
    before = run.plan.preparation.before
    return [learned(open_run(before.run, run.runs_code))] if before and RunFolder(Path(before.run)).is_run else []


def remember(run: RunFolder) -> None:
    """Note when a training begins what its first weights have learned from, since their run may go; warn of overlap."""
    start = run.experiment.training.start_from
    if start is None:
        (run.path / FILE).unlink(missing_ok=True)
        return
    found = past_of(start, run.fingerprint.dims)
    noted = {"taught": dict(found.taught), "judged": dict(found.judged), "unknown": list(found.unknown)}
    run.write_json(FILE, noted)
    for text in (*flatters(run), *doubts(run)):
        log.warning(text)


def seen_cases(folder: RunFolder) -> dict[str, str]:
    """The judged cases that a net which answers them had learned from before its own training, and where."""
    found: dict[str, str] = {}
    contents = {case.id: case.content for case in folder.fingerprint.cases}
    for number, run in enumerate(folder.members):
        taught = {content: case for one in (past(run), *_before(run)) for content, case in one.taught.items()}
        mine = [case for case, numbers in folder.unseen.items() if number in numbers]
        found |= {case: known for case in mine if (known := known_in(taught, contents.get(case, "")))}
    return found


def flatters(folder: RunFolder) -> tuple[str, ...]:
    """A sentence on judged cases that the nets learned from before their own training; nothing when there are none."""
    if not (seen := seen_cases(folder)):
        return ()
    known = listed([f"{case} is {other}" for case, other in seen.items()])
    count = len(folder.unseen)
    are = "case was a training case" if count == 1 else "cases were training cases"
    return (
        f"{len(seen)} of {count} validation {are} of the run it started from, or of one before it ({known}): these"
        " numbers flatter.",
    )


def doubts(folder: RunFolder) -> tuple[str, ...]:
    """A sentence on first weights of which no run tells what they learned from."""
    names = sorted({name for run in folder.members for name in past(run).unknown})
    if not names:
        return ()
    return (f"What the first weights ({listed(names)}) learned from is not known; judged cases may be among it.",)
