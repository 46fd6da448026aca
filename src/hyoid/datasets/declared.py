"""Data sets that a file declares: a manifest (CSV, YAML) or a dataset.json (Decathlon, nnU-Net)."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..core.files import check_name
from ..files.formats import stem_of, suffix_of
from . import tables
from .columns import IDS, IMAGES, LABELS, bare, columns_of, given, understood
from .entry import Entry, Found, TruthFiles, listed
from .matching import matched, told
from .places import IMAGE_FOLDERS, LABEL_FOLDERS, TARGET_FOLDERS, Finder

MANIFESTS = ("manifest.csv", "manifest.yaml", "manifest.yml", "dataset.csv", "dataset.yaml", "cases.csv")
_TARGET_COLUMNS: dict[str, TruthFiles] = {"target": "image", "field": "field"}


def is_manifest(path: Path) -> bool:
    """Whether a table names image files and their truth; others, such as most cases.csv, give facts alone."""
    if not path.is_file() or path.stem.lower() == "manifest":
        return path.is_file()
    table = tables.read_table(path)
    images, labels = _finders(path)
    truths = (*_named(table, LABELS), *(c for c in columns_of(table.rows) if c in _TARGET_COLUMNS))
    named = [c for some in _image_columns(table) for c in some]
    return all(any(_finds(f, table, c) for c in some) for f, some in ((images, named), (labels, truths)))


def from_manifest(path: Path) -> Found:
    """The cases of a table.

    Columns: `image`, or one for each channel (`image_NAME`, or any whose entries are image files); `label`
    (several files, separated by semicolons, hold one object or structure each), or `target` (an image) or `field`
    (displacements), empty for a case without; `case`; all others are facts. Other usual names, such as `image_path`
    and `mask`, are understood; files are looked for beside the table, and in images/ or labels/.

    Raises:
        DataError: When there is no image column, a file is missing, or a row has no case.
    """
    table = tables.read_table(path)
    if not table.rows:
        raise DataError(f"{path}: the table has no rows.")
    images, labels = _finders(path)
    columns = _channels(table, images)
    label_column = _label_column(table, labels)
    truths = [kind for kind in _TARGET_COLUMNS if any(table.cells(kind))]
    if len(truths) + any(table.cells(label_column)) > 1:
        both = ", ".join(c for c in (label_column, *truths) if c)
        raise DataError(f"{path}: a data set has one kind of truth, but the table has {both}; take the others out.")
    id_column = next(iter(_named(table, IDS, but=columns)), "")
    names = [[name for c in columns for name in _split(given(row.get(c, "")))] for row in table.rows]
    _check_filled(table, "image", names)
    if id_column:
        _check_filled(table, f"case in `{id_column}`", table.cells(id_column))
    ids = [_plain_id(name) for name in table.cells(id_column)] if id_column else _ids([some[0] for some in names])
    for line, case in zip(table.lines, ids, strict=True):
        check_name(case, f"{path}, row {line}")
    used = (*columns, label_column, id_column, *_TARGET_COLUMNS)
    entries: list[Entry] = []
    for case, row, some in zip(ids, table.rows, names, strict=True):
        files, marks = (
            tuple(map(f.file, n)) for f, n in ((images, some), (labels, _split(given(row.get(label_column, "")))))
        )
        target = labels.file(row[truths[0]]) if truths and given(row.get(truths[0], "")) else None
        if same := {*files} & {*marks, target}:
            raise DataError(f"{path}: {case}: {min(filter(None, same)).name} is named as image and as its own truth.")
        label = marks if len(marks) > 1 else marks[0] if marks else None
        entries.append(Entry(case, files, label, {k: v for k, v in row.items() if k not in used}, target))
    channels = tuple(re.sub("^(image|img)_", "", c) for c in columns) if len(columns) > 1 else ()
    declared, instances = tables.labels_from_manifest(path), False
    if declared is None:
        declared, instances = declared_beside(path.parent)
    kind = _TARGET_COLUMNS[truths[0]] if truths else "labels"
    return Found(f"manifest {path.name}", entries, declared, instances, channels, tuple(table.notes), truth=kind)


def _check_filled(table: tables.Table, what: str, entries: Sequence[object]) -> None:
    for line, entry in zip(table.lines, entries, strict=True):
        if not entry:
            raise DataError(f"{table.path}: row {line} names no {what}.")


def _finders(table: Path) -> tuple[Finder, Finder]:
    return Finder(table, IMAGE_FOLDERS), Finder(table, (*LABEL_FOLDERS, *TARGET_FOLDERS))


def _named(table: tables.Table, names: Sequence[str], but: Sequence[str] = ()) -> list[str]:
    """The columns whose name is one of these, in the order of these."""
    columns = [c for c in columns_of(table.rows) if bare(c) in names and c not in but]
    return sorted(columns, key=lambda c: names.index(bare(c)))


def _image_columns(table: tables.Table) -> tuple[list[str], list[str]]:
    """Columns that name images, the best first; and `image_NAME` of channels, where the entries are files."""
    beside = table.path.parent
    named = [c for c in columns_of(table.rows) if re.match("(image|img)_", c) and bare(c) not in (*IMAGES, *IDS)]
    channels = [
        c for c in named if any(suffix_of(cell) or (cell and (beside / cell).exists()) for cell in table.cells(c))
    ]
    plain = _named(table, IMAGES)
    return sorted(plain, key=lambda c: not any(map(suffix_of, table.cells(c)))), channels


def _channels(table: tables.Table, images: Finder) -> list[str]:
    """The columns with the channels; only one of several such as `image` and `image_path`."""
    plain, channels = _image_columns(table)
    best = next((c for c in plain if _finds(images, table, c)), plain[0] if plain and not channels else "")
    columns = [c for c in columns_of(table.rows) if c == best or c in channels]
    rest = [c for c in columns_of(table.rows) if bare(c) not in (*LABELS, *IDS) and c not in _TARGET_COLUMNS]
    shown = [c for c in rest if all(map(suffix_of, filter(None, table.cells(c))))]
    columns = columns or shown or _named(table, ["imageid"])
    columns = [c for c in columns if any(table.cells(c))]
    if not columns:
        found = ", ".join(columns_of(table.rows))
        raise DataError(f"{table.path}: expected a column `image` or columns `image_NAME`; found {found}.")
    return columns


def _label_column(table: tables.Table, labels: Finder) -> str:
    """The column of annotations; where one holds files, a `label` such as `benign` is a fact.

    Raises:
        DataError: When several hold files.
    """
    columns = [c for c in _named(table, LABELS) if any(table.cells(c))]
    filled = [c for c in columns if _finds(labels, table, c)]
    if len({tuple(table.cells(c)) for c in filled}) > 1:
        raise DataError(f"{table.path}: {' and '.join(filled)} both name annotations; take one out.")
    return next(iter(filled or columns), "")


def _finds(finder: Finder, table: tables.Table, column: str) -> bool:
    """Whether any entry of a column is a file."""
    return any(finder.find(name) is not None for cell in table.cells(column) for name in _split(cell))


def _plain_id(name: str) -> str:
    return name[: len(name) - len(suffix_of(name))]


def from_json(path: Path) -> Found | None:
    """The cases of a dataset.json that names its files; None when it only describes folders beside it.

    Annotated cases under `validation` and `test` or `testing` are those parts of a split; `fold` is a fact.
    """
    tree, (images, labels) = _tree(path), _finders(path)
    if isinstance(tree.get("dataset"), dict):  # nnU-Net with explicit files
        rows = {
            case: {"image": files["images"], "label": files.get("label")} for case, files in tree["dataset"].items()
        }
        named = [_of_json(row, images, labels, case) for case, row in rows.items()]
        return Found("nnU-Net dataset.json with file names", named)
    entries: list[Entry] = []
    for part in ("training", "validation", "test", "testing"):
        listed_rows: Any = tree.get(part)
        rows_of = (
            [row for row in listed_rows if isinstance(row, dict) and "image" in row]
            if isinstance(listed_rows, list)
            else []
        )
        if part == "training" and not (
            len(rows_of) == len(listed_rows or ()) and any(row.get("label") for row in rows_of)
        ):
            return None
        said = {} if part == "training" and not isinstance(tree.get("validation"), list) else {"split": part}
        entries += [
            _of_json({**said, **row}, images, labels) for row in rows_of if row.get("label") or part == "training"
        ]
    facts, notes = understood(path, [entry.facts for entry in entries])
    entries = [replace(entry, facts=row) for entry, row in zip(entries, facts, strict=True)]
    return Found("Medical Segmentation Decathlon dataset.json", entries, notes=tuple(notes))


def _of_json(row: Mapping[str, Any], images: Finder, labels: Finder, case: str = "") -> Entry:
    some = row["image"] if isinstance(row["image"], list) else [row["image"]]
    label = labels.file(row["label"]) if row.get("label") else None
    facts = {
        str(k).lower(): str(v) for k, v in row.items() if k not in ("image", "label") and not isinstance(v, dict | list)
    }
    return Entry(case or stem_of(label or some[0]), tuple(map(images.file, some)), label, facts)


def described(path: Path, found: Found) -> Found:
    """The cases with the structures and channels that a dataset.json declares."""
    tree = _tree(path)
    labels = found.labels
    if isinstance(tree.get("labels"), dict):
        labels = tables.labels_from_mapping(path, tree, tuple(map(int, tree.get("regions_class_order") or ())))
    channels = tree.get("channel_names") or tree.get("modality")
    names = [str(channels[key]) for key in sorted(channels, key=int)] if isinstance(channels, dict) else []
    return replace(found, labels=labels, channel_names=tuple(names))


def with_tables(folder: Path, layout: str, entries: Sequence[Entry]) -> Found:
    """The cases with the facts of cases.csv and the names of labels.yaml in their folder."""
    notes: list[str] = []
    warnings: list[str] = []
    for name in ("cases.csv", "cases.tsv"):
        if (folder / name).is_file():
            facts, said, doubts = facts_of(folder / name, [entry.id for entry in entries])
            entries = [replace(entry, facts={**facts.get(entry.id, {}), **entry.facts}) for entry in entries]
            notes, warnings = [*notes, *said], [*warnings, *doubts]
    labels, instances = declared_beside(folder)
    return Found(layout, entries, labels, instances, notes=tuple(notes), warnings=tuple(warnings))


def facts_of(path: Path, cases: Sequence[str]) -> tuple[dict[str, dict[str, str]], list[str], list[str]]:
    """What a table says of each case that it knows, notes and warnings.

    Rows are of the case that one of their columns of names tells; where none does, of the one that the patient is.
    """
    table = tables.read_table(path)
    if not table.rows:
        return {}, [], []
    columns = _named(table, (*IDS, *IMAGES)) + [c for c in ("patient", "subject") if c in columns_of(table.rows)]
    if not columns:
        there = ", ".join(columns_of(table.rows))
        raise DataError(f"{path}: expected a column `case` with the image names; found {there}.")
    found = {column: matched(table.cells(column), cases) for column in columns}
    column = max(columns, key=lambda c: len(set(found[c].values())))
    names, of_row = table.cells(column), found[column]
    if blank := [line for line, name in zip(table.lines, names, strict=True) if not name]:
        raise DataError(f"{path}: line {blank[0]} has no `{column}`; name its case, or delete the line.")
    facts: dict[str, dict[str, str]] = {}
    for name, row in zip(names, table.rows, strict=True):
        if of_row.get(name, name) in facts:
            raise DataError(f"{path}: case {of_row[name]!r} has two rows.")
        if name in of_row:
            facts[of_row[name]] = {k: v for k, v in row.items() if k != column or column in ("patient", "subject")}
    idle, unknown = [name for name in names if name not in of_row], [case for case in cases if case not in facts]
    if not facts:
        return (
            {},
            [],
            [
                f"No row of {path.name} matches an image: rows are of {listed(idle, 2)}; images are"
                f" {listed(unknown, 2)}. Nothing it says of patients or splits is used; write names of images into it."
            ],
        )
    lost = (
        [f"{len(idle)} of {len(names)} rows of {path.name} match no image: {told(idle, unknown or cases)}."]
        if idle
        else []
    )
    bare_cases = [f"{path.name} has no row for {len(unknown)} cases: {listed(unknown)}."] if unknown else []
    notes, warnings = ([], [*bare_cases, *lost]) if idle and unknown else ([*bare_cases, *lost], [])
    return facts, [*table.notes, *notes], warnings


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
