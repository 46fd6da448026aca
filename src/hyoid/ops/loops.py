"""Compiling loops: when they are first called, without the interpreter lock, and kept on disk wherever possible."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, update_wrapper
from threading import RLock
from typing import Any

_TURN = RLock()


class Loop:
    """A function that is compiled when it is first called; numba, which takes a while to import, waits until then.

    Args:
        function: What to compile. Other loops that it calls are names of its own module.
        options: Of numba's `njit`.
    """

    def __init__(self, function: Callable[..., Any], options: dict[str, Any]) -> None:
        update_wrapper(self, function)
        self._function, self._options = function, options
        self._compiled: Any = None

    def __call__(self, *arguments: Any) -> Any:
        """What the function gives."""
        return (self._compiled or self.compiled())(*arguments)

    def compiled(self) -> Any:
        """The function as numba has it, and by now also the loops that it calls."""
        with _TURN:
            if self._compiled is None:
                names = self._function.__globals__
                for name in self._function.__code__.co_names:
                    if (
                        isinstance(names.get(name), Loop) and names[name] is not self
                    ):  # numba takes no other objects for functions
                        names[name] = names[name].compiled()
                self._compiled = _compiled(self._function, self._options)
        return self._compiled


def _compiled(function: Callable[..., Any], options: dict[str, Any]) -> Any:
    from numba import njit

    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return njit(nogil=True, **options)(function)


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is first called; later processes load the machine code.

    Arithmetic is done in the order it is written in, so that all machines get the same bits.
    """
    return Loop(function, options)


compiled_fast = partial(compiled, fastmath=True)
"""The same, but arithmetic may be reordered (last digits differ between processors) and takes no notice of NaN."""

inlined = partial(compiled, inline="always")
"""The same, for a function that becomes part of the loops that call it."""
