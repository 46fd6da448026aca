"""Whether the files that a run learns from are still those of its beginning; `sources.json` remembers them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..core.digest import sha256_of, short_name
from ..core.errors import DataError
from ..core.progress import log
from ..core.sources import changed_files, stamps_of
from ..datasets.declared import MANIFESTS
from ..datasets.entry import listed
from ..datasets.layouts import find
from ..run_folder import RunFolder
from .origin import Record
from .prepared import unlabelled_of

FILE = "sources.json"

DECLARING = ("labels.yaml", "labels.yml", "cases.csv", "cases.tsv", "dataset.json", *MANIFESTS)
"""Files of a data set that say what values, cases and patients are."""


def remember(folder: RunFolder, stamps: dict[str, Any]) -> None:
    """Keep what the files of a run are when it is planned; stamps of the cases that were measured are known."""
    stamps |= {case_id: stamps_of(folder.dataset.entry(case_id)) for case_id in unlabelled_of(folder)}
    folder.write_json(FILE, {"listing": _listing(folder), "stamps": stamps})


def _listing(folder: RunFolder) -> dict[str, str]:
    """The cases that lie in the data set now; the files of each, and its part of the split, in a short name.

    Beside them the files that declare them, with their digests.
    """
    data = Path(folder.experiment.data).absolute()
    entries = find(data).entries
    facts = [(one.images, one.label, one.target, one.other, one.facts.get("split")) for one in entries]
    places = [data] if data.is_file() else [data / name for name in DECLARING]
    declared = {path.name: sha256_of(path)[:12] for path in places if path.is_file()}
    return declared | {one.id: short_name(repr(these)) for one, these in zip(entries, facts, strict=True)}


def refuse_other_cases(folder: RunFolder) -> None:
    """Refuse to go on with a run when there are other cases in its data set now."""
    now = _listing(folder)
    before = folder.read_json(FILE).get("listing", now)
    if other := sorted(one for one in {*before, *now} if before.get(one) != now.get(one)):
        raise DataError(
            f"{folder.experiment.data}: {listed(other)} came, went or changed since {folder.path} was planned; choose"
            " another --into, or put back what there was."
        )


def changed_sources(folder: RunFolder) -> tuple[list[str], str]:
    """The cases whose files have changed since the run began, and half a sentence on it; none where it is not known."""
    known = RunFolder(folder.planned).read_json(FILE).get("stamps", {})
    changed = {case_id: changed_files(folder.dataset.entry(case_id), before) for case_id, before in known.items()}
    root, files = folder.dataset.root, [file for some in changed.values() for file in some]
    names = [str(file.relative_to(root) if file.is_relative_to(root) else file) for file in files]
    what = "1 file has" if len(files) == 1 else f"{len(files)} files have"
    return [one for one in changed if changed[one]], f"{folder.path}: {what} changed since it began ({listed(names)})"


def refuse_changes(folder: RunFolder) -> None:
    """Refuse to go on with a training whose files have changed."""
    cases, what = changed_sources(folder)
    if cases:
        raise DataError(
            f"{what}, and its net has learned from the former ones. Put them back, or begin anew: with `hyoid train"
            f" {folder.path} --no-resume`, or in another folder."
        )


def accept_changes(folder: RunFolder) -> None:
    """Let a training that begins learn from the files as they are now, with a warning; an earlier one is forgotten."""
    cases, what = changed_sources(folder)
    if cases:
        log.warning("%s; it learns from them as they are now, with the plan as it is.", what)
        (folder.weights / "last.safetensors").unlink(missing_ok=True)
        Record(folder.before).forget()  # answers to the former images
        known = folder.read_json(FILE)
        now = {case_id: stamps_of(folder.dataset.entry(case_id)) for case_id in cases}
        folder.write_json(FILE, {**known, "stamps": known["stamps"] | now})


def tell_changes(folder: RunFolder, meaning: str) -> None:
    """Warn that files have changed since the run began, and what that means."""
    cases, what = changed_sources(folder)
    if cases:
        log.warning("%s; %s.", what, meaning)
