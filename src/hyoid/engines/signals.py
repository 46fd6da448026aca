"""The stack on which a thread handles signals, kept while a library sets up.

OpenVINO gives the thread that compiles a model a stack of its own for signals, and takes back the one before when the
model goes. Two models that go in the order in which they came leave a stack that is no longer there, and the next
Ctrl-C ends the program with a fault.
"""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager


class _Stack(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextmanager
def signal_stack_kept() -> Iterator[None]:
    """After the block this thread handles signals on the stack it did before; does nothing outside Linux."""
    if sys.platform != "linux":
        yield
        return
    change = ctypes.CDLL(None).sigaltstack
    before = _Stack()
    change(None, ctypes.byref(before))
    try:
        yield
    finally:
        change(ctypes.byref(before), None)
