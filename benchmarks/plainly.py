"""Runs a benchmark; what is missing is told in a sentence."""

import importlib.util
import sys
from collections.abc import Callable


def need(*names: str) -> None:
    """Look for the libraries that a benchmark compares with before it works for minutes."""
    for name in names:
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run_plainly(main: Callable[[], None]) -> None:
    """Run a script's main; a missing library, file or setting ends it with a sentence and a code that is not 0."""
    try:
        main()
    except ModuleNotFoundError as error:
        sys.exit(
            f"error: {error.name} is not installed; `pip install -r benchmarks/requirements.txt` in an environment of "
            "its own has what benchmarks compare with, as `make bench` does."
        )
    except FileNotFoundError as error:
        sys.exit(f"error: {error.filename}: there is no such file or folder.")
    except KeyboardInterrupt:
        sys.exit(130)
    except Exception as error:
        from hyoid.core.errors import HyoidError

        if not isinstance(error, HyoidError):
            raise
        sys.exit(f"error: {error}")
