"""Tables beside the images: cases.csv, manifests, labels.yaml, dataset.json; read as plain rows and names."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import zip_longest
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from ..core.errors import ConfigError, DataError
from ..core.labels import Labels
from ..core.trees import load_json, load_yaml
from ..files.sniff import check_regular
from .columns import bare, columns_of, given, understood

_SEPARATORS = ",;\t|"


class Table(NamedTuple):
    """The rows of a table that say anything, with columns of patients and parts under our own names.

    Attributes:
        path: Its file.
        rows: Values as text by column.
        lines: The line of each row in the file, or its place in a list.
        notes: Which columns were read under another name.
    """

    path: Path
    rows: Sequence[Mapping[str, str]]
    lines: Sequence[int]
    notes: Sequence[str]

    @property
    def columns(self) -> list[str]:
        """Their names, in order."""
        return columns_of(self.rows)

    def named(self, names: Sequence[str]) -> list[str]:
        """The columns that mean one of these names, in the order of these."""
        return sorted((c for c in self.columns if bare(c) in names), key=lambda c: names.index(bare(c)))

    def cells(self, column: str) -> list[str]:
        """The entries of a column, empty where none is given."""
        return [given(row.get(column, "")) for row in self.rows]


def read_table(path: Path) -> Table:
    """A CSV (comma, semicolon, tab or bar, in any usual encoding) or YAML table.

    Raises:
        DataError: When it is no table, a row has more cells than the header, or the words of a split are unknown.
    """
    numbered = _listed_rows(path) if path.suffix.lower() in (".yaml", ".yml", ".json") else _csv_rows(path)
    filled = {line: row for line, row in numbered.items() if any(map(given, row.values()))}
    rows, notes = understood(path, list(filled.values()))
    return Table(path, rows, list(filled), notes)


def _listed_rows(path: Path) -> dict[int, dict[str, str]]:
    content = read_tree(path)
    rows = content.get("cases", content) if isinstance(content, dict) else content
    if isinstance(rows, dict):
        rows = [{"case": key, **(value if isinstance(value, dict) else {})} for key, value in rows.items()]
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise DataError(f"{path}: expected a list of cases with columns such as image and label.")
    return {place: {str(k).strip().lower(): _text(v) for k, v in row.items()} for place, row in enumerate(rows, 1)}


def _csv_rows(path: Path) -> dict[int, dict[str, str]]:
    """Rows by their line; the first row that is not empty names the columns, after a line such as `sep=;`."""
    text = _read_text(path)
    said = re.match(r"\s*sep=(.)[ \t]*\r?\n", text, re.IGNORECASE)
    separator = said[1] if said else _separator(text)
    reader = csv.reader(io.StringIO(text[said.end() :] if said else text, newline=""), delimiter=separator)
    ahead = said[0].count("\n") if said else 0
    try:
        lines = [(reader.line_num + ahead, [cell.strip() for cell in cells]) for cells in reader]
    except csv.Error as error:
        raise DataError(f"{path}: line {reader.line_num + ahead} is no row of a table ({error}).") from None
    lines = [(line, cells) for line, cells in lines if any(cells)]
    if not lines:
        return {}
    names = [name.lower() for name in lines[0][1]]
    if twice := sorted({name for name in names if name and names.count(name) > 1}):
        raise DataError(f"{path}: two columns are called `{twice[0]}`; rename one.")
    for line, cells in lines[1:]:
        if any(cells[len(names) :]):
            raise DataError(
                f"{path}: line {line} has {len(cells)} cells, but there are {len(names)} columns; put entries that"
                f" hold {separator!r} between quotes."
            )
    return {line: {n: c for n, c in zip_longest(names, cells, fillvalue="") if n} for line, cells in lines[1:]}


def _separator(text: str) -> str:
    """What divides the header, and the most of the first rows."""
    lines = [line for line in text.splitlines() if line.strip()][:50]

    def fits(separator: str) -> tuple[bool, int, int]:
        try:
            widths = [len(cells) for cells in csv.reader(lines, delimiter=separator)] or [0]
        except csv.Error:
            return False, 0, 0
        return widths[0] > 1, sum(width > 1 for width in widths), widths.count(widths[0])

    return max(_SEPARATORS, key=fits)


def read_tree(path: Path) -> Any:
    """What a YAML or JSON file holds."""
    text = _read_text(path)
    if not text.strip():
        raise DataError(f"{path}: the file is empty.")
    try:
        return load_json(text) if path.suffix.lower() == ".json" else load_yaml(text)
    except (yaml.YAMLError, ValueError) as error:
        kind = "JSON" if path.suffix.lower() == ".json" else "YAML"
        raise DataError(f"{path}: this is not readable {kind} ({' '.join(str(error).split())}).") from None


def labels_from_yaml(path: Path) -> tuple[Labels | None, bool]:
    """Structures of a labels.yaml, and whether it says `instances: true` or `objects: true` (values number objects).

    Lines are `value: name`, `name: value` or `name: [values]`, and `ignore: value`; below `codes:` they are
    `name: [scheme, value, meaning]`.
    """
    tree = read_tree(path)
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected lines such as `1: liver`.")
    if True in (tree.get("instances"), tree.get("objects")):
        return None, True
    return labels_from_mapping(path, tree), False


def labels_from_manifest(path: Path) -> Labels | None:
    """Structures that a YAML manifest declares under `labels:`, or None."""
    tree = read_tree(path) if path.suffix.lower() not in (".csv", ".tsv") else None
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
    return not isinstance(value, bool) and re.fullmatch(r"-?\d+", str(value).strip()) is not None


def _text(value: Any) -> str:
    if isinstance(value, list | tuple):
        return ";".join(map(str, value))
    return "" if value is None else str(value)


def _read_text(path: Path) -> str:
    """The text of a file in UTF-8, UTF-16 or, as older spreadsheets write it, Windows-1252."""
    check_regular(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from None
    if data.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise DataError(f"{path}: this is a workbook, not text; save it as CSV UTF-8.")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        encodings = ["utf-16"]
    else:
        encodings = ["utf-16-le"] * (data[1:2] == b"\0") + ["utf-16-be"] * (data[:1] == b"\0") + ["utf-8-sig", "cp1252"]
    for encoding in encodings:
        with suppress(UnicodeDecodeError):
            if "\0" not in (text := data.decode(encoding)):
                return text
    raise DataError(f"{path}: this is not text; save it as UTF-8.")
