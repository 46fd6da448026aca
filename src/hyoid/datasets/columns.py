"""What the columns of a table are for, whatever people call them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from ..core.errors import DataError
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
_YES, _NO = ("true", "1", "1.0", "yes", "t", "y"), ("false", "0", "0.0", "no", "f", "n")
_FLAGS = {
    start + word: part
    for part, words in {
        "training": ("train", "training"),
        "validation": ("val", "valid", "validation"),
        "test": ("test",),
    }.items()
    for word in words
    for start in ("is", "in", *([""] if word != "valid" else []))
}
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
    meant = dict[str, str]()
    rows, said = _flags(path, rows)
    names = columns_of(rows)
    order = [word for some in _MEANT.values() for word in some]
    constant = {name for name in names if len({given(row.get(name, "")).casefold() for row in rows}) == 1 < len(rows)}
    ranked = sorted(names, key=lambda n: (n in constant, order.index(bare(n)) if bare(n) in order else 0))
    for name in ranked:
        role = next((role for role, some in _MEANT.items() if bare(name) in some), "")
        role = "split" if _is_split(name, rows) else role
        if role and role not in meant.values() and (name == role or role not in {*names} - constant):
            meant[name] = role
    for name, role in meant.items():
        if role in ("split", "fold"):
            check_words(f"{path}: column `{name}`", (given(row.get(name, "")) for row in rows))
    notes = said + [f"The column `{name}` is read as `{role}`." for name, role in meant.items() if name != role]
    passed = {name for name, role in meant.items() if role in names and name != role}
    hidden = {meant[name] for name in passed}
    rows = [
        {
            meant.get(name, name): given(text) if name in meant else text
            for name, text in row.items()
            if name not in hidden
        }
        for row in rows
    ]
    return _one_spelling(rows), notes


def _is_split(name: str, rows: Sequence[Row]) -> bool:
    perhaps = bare(name) in _PERHAPS_SPLIT and any(part_of(row.get(name, "")) in _CERTAIN for row in rows)
    return perhaps or bare(name) in _MEANT["split"]


def _one_spelling(rows: Sequence[Row]) -> list[dict[str, str]]:
    """The rows with one spelling for each patient: 1, 01 and 1.0 are one, as are P3 and p3."""
    first: dict[tuple[str, str], str] = {}

    def spelled(name: str, text: str) -> str:
        key = re.sub(r"(?<![\d.])0+(?=\d)", "", re.sub(r"^(\d+)\.0*$", r"\1", text.casefold()))
        return first.setdefault((name, key), text) if text and name in ("patient", "subject") else text

    return [{name: spelled(name, text) for name, text in row.items()} for row in rows]


def _flags(path: Path, rows: Sequence[Row]) -> tuple[Sequence[Row], list[str]]:
    """The rows with a `split` in place of columns such as `is_valid` that say yes or no, and a note on these."""
    parts = {}
    for name in columns_of(rows):
        entries = {given(row.get(name, "")).lower() for row in rows}
        if (part := _FLAGS.get(bare(name))) and entries - {""} and entries <= {*_YES, *_NO, ""}:
            parts[name] = part
    if not parts:
        return rows, []
    columns = " and ".join(f"`{name}`" for name in parts)
    if any(_is_split(name, rows) for name in columns_of(rows)) or {*parts.values()} == {"training"}:
        raise DataError(
            f"{path}: {columns} leaves open who learns, validates or is kept for a test; write a column `split` alone."
        )
    blank, found = "training" if "validation" in parts.values() else "", []
    for row in rows:
        said = {part for name, part in parts.items() if given(row.get(name, "")).lower() in _YES}
        if len(said) > 1:
            raise DataError(f"{path}: {columns} put one case into {' and '.join(sorted(said))}; give it one part.")
        rest = {name: text for name, text in row.items() if name not in parts}
        found.append({**rest, "split": next(iter(said), blank)})
    return found, [f"{columns} {'are' if len(parts) > 1 else 'is'} read as `split`."]
