"""Data sets that a file declares: a manifest (CSV, YAML) or a dataset.json (Decathlon, nnU-Net)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..files.formats import stem_of, suffix_of
from . import tables
from .entry import Entry, Found, TruthFiles, listed

MANIFESTS = ("manifest.csv", "manifest.yaml", "manifest.yml", "dataset.csv", "dataset.yaml", "cases.csv")
_TARGET_COLUMNS: dict[str, TruthFiles] = {"target": "image", "field": "field"}
_LABEL_COLUMNS = ("label", "labels", "mask", "segmentation", "seg", "annotation")


def is_manifest(path: Path) -> bool:
    """Whether a table names image files (cases.csv often gives facts alone)."""
    if not path.is_file() or not (rows := tables.read_rows(path)):
        return False
    return path.stem != "cases" or any(map(_names_images, rows[0]))


def from_manifest(path: Path) -> Found:
    """The cases of a table.

    Columns: `image`, or one for each channel (`image_NAME`, or any whose entries are image files); `label`
    (several files, separated by semicolons, hold one object or structure each), or `target` (an image) or `field`
    (displacements), empty for a case without; `case`; all others are facts.

    Raises:
        DataError: When there is no image column, or a file is missing.
    """
    rows = tables.read_rows(path)
    if not rows:
        raise DataError(f"{path}: the table has no rows.")
    label_column = next((c for c in _LABEL_COLUMNS if c in rows[0]), "")
    truths = [kind for kind in _TARGET_COLUMNS if any(row.get(kind) for row in rows)]
    if len(truths) + any(row.get(label_column) for row in rows) > 1:
        given = ", ".join(c for c in (label_column, *truths) if c)
        raise DataError(f"{path}: a data set has one kind of truth, but the table has {given}; take the others out.")
    id_column = next((c for c in tables.ID_COLUMNS if c in rows[0]), "")
    columns = [c for c in rows[0] if _names_images(c)] or [
        c
        for c in rows[0]
        if c not in (label_column, id_column, *_TARGET_COLUMNS) and all(suffix_of(r[c]) for r in rows if r.get(c))
    ]
    columns = [c for c in columns if any(row.get(c) for row in rows)]
    if not columns:
        raise DataError(f"{path}: expected a column `image` or columns `image_NAME`; found {', '.join(rows[0])}.")
    names = [[name for c in columns for name in _split(row.get(c, ""))] for row in rows]
    if empty := [number for number, images in enumerate(names, 2) if not images]:
        raise DataError(f"{path}: row {empty[0]} names no image.")
    ids = [row[id_column] for row in rows] if id_column else _ids([images[0] for images in names])
    entries = []
    for case, row, images in zip(ids, rows, names, strict=True):
        marks = tuple(_file(path, name) for name in _split(row.get(label_column, "")))
        facts = {k: v for k, v in row.items() if k not in (*columns, label_column, id_column, *_TARGET_COLUMNS)}
        label = marks if len(marks) > 1 else marks[0] if marks else None
        target = _file(path, row[truths[0]]) if truths and row.get(truths[0]) else None
        entries.append(Entry(case, tuple(_file(path, name) for name in images), label, facts, target))
    channels = tuple(c.removeprefix("image_") for c in columns) if len(columns) > 1 else ()
    labels, instances = tables.labels_from_manifest(path), False
    if labels is None:
        labels, instances = declared_beside(path.parent)
    kind = _TARGET_COLUMNS[truths[0]] if truths else "labels"
    return Found(f"manifest {path.name}", entries, labels, instances, channels, truth=kind)


def from_json(path: Path) -> Found | None:
    """The cases of a dataset.json that names its files; None when it only describes folders beside it."""
    tree = _tree(path)
    if isinstance(tree.get("dataset"), dict):  # nnU-Net with explicit files
        entries = [
            Entry(case, tuple(_file(path, f) for f in files["images"]), _label(path, files))
            for case, files in tree["dataset"].items()
        ]
        return Found("nnU-Net dataset.json with file names", entries)
    rows: Any = tree.get("training")
    named = isinstance(rows, list) and all(isinstance(row, dict) and "image" in row for row in rows)
    if not named or not any(row.get("label") for row in rows):
        return None
    entries = []
    for row in rows:
        images = row["image"] if isinstance(row["image"], list) else [row["image"]]
        label = _label(path, row)
        entries.append(Entry(stem_of(label or images[0]), tuple(_file(path, f) for f in images), label))
    return Found("Medical Segmentation Decathlon dataset.json", entries)


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
    table = folder / "cases.csv"
    if table.is_file() and not is_manifest(table):
        facts = tables.facts_by_case(table)
        entries = [replace(entry, facts={**facts.get(entry.id, {}), **entry.facts}) for entry in entries]
        known = {entry.id for entry in entries}
        idle = [case for case in facts if case not in known]
        unknown = [entry.id for entry in entries if entry.id not in facts]
        if idle and len(idle) == len(facts):
            warnings.append(
                f"No row of cases.csv matches an image: rows are of {listed(idle, 2)}; images are"
                f" {listed(unknown, 2)}. Nothing it says of patients or splits is used; write names of images into it."
            )
        elif unknown:
            notes.append(f"cases.csv has no row for {len(unknown)} cases: {listed(unknown)}.")
        if idle and len(idle) < len(facts):
            notes.append(f"{len(idle)} of {len(facts)} rows of cases.csv match no image, the first is of {idle[0]!r}.")
    labels, instances = declared_beside(folder)
    return Found(layout, entries, labels, instances, notes=tuple(notes), warnings=tuple(warnings))


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


def _file(table: Path, name: str) -> Path:
    path = table.parent / name
    if not path.exists():
        raise DataError(f"{table}: names {name}, which is not there.")
    return path


def _label(table: Path, row: Mapping[str, Any]) -> Path | None:
    return _file(table, row["label"]) if row.get("label") else None


def _names_images(column: str) -> bool:
    return column == "image" or column.startswith("image_")


def _split(text: str) -> list[str]:
    return [name.strip() for name in text.split(";") if name.strip()]


def _ids(names: Sequence[str]) -> list[str]:
    """File names without ending; with their folders where several share a name."""
    stems = [stem_of(name) for name in names]
    if len(set(stems)) == len(stems):
        return stems
    return ["_".join((*Path(name).parent.parts, stem)) for name, stem in zip(names, stems, strict=True)]
