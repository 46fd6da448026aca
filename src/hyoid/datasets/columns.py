"""What the columns of a table are for, whatever people call them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from .splits import check_words, part_of

Row = Mapping[str, str]

_MEANT = {
    "patient": (
        "patient", "patientid", "patientno", "patientnr", "patientnumber", "patientname", "pat", "patid", "pid", "mrn",
        "participant", "participantid", "person", "personid", "animal", "animalid", "mouse", "mouseid", "donor",
        "donorid",
    ),
    "subject": ("subject", "subjectid", "subjectno", "subj", "subjid", "sub", "subid"),
    "split": ("split", "splits", "datasplit"),
    "fold": ("fold", "folds", "foldid", "kfold", "cvfold"),
}  # fmt: skip
_PERHAPS_SPLIT = ("set", "subset", "partition", "phase", "usage", "dataset")
_CERTAIN = ("training", "validation", "test")
_NOTHING = ("", "nan", "na", "n/a", "<na>", "#n/a", "none", "null", "-", "--", "?")

IMAGES = (
    "image", "images", "img", "imagepath", "imgpath", "imagefile", "imgfile", "imagefilename", "scan", "scanpath",
    "file", "filename", "filepath", "path",
)  # fmt: skip
IDS = ("case", "caseid", "id", "name", "imageid", "imagename", "scanid")
"""Names of columns with the name of a case, the best first."""
OTHERS = tuple(name + end for name in ("other", "moving") for end in ("", "path", "file", "image"))
LABELS = tuple(
    name + end
    for name in ("label", "labels", "mask", "masks", "segmentation", "seg", "annotation", "groundtruth", "gt")
    for end in ("", "path", "file", "filename", "name")
)


def bare(column: str) -> str:
    """A name without what people write differently: `patientid` for Patient ID, PatientID and patient_id."""
    return re.sub(r"[\W_]+", "", column.lower())


def given(text: str) -> str:
    """An entry; empty for nan, NA, - and other ways to leave a cell blank."""
    return "" if text.strip().lower() in _NOTHING else text.strip()


def columns_of(rows: Sequence[Row]) -> list[str]:
    """The columns of any row, in order."""
    return list(dict.fromkeys(name for row in rows for name in row))


def understood(path: Path, rows: Sequence[Row]) -> tuple[list[dict[str, str]], list[str]]:
    """The rows of a file with columns of patients and parts under our own names, and a note on each that had another.

    Raises:
        DataError: When a column of parts has an unknown word.
    """
    names, meant = columns_of(rows), dict[str, str]()
    for name in names:
        role = next((role for role, some in _MEANT.items() if bare(name) in some), "")
        if bare(name) in _PERHAPS_SPLIT and any(part_of(row.get(name, "")) in _CERTAIN for row in rows):
            role = "split"
        if role and role not in meant.values() and (name == role or role not in names):
            meant[name] = role
    for name, role in meant.items():
        if role in ("split", "fold"):
            check_words(f"{path}: column `{name}`", (given(row.get(name, "")) for row in rows))
    notes = [f"The column `{name}` is read as `{role}`." for name, role in meant.items() if name != role]
    return [
        {meant.get(name, name): given(text) if name in meant else text for name, text in row.items()} for row in rows
    ], notes
