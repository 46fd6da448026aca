"""Signatures of the verbs as data, made from their annotations and docstrings, and the check of their arguments.

Command line, reference page and forms follow from these records.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, wraps
from numbers import Integral, Real
from os import PathLike
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Any, Literal, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

from ..core.errors import ConfigError, closest

Given = ParamSpec("Given")
Made = TypeVar("Made")
Kind = Literal["path", "paths", "text", "whole", "number", "choice", "flag", "settings"]

WANTED: Mapping[Kind, tuple[Any, str]] = {
    "path": ((str, PathLike), "a path"),
    "text": (str, "a text"),
    "whole": (Integral, "a whole number"),
    "number": (Real, "a number"),
    "choice": (str, "a name"),
    "flag": (bool, "True or False"),
    "paths": ((str, PathLike), "a list of paths"),
    "settings": (str, "a list of texts KEY=VALUE"),
}
"""What Python must give for each kind of argument; a list holds such things."""

LISTS = ("paths", "settings")
NUMBERS: Mapping[type, Kind] = {bool: "flag", int: "whole", float: "number"}
FLAGS = {"changes": "--set", "input_shape": "--input"}
"""Where the shell uses another word than Python."""

GOES_ON = {"": "The same command goes on where this one was."}
EMPTY = "An argument is empty; perhaps a variable of the shell has no value."


@dataclass(frozen=True)
class Argument:
    """One argument of a verb.

    Attributes:
        default: Its value when it is not given; None leaves the choice to the verb.
        flag: Its option in the shell; empty when its place says what it is.
        metavar: What stands for its value in a usage line.
        choices: The names it may have; empty when any value may be.
    """

    name: str
    kind: Kind
    help: str
    required: bool
    default: Any
    flag: str
    metavar: str
    choices: tuple[str, ...] = ()

    @classmethod
    def of(cls, one: inspect.Parameter, hint: Any, text: str) -> Argument:
        """The record of a parameter."""
        required, (kind, choices) = one.default is inspect.Parameter.empty, _kind(hint)
        by_name = one.kind is inspect.Parameter.KEYWORD_ONLY
        flag = FLAGS.get(one.name, "--" + one.name.replace("_", "-")) if by_name else ""
        metavar = "KEY=VALUE" if kind == "settings" else one.name.upper()
        return cls(one.name, kind, text, required, None if required else one.default, flag, metavar, choices)

    def check(self, value: Any, instead: str = "") -> None:
        """Refuse a value of another kind; `instead` is a sentence on what to do with arrays.

        Raises:
            ConfigError: Saying what was expected and what came.
        """
        wanted, words = WANTED[self.kind]
        if value is None and not self.required and self.default is None:
            return
        if self.kind in LISTS and isinstance(value, str | PathLike):
            raise ConfigError(f"{self.name}: expected {words}, got {str(value)!r} alone; write [{str(value)!r}].")
        items = value if self.kind in LISTS else (value,)
        good = isinstance(items, Sequence) and all(isinstance(one, wanted) for one in items)
        if not good or (isinstance(value, bool) and self.kind != "flag"):
            hint = f" {instead}" if instead and self.kind in ("path", "paths") else ""
            raise ConfigError(f"{self.name}: expected {words}, got {came(value)}.{hint}")
        if "" in items:
            raise ConfigError(EMPTY)
        if self.choices and value not in self.choices:
            hint = closest(value, self.choices)
            raise ConfigError(f"{self.name}: {value!r} is not known.{hint} Known: {', '.join(self.choices)}.")


@dataclass(frozen=True)
class Verb:
    """A verb, and all that is said about it anywhere.

    Attributes:
        name: Its word in the shell.
        gives: The key in JSON of paths or texts that it gives.
        remains: What goes on after it was stopped, as a sentence; under the name of an argument that changes this when
            it is given, else under "".
        instead: What to do with arrays in memory, as a sentence.
    """

    name: str
    function: Callable[..., Any]
    gives: str
    remains: Mapping[str, str]
    instead: str

    @property
    def summary(self) -> str:
        """The docstring up to its first section."""
        return self._sections[""]

    @property
    def returns(self) -> str:
        """What it gives, in words; empty when the summary says it."""
        return " ".join(self._sections.get("Returns", "").split())

    @cached_property
    def _sections(self) -> dict[str, str]:
        text = inspect.getdoc(self.function) or ""
        first, *rest = re.split(r"(?m)^(Args|Returns|Raises|Example|Reference):\n", text)
        return {"": first.strip(), **dict(zip(rest[::2], rest[1::2], strict=True))}

    @cached_property
    def arguments(self) -> tuple[Argument, ...]:
        """In the order of the signature."""
        function = inspect.unwrap(self.function)
        entries = re.findall(r"(?m)^    (\w+): (.*(?:\n {8}.*)*)", self._sections.get("Args", ""))
        texts = {name: " ".join(words.split()) for name, words in entries}
        parameters = inspect.signature(function).parameters
        # The result is left out: its type is imported by type checkers only, since it loads what the verb needs.
        own = SimpleNamespace(__annotations__={name: one.annotation for name, one in parameters.items()})
        hints = get_type_hints(own, globalns=function.__globals__)
        return tuple(Argument.of(one, hints[name], texts.get(name, "")) for name, one in parameters.items())

    def after_stop(self, given: Mapping[str, Any]) -> str:
        """What remains of this work when it was stopped, as a sentence; empty when nothing does."""
        return next((text for name, text in self.remains.items() if given.get(name)), self.remains.get("", ""))


_verbs: dict[Callable[..., Any], Verb] = {}


def verb(
    name: str = "", gives: str = "", remains: Mapping[str, str] | None = None, instead: str = ""
) -> Callable[[Callable[Given, Made]], Callable[Given, Made]]:
    """A decorator that checks the arguments of a verb by its signature; what it takes are fields of `Verb`."""

    def door(function: Callable[Given, Made]) -> Callable[Given, Made]:
        @wraps(function)
        def checked(*args: Given.args, **kwargs: Given.kwargs) -> Made:
            given = {**dict(zip((one.name for one in record.arguments), args, strict=False)), **kwargs}
            for argument in record.arguments:
                if argument.name in given:
                    argument.check(given[argument.name], instead)
            return function(*args, **kwargs)

        record = _verbs[checked] = Verb(name or function.__name__, checked, gives, remains or {}, instead)
        return checked

    return door


def described(function: Callable[..., Any]) -> Verb:
    """The record of a verb."""
    return _verbs[function]


def _kind(hint: Any) -> tuple[Kind, tuple[str, ...]]:
    """What an annotation asks for, and the names it allows."""
    if get_origin(hint) is Literal:
        return "choice", get_args(hint)
    if get_origin(hint) is Sequence:
        return ("settings" if get_args(hint) == (str,) else "paths"), ()
    kinds = set(get_args(hint) or (hint,)) - {NoneType}
    if Path in kinds:
        return "path", ()
    inner = kinds.pop()
    return _kind(inner) if get_origin(inner) else (NUMBERS.get(inner, "text"), ())


def came(value: Any) -> str:
    """What came instead, in a few words."""
    if isinstance(value, list | tuple | set | frozenset | dict) and value:
        return f"a {type(value).__name__} of {', '.join(dict.fromkeys(type(one).__name__ for one in value))}"
    return repr(value) if isinstance(value, Real) else f"a {type(value).__name__}"
