"""Parts from somebody's own repository: Python files that register nets, losses, metrics and the like."""

from __future__ import annotations

import importlib.util
import sys
from hashlib import sha1
from pathlib import Path

from .errors import ConfigError

PREFIX = "hyoid_extension_"


def loaded_extensions() -> tuple[str, ...]:
    """The files that were run so far, for another process to run them too."""
    return tuple(str(module.__file__) for name, module in sys.modules.items() if name.startswith(PREFIX))


def load_extensions(paths: tuple[str, ...] | list[str]) -> None:
    """Run each of these Python files once, so that what they register can be named in settings."""
    for text in paths:
        path = Path(text).expanduser().resolve()
        name = f"{PREFIX}{path.stem}_{sha1(str(path).encode()).hexdigest()[:8]}"
        if name in sys.modules:
            continue
        spec = importlib.util.spec_from_file_location(name, path)
        if not path.is_file() or spec is None or spec.loader is None:
            raise ConfigError(
                f"extensions: {text} is not a Python file; give the path of a .py file that registers parts."
            )
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            del sys.modules[name]
            raise ConfigError(f"extensions: {text} could not be loaded: {type(error).__name__}: {error}") from error
