"""Tables beside the images: cases.csv, manifests, labels.yaml, dataset.json; read as plain rows and names."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..core.errors import ConfigError, DataError
from ..core.labels import Labels
from ..core.trees import load_yaml
from ..files.formats import stem_of

ID_COLUMNS = ("case", "id", "case_id", "name")
Row = dict[str, str]


def read_rows(path: Path) -> list[Row]:
    """The rows of a CSV (comma, semicolon or tab) or YAML table, keys in lower case, values as text."""
    if path.suffix.lower() in (".yaml", ".yml", ".json"):
        content = read_tree(path)
        rows = content.get("cases", content) if isinstance(content, dict) else content
        if isinstance(rows, dict):
            rows = [{"case": key, **(value if isinstance(value, dict) else {})} for key, value in rows.items()]
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            raise DataError(f"{path}: expected a list of cases with columns such as image and label.")
        return [{str(k).strip().lower(): _text(v) for k, v in row.items()} for row in rows]
    text = _read_text(path)
    first = text.split("\n", 1)[0]
    separator = max(",;\t", key=first.count)
    reader = csv.DictReader(io.StringIO(text), delimiter=separator)
    return [{str(k).strip().lower(): (v or "").strip() for k, v in row.items() if k is not None} for row in reader]


def read_tree(path: Path) -> Any:
    """What a YAML or JSON file holds."""
    text = _read_text(path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty.")
    try:
        return json.loads(text) if path.suffix.lower() == ".json" else load_yaml(text)
    except (yaml.YAMLError, json.JSONDecodeError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise DataError(f"{path}: this is not readable {kind} ({' '.join(str(error).split())}).") from None


def facts_by_case(path: Path) -> dict[str, Row]:
    """The rows of cases.csv by case id, without the id column."""
    rows = read_rows(path)
    column = next((name for name in ID_COLUMNS if rows and name in rows[0]), None)
    if rows and column is None:
        raise DataError(f"{path}: expected a column `case` with the image names; found {', '.join(rows[0])}.")
    found: dict[str, Row] = {}
    for row in rows:
        case = stem_of(row.pop(str(column)))
        if case in found:
            raise DataError(f"{path}: case {case!r} has two rows.")
        found[case] = row
    return found


def labels_from_yaml(path: Path) -> tuple[Labels | None, bool]:
    """Structures of a labels.yaml, and whether it says `instances: true` (values number objects).

    Lines are `value: name`, `name: value` or `name: [values]`, and `ignore: value`; below `codes:` they are
    `name: [scheme, value, meaning]`.
    """
    tree = read_tree(path)
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected lines such as `1: liver`.")
    if tree.get("instances") is True:
        return None, True
    return labels_from_mapping(path, tree), False


def labels_from_manifest(path: Path) -> Labels | None:
    """Structures that a YAML manifest declares under `labels:`, or None."""
    tree = read_tree(path) if path.suffix.lower() != ".csv" else None
    return labels_from_mapping(path, tree) if isinstance(tree, dict) and "labels" in tree else None


def labels_from_mapping(path: Path, tree: Mapping[Any, Any], paint: tuple[int, ...] = ()) -> Labels:
    """Labels from `value: name` or `name: value(s)`, of a tree or of its `labels`.

    Background is left out; `ignore` and `codes`, which may stand beside `labels`, are set apart.
    """
    if not isinstance(declared := tree.get("labels", tree), Mapping):
        raise DataError(f"{path}: expected lines such as `1: liver` below `labels`; got {declared!r}.")
    codes: Mapping[str, Any] = {}
    names: list[str] = []
    values: list[tuple[int, ...]] = []
    ignore = None
    for key, value in {"codes": tree.get("codes"), **declared}.items():
        if key == "codes" and isinstance(value, dict | None):
            codes = value or {}
            continue
        name, group = (str(value), (key,)) if _is_whole(key) and not _is_whole(value) else (str(key), value)
        numbers = tuple(int(v) for v in (group if isinstance(group, list | tuple) else (group,)) if _is_whole(v))
        if not numbers:
            raise DataError(f"{path}: label {name!r} needs a whole number; got {group!r}.")
        if name.lower() == "ignore":
            ignore = numbers[0]
        elif numbers != (0,):
            names.append(name)
            values.append(numbers)
    if not names:
        raise DataError(f"{path}: no structure beside background is declared.")
    if unknown := [str(name) for name in codes if name not in names]:
        raise DataError(f"{path}: `codes` names {unknown[0]!r}, but the structures are {', '.join(names)}.")
    coded = [codes.get(name) for name in names] if codes else []
    try:
        found = {"names": names, "values": values, "ignore": ignore, "paint": paint, "codes": coded}
        return Labels.parse(found, str(path))
    except ConfigError as error:
        raise DataError(str(error)) from None


def _is_whole(value: Any) -> bool:
    return not isinstance(value, bool) and str(value).strip().lstrip("-").isdigit()


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ";".join(map(str, value))
    return "" if value is None else str(value)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: cannot be read as text ({error}).") from None
