"""Whether values that were read from a file are of the kinds that hyoid writes there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .errors import DataError

_MOST = 1e24
"""No number in a file of hyoid is as large; times of change in nanoseconds are 1e18."""


def fits(value: Any, shape: Any) -> bool:
    """Whether a value is of a shape.

    Args:
        value: As JSON has it.
        shape: A type, where `float` means a finite number; None; a tuple of shapes of which one has to fit; `[shape]`
            for a list of any length, or several shapes for one of this length; or a mapping of keys to shapes, in which
            keys with `?` at the end may be missing and `*` stands for all others.
    """
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        if not isinstance(value, list) or len(shape) not in (1, len(value)):
            return False
        return all(map(fits, value, shape * len(value) if len(shape) == 1 else shape))
    if isinstance(shape, dict):
        named = {key.removesuffix("?"): one for key, one in shape.items()}
        needed = {key for key in shape if not key.endswith(("?", "*"))}
        others = named.get("*", object)
        return isinstance(value, dict) and (
            needed <= value.keys() and all(fits(one, named.get(key, others)) for key, one in value.items())
        )
    if shape is float:
        return type(value) in (int, float) and -_MOST < value < _MOST
    return value is None if shape is None else isinstance(value, shape)


def shape_of(schema: Mapping[str, Any], parts: Mapping[str, Any]) -> Any:
    """The shape of values that fulfil a JSON schema, whose references name these parts; only types are looked at."""
    if "$ref" in schema:
        return shape_of(parts[schema["$ref"].rpartition("/")[2]], parts)
    kinds = schema.get("type", "any")
    if isinstance(kinds, list):
        return tuple(shape_of({**schema, "type": kind}, parts) for kind in kinds)
    if kinds == "array":
        count = schema["minItems"] if schema.get("minItems") == schema.get("maxItems", -1) else 1
        return [shape_of(schema.get("items", {}), parts)] * count
    if kinds == "object":
        needed, rest = schema.get("required", ()), schema.get("additionalProperties")
        inner = schema.get("properties", {}).items()
        shape = {name if name in needed else f"{name}?": shape_of(one, parts) for name, one in inner}
        return shape | ({"*": shape_of(rest, parts)} if isinstance(rest, dict) else {})
    return {"string": str, "boolean": bool, "number": float, "integer": float, "null": None}.get(kinds, object)


def checked(value: Any, shape: Any, file: Path, remedy: str) -> Any:
    """The value, unless it is not of a shape.

    Raises:
        DataError: Naming the file, and what to do.
    """
    if not fits(value, shape):
        raise DataError(f"{file}: this is not what hyoid wrote; {remedy}.")
    return value
