"""Commands made from the records of the verbs; errors become one sentence."""

from __future__ import annotations

import errno
import inspect
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import typer
from rich.console import Console
from typer.core import TyperCommand

from ..core.errors import ConfigError, DataError, HyoidError
from ..core.progress import listening
from ..core.result import Plain, Result, document
from ..core.visible import visible
from ..workflow.signatures import EMPTY, Argument, Kind, Verb
from .screen import listener_for, show_notices
from .shown import show

WIDTH_OF_FILES = 160
NAMED = inspect.Parameter.POSITIONAL_OR_KEYWORD

TYPES: dict[Kind, Any] = {
    "path": Path,
    "paths": list[Path],
    "text": str,
    "settings": list[str],
    "whole": int,
    "number": float,
    "flag": bool,
}
"""What typer reads for each kind of argument."""

JSON = typer.Option("--json", help="Print one JSON document instead, and nothing else on standard output.")


class Command(TyperCommand):
    """A command that knows whether one of its words was empty."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        ctx.meta[EMPTY] = "" in args
        return super().parse_args(ctx, args)


def add_command(app: typer.Typer, verb: Verb) -> None:
    """Let a command call this verb and show what it gives."""
    parameters = [
        inspect.Parameter("context", NAMED, annotation=typer.Context),
        *(_parameter(argument) for argument in sorted(verb.arguments, key=lambda one: not one.required)),
        inspect.Parameter("as_json", NAMED, default=False, annotation=Annotated[bool, JSON]),
    ]

    def call(context: typer.Context, as_json: bool, **given: Any) -> None:
        arguments = {name: tuple(value) if isinstance(value, list) else value for name, value in given.items()}
        _run(verb, arguments, context, as_json)

    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in parameters}
    app.command(verb.name, help=verb.summary, cls=Command)(call)


def _parameter(argument: Argument) -> inspect.Parameter:
    """One argument as typer reads it."""
    kind = Literal[argument.choices] if argument.choices else TYPES[argument.kind]
    if not argument.required and argument.default is None:
        kind |= None
    if argument.flag:
        flag = argument.flag + (f"/--no-{argument.flag.lstrip('-')}" if argument.default is True else "")
        metavar = argument.metavar if argument.kind == "settings" else None
        note: Any = typer.Option(flag, help=argument.help, show_default=bool(argument.default), metavar=metavar)
    else:
        note = typer.Argument(help=argument.help, show_default=False)
    default = list(argument.default) if isinstance(argument.default, tuple) else argument.default
    default = inspect.Parameter.empty if argument.required else default
    return inspect.Parameter(argument.name, NAMED, default=default, annotation=Annotated[kind, note])


def _console(stderr: bool) -> Console:
    """A console; files and pipes, which have no width of their own, get a wide one."""
    return Console(stderr=stderr, width=None if Console(stderr=stderr).is_terminal else WIDTH_OF_FILES)


def _run(verb: Verb, given: dict[str, Any], context: typer.Context, as_json: bool) -> None:
    messages, debug = _console(stderr=True), bool(context.find_root().params["debug"])
    show_notices(messages, debug)
    try:
        if context.meta[EMPTY]:
            raise ConfigError(EMPTY)
        with listening(listener_for(messages)):
            found = verb.function(**given)
        result = found if isinstance(found, Result) else Plain(verb.gives, found)
        if as_json:
            _print_json(result.to_json())
        else:
            console = _console(stderr=False)
            show(result.shown(console.width), console)
    except (Exception, KeyboardInterrupt) as error:
        if debug:
            messages.print_exception()
        text, code = sentence(error, verb, given)
        if as_json:
            _print_json({"error": text})
        messages.print("" if isinstance(error, KeyboardInterrupt) else "[bold red]error: [/]", end="")
        messages.print(visible(text), markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(code) from None
    if result.problems:
        raise typer.Exit(DataError.exit_code)


def _print_json(value: Mapping[str, Any]) -> None:
    typer.echo(json.dumps(document(value), indent=2, allow_nan=False))


def sentence(error: BaseException, verb: Verb, given: Mapping[str, Any]) -> tuple[str, int]:
    """What went wrong in a verb with these arguments, as a sentence, and the exit code."""
    if isinstance(error, HyoidError):
        return str(error), error.exit_code
    if isinstance(error, KeyboardInterrupt):
        return f"Stopped. {verb.after_stop(given)}".rstrip(), 130
    if isinstance(error, MemoryError):
        return "The memory of this machine is used up; give a smaller --memory.", 1
    if isinstance(error, OSError):
        full = error.errno == errno.ENOSPC  # files that are open already do not tell their name
        place = error.filename or (full and (given.get("into") or given.get("run")))
        return f"{f'{Path(place)}: ' if place else ''}{'the disk is full' if full else error.strerror or error}.", 1
    kind = type(error).__name__
    return f"{kind}: {error}. This should not happen; `hyoid --debug {verb.name} ...` shows where.", 1
