"""How long work tells what it is doing, without knowing who listens; there it also ends when it is asked to stop."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Sized
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import TypeVar

from .stopping import Stop, current_stop
from .visible import visible

Item = TypeVar("Item")


def _made_visible(record: logging.LogRecord) -> bool:
    record.msg, record.args = visible(record.getMessage()), ()
    return True


log = logging.getLogger("hyoid")
"""Notices (info) and warnings for the user; the command line shows them, a notebook may too."""
log.addFilter(_made_visible)


class Listener:
    """Somebody who may show progress, such as the command line's bar; this one shows nothing."""

    def start(self, what: str, total: float | None) -> None:
        """A stage begins; `total` is in the units of `advance`, None when unknown."""

    def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
        """Some of the stage is done.

        Args:
            amount: How much.
            note: A short text such as the current loss.
            left_seconds: Time until the end, where the stage knows better than by its pace so far.
        """

    def stop(self) -> None:
        """The stage is over."""


@dataclass(frozen=True)
class _Heeding(Listener):
    """Passes progress on, then ends the work that should stop."""

    listener: Listener
    wish: Stop

    def advance(self, amount: float, note: str = "", left_seconds: float | None = None) -> None:
        self.listener.advance(amount, note, left_seconds)
        self.wish.heed()


_listener: ContextVar[Listener] = ContextVar("listener", default=Listener())  # noqa: B039


@contextmanager
def listening(listener: Listener) -> Iterator[None]:
    """Send the progress of everything inside the block to this listener."""
    token = _listener.set(listener)
    try:
        yield
    finally:
        _listener.reset(token)


@contextmanager
def stage(what: str, total: float | None = None) -> Iterator[Listener]:
    """One stage of work; call `.advance(amount, note)` on what this gives.

    Raises:
        KeyboardInterrupt: At the beginning and at each `advance`, when the work of this context should stop.
    """
    wish = current_stop()
    wish.heed()
    listener = _listener.get()
    listener.start(what, total)
    try:
        yield _Heeding(listener, wish)
    finally:
        listener.stop()


def track(items: Iterable[Item], what: str, total: float | None = None) -> Iterator[Item]:
    """The items, one by one, while a listener shows how many are done; a generator is closed when work stops early."""
    if total is None and isinstance(items, Sized):
        total = len(items)
    try:
        with stage(what, total) as listener:
            for item in items:
                yield item
                listener.advance(1)
    finally:
        if isinstance(items, Generator):
            items.close()
