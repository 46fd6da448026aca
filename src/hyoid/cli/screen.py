"""What the command line shows while it works: progress bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, Task, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.text import Text

from ..core.duration import duration
from ..core.progress import Listener, log
from ..core.visible import visible

SECONDS_BETWEEN_LINES = 15.0


class Left(TimeRemainingColumn):
    """Time until the end, as the stage tells it or by its pace."""

    def render(self, task: Task) -> Text:
        told = task.fields["left_seconds"]
        return super().render(task) if told is None else Text(duration(told), style="progress.remaining")


class Bars(Listener):
    """Progress bars of the running stages, one below the other."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            TextColumn("{task.description:<22}"),
            BarColumn(bar_width=28),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("left"),
            Left(),
            TextColumn("{task.fields[note]}", style="cyan"),
            console=console,
            transient=True,
        )
        self._running: list[TaskID] = []

    def start(self, what: str, total: float | None) -> None:
        if not self._running:
            self._progress.start()
        self._running.append(self._progress.add_task(escape(visible(what)), total=total, note="", left_seconds=None))

    def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
        told: dict[str, Any] = {"note": escape(visible(note)), "left_seconds": left_seconds} if note else {}
        self._progress.update(self._running[-1], advance=amount, **told)

    def stop(self) -> None:
        self._progress.remove_task(self._running.pop())
        if not self._running:
            self._progress.stop()


@dataclass
class _Stage:
    what: str
    total: float | None
    done: float = 0.0
    started: float = field(default_factory=time.monotonic)
    told: float = field(default_factory=time.monotonic)


class Lines(Listener):
    """One plain line now and then, for log files and pipes."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._running: list[_Stage] = []

    def start(self, what: str, total: float | None) -> None:
        self._running.append(_Stage(what, total))

    def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
        stage = self._running[-1]
        stage.done += amount
        now = time.monotonic()
        if now - stage.told < SECONDS_BETWEEN_LINES:
            return
        stage.told = now
        parts = [stage.what]
        if stage.total and stage.done > 0:
            at_this_pace = (now - stage.started) * (stage.total - stage.done) / stage.done
            left = at_this_pace if left_seconds is None else left_seconds
            parts += [f"{100 * stage.done / stage.total:.0f} %", f"{duration(left)} left"]
        self._console.print(visible("  ".join([*parts, note])).rstrip(), markup=False, highlight=False)

    def stop(self) -> None:
        self._running.pop()


def listener_for(console: Console) -> Listener:
    """Bars on a terminal, lines elsewhere."""
    return Bars(console) if console.is_terminal else Lines(console)


class Notices(logging.Handler):
    """Writes hyoid's notices and warnings to a console, warnings marked as such."""

    def __init__(self, console: Console) -> None:
        super().__init__()
        self._console = console

    def emit(self, record: logging.LogRecord) -> None:
        if record.levelno >= logging.WARNING:
            self._console.print(f"[yellow]{record.levelname.lower()}:[/] ", end="")
        self._console.print(record.getMessage(), markup=False, highlight=False, soft_wrap=True)


def show_notices(console: Console, debug: bool) -> None:
    """Send hyoid's notices and warnings to this console, and nothing else to anywhere."""
    log.handlers = [Notices(console)]
    log.setLevel(logging.DEBUG if debug else logging.INFO)
    log.propagate = False
