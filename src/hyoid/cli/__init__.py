"""The command line: one command for each verb of `hyoid.workflow`.

- `commands`: makes commands from signatures and docstrings, and turns errors into one sentence
- `screen`: progress bars or lines while a command works
- `shown`: how the result of each verb looks on a terminal
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Annotated

import typer

from .. import __version__, workflow
from .commands import command
from .shown import show

LOOKS = 5
"""How often to look whether another program runs; a short one is gone by then."""

VERBS = (
    workflow.run,
    workflow.inspect,
    workflow.plan,
    workflow.prepare,
    workflow.train,
    workflow.predict,
    workflow.evaluate,
    workflow.compare,
    workflow.report,
    workflow.demo,
    workflow.cite,
    workflow.nets,
)

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
    app.command(verb.__name__)(command(verb, show))


def wait_politely() -> None:
    """Let threads that wait for one another sleep, where other programs use the processor too.

    By default they spin, which is a third faster on an idle machine; but with a second busy program on two cores the
    spinning thread takes the time of the one that it waits for, and a training step takes 27 times as long. Where the
    user has decided, that holds.
    """
    if {"GOMP_SPINCOUNT", "OMP_WAIT_POLICY"}.isdisjoint(os.environ) and others_running():
        os.environ["GOMP_SPINCOUNT"] = "0"


def others_running() -> bool:
    """Whether another program keeps a core busy right now; unknown, so no, where Linux does not tell."""
    for _ in range(LOOKS):
        try:
            running = int(Path("/proc/loadavg").read_text().split()[3].split("/")[0])
        except (OSError, ValueError, IndexError):
            return False
        if running < 2:  # this one itself
            return False
        time.sleep(0.005)
    return True


def main() -> None:
    """Run the command line."""
    wait_politely()
    app()
