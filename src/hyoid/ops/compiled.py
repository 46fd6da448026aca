"""Compiling loops: without the interpreter lock, and kept on disk wherever that is possible."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function when it is first called; later processes load the machine code.

    Arithmetic may be reordered (results differ in the last digits between processors) and takes no notice of NaN.
    """
    try:
        return njit(nogil=True, fastmath=True, cache=True)(function)
    except RuntimeError:  # neither the package's folder nor the user's cache folder can be written
        return njit(nogil=True, fastmath=True)(function)
