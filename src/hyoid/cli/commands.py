"""Commands made from the verbs: signature gives arguments and options, docstring gives the help."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer
from rich.console import Console

from ..core.errors import ConfigError, DataError, HyoidError
from ..core.progress import listening
from .screen import listener_for, show_notices

# Where Python and the shell say the same thing differently.
FLAGS = {"changes": "--set", "input_shape": "--input"}

RESUMED = ("run", "prepare", "train", "predict")
"""Verbs that go on where they were stopped; predict does with the validation cases of a run."""

WIDTH_OF_FILES = 160


def command(verb: Callable[..., Any], show: Callable[[Any, Console], None]) -> Callable[..., None]:
    """A typer command that calls this verb and shows what it gives."""
    described = argument_help(verb)
    parameters = []
    for parameter in inspect.signature(verb).parameters.values():
        kind = _shell_type(verb, parameter.annotation)
        text = described.get(parameter.name, "")
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            flag = FLAGS.get(parameter.name, "--" + parameter.name.replace("_", "-"))
            if parameter.default is True:
                flag += "/--no-" + parameter.name.replace("_", "-")
            metavar = "KEY=VALUE" if parameter.name == "changes" else None
            note: Any = typer.Option(flag, help=text, show_default=bool(parameter.default), metavar=metavar)
        else:
            note = typer.Argument(help=text, show_default=False)
        default = parameter.default
        if isinstance(default, tuple):
            default = list(default)
        parameters.append(
            parameter.replace(
                annotation=Annotated[kind, note], default=default, kind=inspect.Parameter.POSITIONAL_OR_KEYWORD
            )
        )
    required_first = sorted(parameters, key=lambda one: one.default is not inspect.Parameter.empty)

    def call(**arguments: Any) -> None:
        _run(verb, show, {name: _python(value) for name, value in arguments.items()})

    call.__name__ = verb.__name__
    call.__doc__ = summary(verb)
    call.__signature__ = inspect.Signature(required_first)  # type: ignore[attr-defined]
    call.__annotations__ = {one.name: one.annotation for one in required_first}
    return call


def summary(verb: Callable[..., Any]) -> str:
    """The docstring up to its first section."""
    text = inspect.getdoc(verb) or ""
    return re.split(r"\n(?:Args|Returns|Raises|Example|Reference):\n", text)[0].strip()


def argument_help(verb: Callable[..., Any]) -> dict[str, str]:
    """The `Args:` section of a docstring as {name: text}."""
    text = inspect.getdoc(verb) or ""
    section = re.search(r"\nArgs:\n((?:    .*\n?|\n)+)", text)
    if not section:
        return {}
    entries = re.findall(r"^    (\w+): (.*(?:\n {8}.*)*)", section.group(1), re.MULTILINE)
    return {name: re.sub(r"\s+", " ", words).strip() for name, words in entries}


def _shell_type(verb: Callable[..., Any], annotation: str) -> Any:
    """The type typer reads for one parameter: text or path is a path, sequences are lists."""
    hint = eval(annotation, verb.__globals__)  # the verb's own annotation, kept as text by `from __future__`
    if get_origin(hint) is Sequence:
        return list[_path_of(get_args(hint)[0])]  # type: ignore[misc]
    return _path_of(hint)


def _path_of(hint: Any) -> Any:
    kinds = get_args(hint)
    if Path not in kinds or str not in kinds:
        return hint
    return Path | None if type(None) in kinds else Path


def _python(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _console(stderr: bool) -> Console:
    """A console; files and pipes, which have no width of their own, get a wide one."""
    console = Console(stderr=stderr)
    return console if console.is_terminal else Console(stderr=stderr, width=WIDTH_OF_FILES)


def _run(verb: Callable[..., Any], show: Callable[[Any, Console], None], arguments: dict[str, Any]) -> None:
    debug = "--debug" in sys.argv
    messages = _console(stderr=True)
    show_notices(messages, debug)
    try:
        if "" in sys.argv[1:]:
            raise ConfigError("An argument is empty; perhaps a variable of the shell has no value.")
        with listening(listener_for(messages)):
            result = verb(**arguments)
        show(result, _console(stderr=False))
        if getattr(result, "problems", ()):
            raise typer.Exit(DataError.exit_code)
    except typer.Exit:
        raise
    except HyoidError as error:
        _fail(messages, str(error), error.exit_code, debug)
    except KeyboardInterrupt:
        _fail(messages, f"Stopped.{what_remains(verb.__name__, arguments)}", 130, debug, label="")
    except MemoryError:
        _fail(messages, "The memory of this machine is used up; give a smaller --memory.", 1, debug)
    except OSError as error:
        place = f"{Path(error.filename)}: " if error.filename else ""
        _fail(messages, f"{place}{error.strerror or error}.", 1, debug)
    except Exception as error:
        text = (
            f"{type(error).__name__}: {error}. This should not happen; `hyoid --debug {verb.__name__} ...` shows where."
        )
        _fail(messages, text, 1, debug)


def what_remains(verb: str, arguments: Mapping[str, Any]) -> str:
    """What a verb that was stopped leaves behind, as a sentence after "Stopped."; empty when it leaves nothing."""
    if verb == "predict" and arguments.get("images"):
        return " Answers that were finished are kept; the same command begins anew and makes them again."
    return " The same command goes on where this one was." if verb in RESUMED else ""


def _fail(messages: Console, text: str, code: int, debug: bool, label: str = "error: ") -> None:
    if debug:
        messages.print_exception()
    messages.print(f"[bold red]{label}[/]", end="")
    messages.print(text, markup=False, highlight=False, soft_wrap=True)
    raise typer.Exit(code)
