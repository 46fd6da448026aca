"""Settings: frozen, strict, readable trees that live beside the code that reads them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import UnionType
from typing import Any, Self, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError

from .errors import ConfigError, closest
from .files import regular, write_text
from .trees import load_yaml

LONGEST_VALUE = 60
"""Letters of a wrong value that a message repeats."""


class Settings(BaseModel):
    """A frozen group of settings; unknown keys are refused with the closest known one.

    Raises:
        ConfigError: With one sentence per wrong value, however they are made.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    def __init__(self, /, **values: Any) -> None:
        with _in_sentences(type(self), type(self).__name__, values):
            super().__init__(**values)

    # Groups inside a group are then checked by the outer one, so that its message names the whole place.
    __init__.__pydantic_base_init__ = True  # type: ignore[attr-defined]

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        """As of pydantic, with the errors of `parse`."""
        with _in_sentences(cls, cls.__name__, obj):
            return super().model_validate(obj, **options)

    def __hash__(self) -> int:
        """Equal settings have equal hashes, also where a value is a mapping such as `{name: group}`."""
        return hash(json.dumps(self.model_dump(mode="json"), sort_keys=True))

    @classmethod
    def parse(cls, values: Any, where: str = "settings") -> Self:
        """Checked settings from plain values.

        Args:
            values: A mapping as read from YAML or JSON.
            where: What the message calls the source, such as a file name.

        Raises:
            ConfigError: With one sentence per wrong value.
        """
        if not isinstance(values, dict):
            raise ConfigError(f"{where}: expected settings as `key: value` lines, got {type(values).__name__}.")
        with _in_sentences(cls, where, values):
            return super().model_validate(values)

    @classmethod
    def class_for(cls, values: Any) -> type[Settings]:
        """The class that these values are read as; a group of several classes chooses by a field."""
        return cls

    @classmethod
    def read(cls, path: str | Path) -> Self:
        """Settings from a YAML file."""
        return cls.parse(read_tree(path), str(path))

    def write(self, path: str | Path) -> None:
        """Write the settings as YAML, under a temporary name first."""
        write_text(path, self.to_yaml())

    def to_yaml(self, without: Any = None) -> str:
        """The settings as YAML text that `parse` reads back to an equal object; some fields may be left out."""
        values = self.model_dump(mode="json", exclude=without)
        return yaml.dump(values, Dumper=_FlowLists, sort_keys=False, allow_unicode=True, width=100)

    def changed(
        self, changes: dict[str, Any] | list[str] | tuple[str, ...], where: str = "--set", group: str = ""
    ) -> Self:
        """A copy with some values replaced, such as `{"training.steps": 200}` or `["training.steps=200"]`.

        Values given as text are read as YAML, so `3`, `[1, 2]` and `true` mean what they look like, and `null` leaves
        a choice open. A message about what does not fit says where it came from, and names the `group` of a tree, such
        as "plan.", that these settings are.
        """
        pairs = changes.items() if isinstance(changes, dict) else [split_change(change) for change in changes]
        tree = self.model_dump(mode="json")
        for key, value in pairs:
            _put(type(self), tree, key, value, group)
        return type(self).parse(tree, where)


class _FlowLists(yaml.SafeDumper):
    """Writes lists of plain values on one line, so that shapes read as shapes."""

    def represent_sequence(self, tag: str, sequence: Any, flow_style: bool | None = None) -> yaml.SequenceNode:
        plain = all(not isinstance(item, dict) for item in sequence)
        return super().represent_sequence(tag, sequence, flow_style=plain)


_FlowLists.add_representer(list, lambda dumper, value: dumper.represent_sequence("tag:yaml.org,2002:seq", value))


