"""The verb that says what this machine can do for hyoid, and what is broken."""

from __future__ import annotations

import importlib
import platform
import re
import shutil
import tempfile
import time
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, packages_distributions, requires, version
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

from ..core.errors import HyoidError
from ..core.extras import install_command
from ..core.machine import cores, machine, user_cache
from ..core.progress import stage
from ..core.result import Column, Line, Result, Table
from .signatures import verb

LITTLE_MEMORY, LITTLE_DISK = 2.0, 5.0
"""GB of memory for training, and of disk, below which a line is marked."""

CHANNELS, SIDE = 128, 16
"""Width and voxels along an axis of the convolution whose speed is measured."""

MARKS = {"fine": "✓", "note": "·", "broken": "✗"}
EXTRAS = ("timm", "onnx", "openvino", "int8")


@dataclass(frozen=True)
class Finding:
    """One line: what was looked at, what it is, and whether hyoid can work with it."""

    what: str
    found: str
    verdict: Literal["fine", "note", "broken"] = "fine"


@dataclass(frozen=True)
class Diagnosis(Result):
    """What this machine is and can do."""

    findings: tuple[Finding, ...]

    @property
    def problems(self) -> list[str]:
        """What hyoid needs and is broken."""
        return [f"{one.what}: {one.found}" for one in self.findings if one.verdict == "broken"]

    def shown(self, width: int) -> Iterable[Line | Table]:
        """A table with a verdict for each line, and one for all."""
        columns = (Column(""), Column("what", look="name", long="cut"), Column("found"))
        yield Table(columns, tuple((MARKS[one.verdict], one.what, one.found) for one in self.findings), header=False)
        count = len(self.problems)
        yield Line(f"{count} of these must be mended first." if count else "hyoid can work here.", look="strong")

    def to_json(self) -> Mapping[str, Any]:
        """Whether hyoid can work here, and every line."""
        return {"works": not self.problems, "findings": [asdict(one) for one in self.findings]}


@verb()
def doctor() -> Diagnosis:
    """Say what this machine is and can do: libraries, processor, memory, speed, number formats, GPU, file formats.

    A mark stands before each line: ✓ fine, · works but is not all there could be, ✗ broken.

    Returns:
        The lines; with a broken one the command ends with an error.
    """
    looks = (_libraries, _processor, _room, _speed, _gradients, _gpu, _compiler, _files)
    found = list[Finding]()
    with stage("looking at this machine", len(looks)) as progress:
        for look in looks:
            found += look()
            progress.advance(1)
    return Diagnosis(tuple(found))


def _libraries() -> Iterator[Finding]:
    """What is required, and the optional libraries of each extra."""
    yield Finding("python", f"{platform.python_version()}, hyoid {version('hyoid')}, torch {version('torch')}")
    wrong = [text for name in _required() if (text := _unusable(name))]
    text = "; ".join(wrong) or f"all {len(_required())} that are required"
    yield Finding("libraries", text, "broken" if wrong else "fine")
    for extra in EXTRAS:
        wrong = [text for name in _required(extra) if (text := _unusable(name))]
        text = f"{'; '.join(wrong)} (optional; {install_command(extra)})"
        good = ", ".join(f"{name} {version(name)}" for name in _required(extra) if not wrong)
        yield Finding(f"extra {extra}", good or text, "note" if wrong else "fine")


def _required(extra: str = "") -> list[str]:
    """Names of the packages that hyoid, or an extra of it, requires."""
    lines = [line.partition(";") for line in requires("hyoid") or ()]
    wanted = [one for one, _, mark in lines if (f'extra == "{extra}"' in mark if extra else "extra" not in mark)]
    return [re.split(r"[^\w.-]", one.strip())[0] for one in wanted]


def _unusable(package: str) -> str:
    """Why a package cannot be used; empty when it can."""
    plain = lambda name: re.sub(r"[-_.]+", "_", name).lower()  # noqa: E731
    owners = packages_distributions().items()
    modules = [name for name, owner in owners if plain(package) in map(plain, owner) and not name.startswith("_")]
    try:
        version(package)
        with warnings.catch_warnings(action="ignore"):
            importlib.import_module(min(modules, key=lambda name: (plain(name) != plain(package), name)))
    except PackageNotFoundError:
        return f"{package} is not installed"
    except Exception as error:
        return f"{package} cannot be imported ({str(error).partition(chr(10))[0] or type(error).__name__})"
    return ""


def _processor() -> Iterator[Finding]:
    import torch

    from ..nets.half import MATRIX_UNITS
    from ..planning.budget import precisions

    units = [torch.backends.cpu.get_cpu_capability(), *["bfloat16"] * ("bf16-mixed" in precisions("cpu"))]
    known = machine().get("processor", "not known")
    yield Finding("processor", f"{known}: {', '.join([*units, *['matrix units (AMX)'] * MATRIX_UNITS])}")
    threads = torch.get_num_threads()
    text = f"{cores()}, torch uses {threads} thread{'s' * (threads != 1)}"
    yield Finding("cores", text, "fine" if threads >= cores() else "note")


