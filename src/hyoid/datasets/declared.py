"""Data sets that a file declares: a manifest (CSV, YAML) or a dataset.json (Decathlon, nnU-Net)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..core.files import check_name
from ..files.formats import stem_of, suffix_of
from . import tables
from .columns import IDS, IMAGES, LABELS, OTHERS, bare, given, understood
from .entry import Entry, Found, TruthFiles, listed
from .facts import facts_of
from .places import IMAGE_FOLDERS, LABEL_FOLDERS, OTHER_FOLDERS, TARGET_FOLDERS, Finder, is_there
from .splits import part_of

MANIFESTS = (
    "manifest.csv",
    "manifest.tsv",
    "manifest.yaml",
    "manifest.yml",
    "dataset.csv",
    "dataset.yaml",
    "cases.csv",
)
_IDLE = re.compile(
    r"\.(tsv|csv|xlsx?|ods)$|^splits_final\.json$|^cases\.(ya?ml|json)$|^manifest\.json$"
    r"|^(train|val|test|dev)[a-z]*\.(txt|json)$",
    re.IGNORECASE,
)
_JSON_FILES = ("image", "images", "label", "other", "moving")
_TARGET_COLUMNS: dict[str, TruthFiles] = {"target": "image", "field": "field"}


def is_manifest(path: Path) -> bool:
    """Whether a table names image files and their truth; others, such as most cases.csv, give facts alone."""
    if not path.is_file() or path.stem.lower() == "manifest":
        return path.is_file()
    table = tables.read_table(path)
    images, labels, _ = _finders(path)
    truths = (*table.named(LABELS), *(c for c in table.columns if c in _TARGET_COLUMNS))
    named = [c for some in _image_columns(table) for c in some]
    marks = [c for c in truths if _finds(labels, table, c) and not _classes(table, c, named)]
    return bool(marks) and any(_finds(images, table, c) for c in named)


def from_manifest(path: Path) -> Found:
    """The cases of a table.

    Columns: `image`, or one for each channel (`image_NAME`, or any whose entries are image files); `label`
    (several files, separated by semicolons, hold one object or structure each), or `target` (an image) or `field`
    (displacements), empty for a case without; `other` or `moving`, the second image; `case`; all others are facts.
    Other usual names, such as `image_path` and `mask`, are understood; files are looked for beside the table, and in
    images/ or labels/.

    Raises:
        DataError: When there is no image column, a file is missing, or a row has no case.
    """
    table = tables.read_table(path)
    if not table.rows:
        raise DataError(f"{path}: the table has no rows.")
    images, labels, others = _finders(path)
    columns = _channels(table, images)
    second = next((c for c in table.named(OTHERS) if _finds(others, table, c)), "")
    label_column = _label_column(table, labels, columns)
    truths = [kind for kind in _TARGET_COLUMNS if any(table.cells(kind))]
    if len(truths) + any(table.cells(label_column)) > 1:
        both = ", ".join(c for c in (label_column, *truths) if c)
        raise DataError(f"{path}: a data set has one kind of truth, but the table has {both}; take the others out.")
    id_column = next((c for c in table.named(IDS) if c not in columns), "")
    names = [[name for c in columns for name in _split(given(row.get(c, "")))] for row in table.rows]
    ids = _case_names(table, id_column, names)
    used = (*columns, label_column, id_column, second, *_TARGET_COLUMNS)
    entries: list[Entry] = []
    for case, row, some in zip(ids, table.rows, names, strict=True):
        files = tuple(map(images.file, some))
        marks = tuple(map(labels.file, _split(given(row.get(label_column, "")))))
        other = tuple(map(others.file, _split(given(row.get(second, "")))))
        target = labels.file(row[truths[0]]) if truths and given(row.get(truths[0], "")) else None
        if same := {*files} & {*marks, target}:
            raise DataError(f"{path}: {case}: {min(filter(None, same)).name} is named as image and as its own truth.")
        label = marks if len(marks) > 1 else marks[0] if marks else None
        entries.append(Entry(case, files, label, {k: v for k, v in row.items() if k not in used}, target, other))
    channels = tuple(re.sub("^(image|img)_", "", c) for c in columns) if len(columns) > 1 else ()
    declared, instances = tables.labels_from_manifest(path), False
    if declared is None:
        declared, instances = declared_beside(path.parent)
    kind = _TARGET_COLUMNS[truths[0]] if truths else "labels"
    return Found(f"manifest {path.name}", entries, declared, instances, channels, tuple(table.notes), truth=kind)


def _case_names(table: tables.Table, column: str, images: Sequence[Sequence[str]]) -> list[str]:
    """The name of each case, from its column or from its first image."""
    named = table.cells(column)
    for line, case, some in zip(table.lines, named, images, strict=True):
        if not some or (column and not case):
            raise DataError(f"{table.path}: row {line} names no {'image' if not some else f'case in `{column}`'}.")
    ids = [name[: len(name) - len(suffix_of(name))] for name in named] if column else _ids([some[0] for some in images])
    for line, case in zip(table.lines, ids, strict=True):
        check_name(case, f"{table.path}, row {line}")
    return ids


_Finders = tuple[Finder, Finder, Finder]  # of images, annotations and second images


def _finders(table: Path) -> _Finders:
    labels = (*LABEL_FOLDERS, *TARGET_FOLDERS)
    return Finder(table, IMAGE_FOLDERS), Finder(table, labels), Finder(table, OTHER_FOLDERS)


def _image_columns(table: tables.Table) -> tuple[list[str], list[str]]:
    """Columns that name images, the best first; and `image_NAME` of channels, where the entries are files."""
    named = [c for c in table.columns if re.match("(image|img)_", c) and bare(c) not in (*IMAGES, *IDS)]

    def shows(cell: str) -> bool:
        return bool(cell) and (bool(suffix_of(cell)) or is_there(table.path.parent / cell))

    plain = sorted(table.named(IMAGES), key=lambda c: not any(map(suffix_of, table.cells(c))))
    return plain, [c for c in named if any(map(shows, table.cells(c)))]


def _channels(table: tables.Table, images: Finder) -> list[str]:
    """The columns with the channels; only one of several such as `image` and `image_path`."""
    plain, channels = _image_columns(table)
    best = next((c for c in plain if _finds(images, table, c)), plain[0] if plain and not channels else "")
    columns = [c for c in table.columns if c == best or c in channels]
    rest = [c for c in table.columns if bare(c) not in (*LABELS, *OTHERS, *IDS) and c not in _TARGET_COLUMNS]
    shown = [c for c in rest if all(map(suffix_of, filter(None, table.cells(c))))]
    columns = columns or shown or table.named(["imageid"])
    columns = [c for c in columns if any(table.cells(c))]
    if not columns:
        found = ", ".join(table.columns)
        raise DataError(f"{table.path}: expected a column `image` or columns `image_NAME`; found {found}.")
    return columns


def _label_column(table: tables.Table, labels: Finder, images: Sequence[str]) -> str:
    """The column of annotations; where one holds files, a `label` such as `benign` or `2` is a fact.

    Raises:
        DataError: When several hold files, or one that may hold classes does.
    """
    columns = [c for c in table.named(LABELS) if any(table.cells(c))]
    found = [c for c in columns if _finds(labels, table, c)]
    filled = [c for c in found if not _classes(table, c, images)]
    if found and not filled:
        raise DataError(
            f"{table.path}: `{found[0]}` holds numbers or words that may be classes; write the file of each annotation"
            " with its ending, or call a column of classes `class`."
        )
    if len({tuple(table.cells(c)) for c in filled}) > 1:
        raise DataError(f"{table.path}: {' and '.join(filled)} both name annotations; take one out.")
    return next(iter(filled or columns), "")


def _classes(table: tables.Table, column: str, images: Sequence[str]) -> bool:
    """Whether names without ending may be classes: several rows share one, or a number is that of another image."""
    firsts = [next((stem_of(row[c]) for c in images if given(row.get(c, ""))), "") for row in table.rows]
    cells = table.cells(column)
    short = {k: cell for k, cell in enumerate(cells) if cell and not re.search(r"[/\\;]", cell) and not suffix_of(cell)}
    others = [cell for k, cell in short.items() if cell.isdecimal() and cell != firsts[k] and cell in firsts]
    return bool(others) or len(set(short.values())) < len(short)


def _finds(finder: Finder, table: tables.Table, column: str) -> bool:
    """Whether any entry of a column is a file."""
    return any(finder.find(name) is not None for cell in table.cells(column) for name in _split(cell))


def from_json(path: Path) -> Found | None:
    """The cases of a dataset.json that names its files; None when it only describes folders beside it.

    Annotated cases under `validation` and `test` or `testing` are those parts of a split; `fold` is a fact.
    """
    tree, finders = _tree(path), _finders(path)
    if isinstance(tree.get("dataset"), dict):  # nnU-Net with explicit files
        if lacking := [
            case for case, row in tree["dataset"].items() if not isinstance(row, dict) or "images" not in row
        ]:
            raise DataError(f"{path}: {lacking[0]!r} in `dataset` has no `images`.")
        entries = [
            _of_json(files, files["images"], finders, check_name(case, str(path)))
            for case, files in tree["dataset"].items()
        ]
        return Found("nnU-Net dataset.json with file names", entries)
    rows = {part: tree.get(part) for part in ("training", "validation", "test", "testing")}
    named = {
        part: [row for row in some if isinstance(row, dict) and "image" in row]
        for part, some in rows.items()
        if isinstance(some, list)
    }
    training = named.get("training", [])
    if training != rows["training"] or not any(row.get("label") for row in training):
        return None
    parts = {part: {} if part == "training" and "validation" not in named else {"split": part} for part in named}
    entries = [
        _of_json(parts[part] | row, row["image"], finders)
        for part, some in named.items()
        for row in some
        if row.get("label") or part == "training"
    ]
    facts, notes = understood(path, [entry.facts for entry in entries])
    entries = [replace(entry, facts=row) for entry, row in zip(entries, facts, strict=True)]
    return Found("Medical Segmentation Decathlon dataset.json", entries, notes=tuple(notes))


def _of_json(row: Mapping[str, Any], names: str | list[str], finders: _Finders, case: str = "") -> Entry:
    named, (images, labels, others) = (names, row.get("other") or row.get("moving") or []), finders
    some, second = (one if isinstance(one, list) else [one] for one in named)
    if not some:
        raise DataError(f"{images.table}: a case has an empty list of images.")
    files, label = tuple(map(images.file, some)), labels.file(row["label"]) if row.get("label") else None
    facts = {key.lower(): str(value) for key, value in row.items() if key not in _JSON_FILES}
    other = tuple(map(others.file, second))
    return Entry(case or stem_of(label or files[0]), files, label, facts, other=other)


def described(path: Path, found: Found) -> Found:
    """The cases with the structures and channels that a dataset.json declares."""
    tree = _tree(path)
    labels = found.labels
    if isinstance(tree.get("labels"), dict):
        labels = tables.labels_from_mapping(path, tree, tuple(map(int, tree.get("regions_class_order") or ())))
    channels = tree.get("channel_names") or tree.get("modality")
    names = [str(channels[key]) for key in sorted(channels, key=int)] if isinstance(channels, dict) else []
    return replace(found, labels=labels, channel_names=tuple(names) or found.channel_names)


def with_tables(folder: Path, layout: str, entries: Sequence[Entry]) -> Found:
    """The cases with the facts of cases.csv and the names of labels.yaml in their folder."""
    labels, instances = declared_beside(folder)
    return with_facts(folder, Found(layout, entries, labels, instances))


def with_facts(folder: Path, found: Found) -> Found:
    """The cases with the facts of a cases.csv in their folder, and a remark on tables that are not read.

    Raises:
        DataError: When it contradicts what is known of a case's patient or part.
    """
    entries, notes, warnings = found.entries, [*found.notes], [*found.warnings]
    files = sorted(file for file in folder.iterdir() if file.is_file())
    read = [file for file in files if file.name.lower() in ("cases.csv", "cases.tsv")]
    for file in read:
        facts = facts_of(file, [entry.id for entry in entries])
        entries = [replace(entry, facts=_joined(file, entry, facts.of.get(entry.id, {}))) for entry in entries]
        notes, warnings = [*notes, *facts.notes], [*warnings, *facts.warnings]
    others = [file for file in files if _IDLE.search(file.name) and found.layout != f"manifest {file.name}"]
    if others and not read:
        names = listed([file.name for file in others])
        remarks = warnings if any(map(_may_split, others)) else notes
        remarks.append(f"{names}: not read; what is known of cases, patients and parts belongs into cases.csv.")
    return replace(found, entries=entries, notes=tuple(notes), warnings=tuple(warnings))


def _may_split(file: Path) -> bool:
    """Whether a table that is not read has a column of patients or parts."""
    with suppress(DataError):
        if file.suffix.lower() in (".csv", ".tsv"):
            return not {"patient", "subject", "split", "fold"}.isdisjoint(tables.read_table(file).columns)
    return False


def _joined(table: Path, entry: Entry, facts: Mapping[str, str]) -> dict[str, str]:
    for key in ("patient", "subject", "split", "fold"):
        one, two = given(facts.get(key, "")), given(entry.facts.get(key, ""))
        if one and two and one.casefold() != two.casefold() and (part_of(one) or one) != (part_of(two) or two):
            raise DataError(f"{table}: {entry.id}: `{key}` is {one!r} here and {two!r} elsewhere; make them agree.")
    return {**facts, **{key: text for key, text in entry.facts.items() if given(text) or key not in facts}}


def declared_beside(folder: Path) -> tuple[Any, bool]:
    """Labels of a labels.yaml in this folder and whether values number objects; nothing when there is none."""
    for name in ("labels.yaml", "labels.yml"):
        if (folder / name).is_file():
            return tables.labels_from_yaml(folder / name)
    return None, False


def _tree(path: Path) -> dict[str, Any]:
    tree = tables.read_tree(path)
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected a dataset.json with `labels` and channels.")
    return tree


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]


def _ids(names: Sequence[str]) -> list[str]:
    """File names without ending; with their folders where several share a name."""
    names = [name.replace("\\", "/") for name in names]
    stems = [stem_of(name) for name in names]
    if len(set(stems)) == len(stems):
        return stems
    return ["_".join((*Path(name).parent.parts, stem)) for name, stem in zip(names, stems, strict=True)]