def read_tree(path: str | Path) -> Any:
    """The values in a YAML file.

    Raises:
        ConfigError: When the file is missing, empty or not readable.
    """
    try:
        values = load_yaml(regular(Path(path)).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ConfigError(f"{path}: no such settings file.") from None
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{path}: this is not readable YAML ({' '.join(str(error).split())}).") from None
    if values is None:
        raise ConfigError(
            f"{path}: this file is empty; settings as `key: value` lines were expected. Put back what was in it."
        )
    return values


def split_change(change: str) -> tuple[str, Any]:
    """The key and the value of a change such as "training.steps=200"."""
    key, equals, text = change.partition("=")
    if not equals:
        raise ConfigError(f"--set {change}: expected key=value, such as training.steps=200.")
    try:
        return key.strip(), load_yaml(text)
    except (yaml.YAMLError, ValueError):
        raise ConfigError(f"--set {change}: {text!r} is not a readable value.") from None


def _put(model: type[BaseModel], tree: dict[str, Any], key: str, value: Any, group: str) -> None:
    *groups, last = key.split(".")
    node = tree
    for depth, name in enumerate(groups):
        place = tuple(groups[:depth])
        if name not in node and get_origin(_kind_at(model, place, tree)) is dict:
            node[name] = {}
        if not isinstance(node.get(name), dict):
            if _fields_at(model, (*place, name), tree):
                whole = ".".join(groups[: depth + 1])
                raise ConfigError(f"{group}{whole} is null, so {group}{key} cannot be set alone; set all of {whole}.")
            raise ConfigError(_unknown(group + key, name, _fields_at(model, place, tree) or node))
        node = node[name]
    fields = _fields_at(model, tuple(groups), tree)
    if fields and last not in (*node, *fields):  # options of a part have no fields to check here
        raise ConfigError(_unknown(group + key, last, fields))
    node[last] = value


def _unknown(key: str, name: str, known: Iterable[str]) -> str:
    options = ", ".join(map(str, known))
    return f"There is no setting {key!r}.{closest(name, known)}{f' Known here: {options}.' if options else ''}"


@contextmanager
def _in_sentences(model: type[BaseModel], where: str, values: Any) -> Iterator[None]:
    """Re-raise validation errors as one sentence each, prefixed with their source."""
    try:
        yield
    except ValidationError as error:
        raise ConfigError(_sentences(model, error, where, values)) from None
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from None


def _sentences(model: type[BaseModel], error: ValidationError, where: str, values: Any) -> str:
    lines = []
    for problem in error.errors():
        place = ".".join(str(part) for part in problem["loc"])
        if problem["type"] == "extra_forbidden":
            known = _fields_at(model, problem["loc"][:-1], values)
            name = str(problem["loc"][-1])
            options = f" Known here: {', '.join(known)}." if known else ""
            lines.append(f"{where}: there is no setting {place!r}.{closest(name, known)}{options}")
        elif problem["type"] == "missing":
            lines.append(f"{where}: the setting {place!r} is missing.")
        elif problem["type"] == "literal_error":
            known = [name.strip("'") for name in re.split(", | or ", problem["ctx"]["expected"])]
            hint = closest(str(problem["input"]), known)
            lines.append(f"{where}: {place} cannot be {_shown(problem['input'])}.{hint} Known: {', '.join(known)}.")
        else:
            message, value = problem["msg"].removeprefix("Value error, ").rstrip("."), problem["input"]
            what = "" if isinstance(value, dict | BaseModel) else f" = {_shown(value)}"  # a group's message says it
            lines.append(f"{where}: {f'{place}{what} does not fit: ' if place else ''}{message}.")
    return "\n".join(lines)


def _shown(value: Any) -> str:
    """A value, cut when it is long."""
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + " ..."


def _fields_at(model: Any, place: tuple[Any, ...], values: Any) -> list[str]:
    """Names that can be set at a place; empty where no model says which, as in a mapping."""
    kind = _kind_at(model, place, values)
    return [name for name in getattr(kind, "model_fields", {}) if name not in getattr(kind, "FACTS", ())]


def _kind_at(model: Any, place: tuple[Any, ...], values: Any) -> Any:
    """The annotation at a place, without None; in `dict[str, X]` and `tuple[X, ...]` every place is an X."""
    for part in place:
        fields = getattr(model, "model_fields", {})
        inside = [kind for kind in get_args(model) if kind is not ...]
        model = fields[part].annotation if part in fields else inside[-1] if inside else None
        if get_origin(model) in (Union, UnionType):
            kinds = get_args(model)
            model = next((kind for kind in kinds if hasattr(kind, "model_fields")), kinds[0])
        values = values.get(part) if isinstance(values, dict) else None
        if isinstance(model, type) and issubclass(model, Settings) and values is not None:
            model = model.class_for(values)
    return model
