"""Compiling loops: without the interpreter lock, and kept on disk wherever that is possible."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any], **options: Any) -> Any:
    """Compile a function when it is first called; later processes load the machine code.

    Arithmetic is done in the order it is written in, so that all machines get the same bits.
    """
    try:
        return njit(nogil=True, cache=True, **options)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return njit(nogil=True, **options)(function)


compiled_fast = partial(compiled, fastmath=True)
"""The same, but arithmetic may be reordered (last digits differ between processors) and takes no notice of NaN."""

inlined = partial(compiled, inline="always")
"""The same, for a function that becomes part of the loops that call it."""
