"""How work is asked to stop: one object that a signal, a page or a caller may set, from any thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Stop:
    """A wish that work ends early, leaving on disk what it leaves after Ctrl-C; the same call goes on from there.

    Args:
        within: A wider wish that counts here too.

    Example:
        >>> stop = Stop()
        >>> with stopping(stop):  # another thread calls stop.ask()
        ...     hyoid.run("DATA", into="RUN")
    """

    def __init__(self, within: Stop | None = None) -> None:
        self._within = within
        self._asked = False

    def ask(self) -> None:
        """Ask the work to stop; it does so where it next reports progress, training after saving its weights."""
        self._asked = True

    @property
    def asked(self) -> bool:
        """Whether the work should stop."""
        return self._asked or (self._within is not None and self._within.asked)

    def heed(self) -> None:
        """End the work here with KeyboardInterrupt, as Ctrl-C does, if it should stop."""
        if self.asked:
            raise KeyboardInterrupt


_stop: ContextVar[Stop | None] = ContextVar("stop", default=None)


@contextmanager
def stopping(stop: Stop) -> Iterator[None]:
    """Let this object stop everything inside the block, which then raises KeyboardInterrupt."""
    token = _stop.set(stop)
    try:
        yield
    finally:
        _stop.reset(token)


def current_stop() -> Stop:
    """The object that stops the work of this context; a new one, which nobody asks, when none was set."""
    return _stop.get() or Stop()
