"""The form of report.json: its name, its schema, and how numbers are written in it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

FORMAT = "hyoid.report/2"
"""Changes when a reader of an earlier report.json could misunderstand a later one."""


def schema() -> dict[str, Any]:
    """The JSON schema that every report.json of this format fulfils."""
    return dict(json.loads(files("hyoid.evaluation").joinpath("report.schema.json").read_text(encoding="utf-8")))


_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_text(cell: str) -> str:
    """A cell of a CSV file that no spreadsheet takes for a formula; an apostrophe before it says that it is text."""
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell.lstrip("'").startswith(_FORMULA) else cell
    return cell


def as_stored(cell: str) -> str:
    """What `as_text` was given."""
    return cell[1:] if cell.startswith("'") and cell.lstrip("'").startswith(_FORMULA) else cell


def plain(value: Any) -> Any:
    """Values as JSON has them: six decimals, null for what is not finite; entries of a mapping that are None go."""
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items() if one is not None}
    if isinstance(value, list | tuple):
        return [plain(one) for one in value]
    if isinstance(value, float):
        return round(value, 6) + 0.0 if math.isfinite(value) else None
    return value