def _room() -> Iterator[Finding]:
    """Memory, and the disk of the cache."""
    from ..planning.budget import available_gb, total_gb

    mine, folder = available_gb("cpu"), user_cache()
    text = f"{mine:.1f} GB for training, 70 % of what is free, of {total_gb('cpu'):.1f} GB"
    yield Finding("memory", text, "fine" if mine >= LITTLE_MEMORY else "note")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free / 1e9
        yield Finding("cache", f"{folder}, {free:.1f} GB free", "fine" if free >= LITTLE_DISK else "note")
    except OSError as error:
        yield Finding("cache", f"{folder} cannot be written ({error.strerror}); HYOID_CACHE names another", "broken")


def _speed() -> Iterator[Finding]:
    """Billions of operations a second of one convolution, in each number format."""
    import torch

    from ..planning.budget import precisions

    conv, rates = torch.nn.Conv3d(CHANNELS, CHANNELS, 3, padding=1), list[str]()
    maps, operations = torch.randn(1, CHANNELS, *(SIDE,) * 3), 2 * 27 * CHANNELS**2 * SIDE**3
    for name in ("32 bits", "bfloat16")[: len(precisions("cpu"))]:
        times = [time.perf_counter()]
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16, enabled=name == "bfloat16"):
            for _ in range(4):
                conv(maps)
                times.append(time.perf_counter())
        seconds = min(end - begin for begin, end in pairwise(times))
        rates.append(f"{operations / seconds / 1e9:.0f} GFLOP/s in {name}")
    yield Finding("one convolution", ", ".join(rates))


def _gradients() -> Iterator[Finding]:
    """Whether what is learned in bfloat16 is right, over usual convolutions of small maps."""
    from ..nets.family.build import build_spec
    from ..planning.budget import precisions
    from ..planning.gradients import wrong_gradients

    if "bf16-mixed" not in precisions("cpu"):
        yield Finding("gradients", "the processor has no fast bfloat16; nets learn in float32", "note")
        return
    flat, narrow = build_spec("unet", 2, 1, 2), build_spec("unet", 3, 1, 2, channels=(16, 32, 64, 64))
    tried = ((flat, (64, 32)), (narrow, (8, 32, 16)), (build_spec("vnet", 3, 1, 2), (16, 32, 32)))
    count = sum(len(wrong_gradients(spec, patch)) for spec, patch in tried)
    text = f"wrong in bfloat16 for {count} kinds of convolutions; nets with them learn in float32"
    yield Finding("gradients", text if count else "right in bfloat16, beside float32", "note" if count else "fine")


def _gpu() -> Iterator[Finding]:
    import torch

    for number in range(torch.cuda.device_count()):
        memory = torch.cuda.get_device_properties(number).total_memory / 1e9
        yield Finding("GPU", f"{torch.cuda.get_device_name(number)}, {memory:.0f} GB")
    if not torch.cuda.is_available():
        yield Finding("GPU", "none that torch can use; the processor computes", "note")


def _compiler() -> Iterator[Finding]:
    """Whether torch.compile works, which is tried."""
    import torch

    from ..training.compiling import lacking

    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        if not (missing := lacking(device)):
            torch.compile(lambda x: x.sin() + 1)(torch.ones(8, device=device))
        text = f"needs {missing}" if missing else "works"
    except Exception as error:
        text = f"fails: {str(error).strip().partition(chr(10))[0][:100]}"
    yield Finding("torch.compile", text, "fine" if text == "works" else "note")


def _files() -> Iterator[Finding]:
    """Whether each format that keeps numbers gives back what was written; the others are only read."""
    import numpy as np

    from ..core.case import Image
    from ..core.grid import Grid
    from ..files.formats import formats, read_image, write_image

    values, good, wrong = np.arange(48, dtype=np.uint8).reshape(1, 6, 8), list[str](), list[str]()
    for entry in (formats[name].build() for name in formats):
        if entry.write is None or not entry.lossless:
            good.append(f"{entry.name} (read)")
            continue
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / f"image{(entry.written or entry.suffixes)[0]}"
            try:
                write_image(file, Image(values, Grid.plain((6, 8)), "labels"))
                right, why = np.array_equal(read_image(file, "labels").array.squeeze(), values[0]), "other numbers"
            except (HyoidError, OSError, ImportError, ValueError) as error:
                right, why = False, str(error)
        (good if right else wrong).append(entry.name if right else f"{entry.name} ({why})")
    yield Finding("file formats", ", ".join(good))
    if wrong:
        yield Finding("file formats", f"not given back as written: {', '.join(wrong)}", "broken")
