"""What `import hyoid` gives: the same object at every use, whatever was imported before."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import pytest

import hyoid

SOURCE = Path(hyoid.__file__)
ROOMS = ("losses", "metrics", "nets", "tasks")

TWICE = """
import sys
{before}
import hyoid
assert sorted(set(dir(hyoid))) == sorted(hyoid.__all__), set(dir(hyoid)) ^ set(hyoid.__all__)
names = {order}(hyoid.__all__)
first = {{name: getattr(hyoid, name) for name in names}}
{between}
for name in names:
    assert getattr(hyoid, name) is first[name], name
for name in {rooms}:
    assert first[name] is sys.modules["hyoid." + name], name
"""


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    "order", ["list", *(pytest.param(o, marks=pytest.mark.slow) for o in ("sorted", "reversed_list"))]
)
@pytest.mark.parametrize(
    "before",
    [
        "",
        pytest.param("import hyoid.nets.unet, hyoid.losses.loss", marks=pytest.mark.slow),
        pytest.param("from hyoid import cli, workflow", marks=pytest.mark.slow),
    ],
)
def test_every_name_is_the_same_object_twice_in_any_order_of_imports(before, order):
    between = "import hyoid.metrics.metric, hyoid.tasks.task, hyoid.nets.sheet, hyoid.losses.shelf, hyoid.cli"
    code = TWICE.format(before=before, between=between, order=order, rooms=ROOMS)
    done = python("reversed_list = lambda names: list(names)[::-1]\n" + code)
    assert done.returncode == 0, done.stderr


def test_a_star_import_gives_every_name():
    done = python(
        "from hyoid import *\nimport hyoid\nassert set(hyoid.__all__) <= set(dir())\nassert nets is hyoid.nets"
    )
    assert done.returncode == 0, done.stderr


def test_importing_hyoid_loads_no_heavy_library():
    heavy = {"torch", "numpy", "scipy", "pydantic", "typer", "rich"}
    done = python(f"import sys, hyoid; dir(hyoid); hyoid.__version__; assert not {heavy} & set(sys.modules)")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", [name for name in hyoid.__all__ if name != "__version__"])
def test_a_public_object_says_what_it_is_and_where_it_comes_from(name):
    thing = getattr(hyoid, name)
    assert inspect.getdoc(thing)
    if not isinstance(thing, ModuleType):
        assert thing.__name__ == name and thing.__module__.startswith("hyoid.")


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_keeps_its_shelf_under_its_own_name(room):
    shelf = getattr(getattr(hyoid, room), room)
    assert len(shelf) > 1 and all(name in shelf for name in shelf)


def test_type_checkers_read_the_same_names_from_the_same_places():
    tree = ast.parse(SOURCE.read_text("utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    read = {
        (name.name, f"hyoid.{node.module}" if node.module else "hyoid")
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for name in node.names
    }
    for name, place in read:
        assert getattr(hyoid, name) is getattr(import_module(place), name)
    assert sorted({name for name, _ in read} | {"__version__"}) == sorted(hyoid.__all__)
    assert (SOURCE.parent / "py.typed").is_file()


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="has no attribute 'nett'"):
        hyoid.nett
