"""The command line: one command for each verb of `hyoid.workflow`.

- `commands`: makes commands from the records of the verbs, and turns errors into one sentence
- `screen`: progress bars or lines while a command works
- `shown`: how lines and tables of a result look on a terminal
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
from io import TextIOWrapper
from typing import Annotated

import typer

from .. import __version__
from ..workflow import VERBS
from .commands import add_command

SPINS = "1000"
"""Rounds of waiting before a thread sleeps; see docs/decisions/waiting.md."""

YOUNG = 50_000
"""Objects that are made before Python looks for cycles among them; of itself it looks after 700, which takes a fifth of
the time of importing torch and finds next to nothing."""

app = typer.Typer(
    name="hyoid",
    help="From a folder of annotated medical images to a trained, measured and deployable U-Net.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"hyoid {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show where an error happened, and more notices.")] = False,
) -> None:
    """Options before the verb."""


for verb in VERBS:
    add_command(app, verb)


def wait_politely() -> None:
    """Let threads that wait for one another spin for a moment only, then sleep; where the user has decided, that holds.

    By default they spin for long, and beside another busy program a thread then takes the time of the one it waits for.
    """
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}.isdisjoint(os.environ):
        os.environ["GOMP_SPINCOUNT"] = SPINS


def collect_seldom() -> None:
    """Look for garbage less often, and not at all on the way out, when the system takes everything back."""
    gc.set_threshold(YOUNG, *gc.get_threshold()[1:])
    atexit.register(gc.freeze)


def main() -> None:
    """Run the command line."""
    collect_seldom()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # file names may hold bytes that no text has
            stream.reconfigure(errors="backslashreplace")
    # What clusters and services send before they kill stops a command as Ctrl-C does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    wait_politely()
    app()
