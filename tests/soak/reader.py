"""A process that reads what it is given and says what came of it; it may die, which is what it is for.

Each line on standard input is `[task, path]`; each line on the pipe named by the first argument is an answer.
"""

import contextlib
import hashlib
import json
import os
import re
import resource
import sys
import traceback
import warnings
from pathlib import Path

import numpy as np

from hyoid.core.errors import HyoidError
from hyoid.datasets.dataset import open_dataset
from hyoid.datasets.inspect import inspect_path
from hyoid.experiment import Experiment
from hyoid.files.formats import open_image, read_header, read_image

MOST_BYTES = 1 << 32
"""Address space beyond that of the libraries; what wants more finds no memory, as on a small machine."""


def _digest(array: np.ndarray) -> str:
    return f"{array.shape} {array.dtype} {hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]}"


def _image(path: Path) -> list[str]:
    """What a file holds, read whole and in boxes, or as far as it is willing."""
    header = read_header(path)
    found = [_digest(read_image(path).array), *header.notes]
    boxes = open_image(path)
    if boxes is not None:
        boxes[tuple(slice(0, n) for n in boxes.shape)]
    return found


def _labels(path: Path) -> list[str]:
    return [_digest(read_image(path, "labels").array)]


def _inspect(path: Path) -> list[str]:
    found = inspect_path(path)
    list(found.shown(80))
    return [*found.problems, *found.warnings, *found.notes]


def _dataset(path: Path) -> list[str]:
    return [case.id for case in open_dataset(path).cases]


def _experiment(path: Path) -> list[str]:
    return [Experiment.read(path).to_yaml()]


TASKS = {"image": _image, "labels": _labels, "inspect": _inspect, "dataset": _dataset, "experiment": _experiment}


def _status(name: str) -> int:
    """A number of this process in kilobytes, such as its peak of memory."""
    found = re.search(rf"^{name}:\s+(\d+)", Path("/proc/self/status").read_text(), re.MULTILINE)
    return int(found[1]) if found else 0


def _forget_peak() -> None:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")


def _attempt(task: str, path: str) -> dict[str, object]:
    _forget_peak()
    before = _status("VmRSS")
    try:
        outcome, words = "read", TASKS[task](Path(path))
    except HyoidError as error:
        outcome, words = "refused", [str(error)]
    except BaseException as error:
        frame = traceback.extract_tb(error.__traceback__)[-1]
        outcome, words = "raw", [f"{type(error).__name__}: {error} ({frame.filename}:{frame.lineno})"]
    return {"outcome": outcome, "words": words, "megabytes": (_status("VmHWM") - before) >> 10}


def main() -> None:
    """Answer until there is nothing more to read."""
    warnings.simplefilter("ignore")
    most = (_status("VmSize") << 10) + MOST_BYTES
    resource.setrlimit(resource.RLIMIT_AS, (most, most))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with os.fdopen(int(sys.argv[1]), "w") as answers:
        print("ready", file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(_attempt(*json.loads(line))), file=answers, flush=True)


main()
