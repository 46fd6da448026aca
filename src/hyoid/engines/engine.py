"""Engines: what computes a net for tiles of one shape, other than torch as it is.

An engine is built for a net and an example of its tiles and gives the same finest logits. Its library is an extra and
is imported when it is asked for. What an engine can keep on disk, it builds from there the next time.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor, nn

from ..core.errors import ConfigError
from ..core.extras import install_command
from ..core.registry import Registry


class Engine(Protocol):
    """Computes a net for tiles of the shape it was built for."""

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits (B, K, *S) of tiles (B, C, *S), float32."""


class Builder(Protocol):
    """Makes an engine."""

    def __call__(self, net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Engine:
        """An engine for tiles like the example.

        Args:
            net: In evaluation mode.
            example: Tiles (B, C, *S).
            half: Whether the engine may compute in bfloat16.
            kept: File without suffix to keep the program in, and to take it from when it is there; None keeps nothing.

        Raises:
            ConfigError: When its library is not installed.
        """


engines: Registry[Builder] = Registry("engine")


LIBRARIES = {
    "onnx": ("onnx", ("onnxruntime", "onnxscript")),
    "openvino": ("openvino", ("openvino",)),
    "openvino_int8": ("int8", ("openvino", "nncf")),
}
"""The extra that an engine needs, and what must be importable once it is installed."""


def check_installed(name: str) -> None:
    """Refuse an engine whose libraries are not installed, before anything is read.

    Raises:
        ConfigError: With the command that installs them.
    """
    extra, libraries = LIBRARIES.get(name, ("", ()))
    for library in libraries:
        if find_spec(library) is None:
            raise ConfigError(f"The engine {name} needs {library}; install it with `{install_command(extra)}`.")


def library(name: str, extra: str) -> Any:
    """A library, imported now."""
    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(f"The engine needs {name}; install it with `{install_command(extra)}`.") from None
