"""What the documents say is so: links lead somewhere, code and commands fit the package, pages are current."""

from __future__ import annotations

import ast
import inspect
import re
import shlex
import subprocess
import sys
import xml.etree.ElementTree as Xml
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
import typer.main

import hyoid
from hyoid.cli import app
from hyoid.core.case import Image
from hyoid.core.citations import bibliography
from hyoid.core.grid import Grid
from hyoid.experiment import Experiment
from hyoid.files.formats import read_image, write_image
from hyoid.nets import nets
from hyoid.workflow import VERBS

ROOT = Path(__file__).parents[1]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
WRITTEN = [*PAGES, ROOT / "CITATION.cff", *ROOT.glob("docs/*.py"), *ROOT.glob("examples/*.py")]
HOSTS = ("www.w3.org",)

every_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def blocks(page: Path, language: str) -> list[str]:
    """The code blocks of a page in one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def anchors(page: Path) -> set[str]:
    """What a link to a heading of this page may end in."""
    headings = re.findall(r"^#+ (.+)$", page.read_text("utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@every_page
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        path, _, anchor = target.partition("#")
        found = (page.parent / path).resolve() if path else page
        assert found.exists(), f"{page.name} links to {target}"
        if anchor:
            assert anchor in anchors(found), f"{page.name} links to {target}"


@every_page
def test_python_on_the_page_fits_the_package(page):
    verbs = {f"hyoid.{verb.function.__name__}" for verb in VERBS}
    for block in blocks(page, "python"):
        if page.parent.name == "reference":
            continue
        for node in ast.walk(ast.parse(block)):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("hyoid"):
                module = import_module(node.module)
                assert all(hasattr(module, name.name) for name in node.names), ast.unparse(node)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "hyoid":
                assert node.attr in hyoid.__all__, f"{page.name}: hyoid.{node.attr}"
            if isinstance(node, ast.Call) and ast.unparse(node.func) in verbs:
                verb = getattr(hyoid, node.func.attr)
                inspect.signature(verb).bind(*node.args, **{word.arg: word.value for word in node.keywords})


def commands(page: Path) -> list[list[str]]:
    """The commands in the shell blocks of a page, placeholders and all, without usage lines such as `[--steps N]`.

    Variables of loops are 1.
    """
    lines = re.sub(r"\$\w+", "1", "\n".join(blocks(page, "shell"))).replace("\\\n", " ").splitlines()
    return [shlex.split(line, comments=True) for line in lines if line.strip() and not re.search(r"\[(--|[A-Z])", line)]


@every_page
def test_commands_on_the_page_are_understood(page):
    shell = typer.main.get_command(app)
    for name, *words in commands(page):
        if name == "hyoid" and not {"--help", "--debug"} & set(words):
            verb, *rest = words
            shell.commands[verb].make_context(verb, rest)
        elif name == "make":
            targets = re.findall(r"^(\w+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
            assert set(words) <= set(targets), f"{page.name}: make {words}"


@every_page
def test_settings_on_the_page_exist(page):
    text = page.read_text("utf-8")
    said = re.findall(r"--set (?!KEY=|key=)([\w.]+)=(\[[^\]]*\]|\{[^}]*\}|[^\s`]+)", text)
    experiment = Experiment(data="DATA")
    for key, value in said:
        if key.startswith("plan."):
            assert key.split(".")[1] in Experiment.model_fields["plan"].annotation.__args__[0].model_fields
        else:
            experiment.changed([f"{key}={value}"])


@pytest.mark.parametrize("path", WRITTEN, ids=lambda path: str(path.relative_to(ROOT)))
def test_nothing_written_depends_on_a_machine_or_a_host(path):
    text = path.read_text("utf-8")
    assert not re.search(r"(?<![\w.])/(home|root|tmp|work|mnt|Users|opt|usr)/", text)
    assert all(host in HOSTS for host in re.findall(r"https?://([\w.]+)", text))


def test_every_page_is_reached_from_the_index():
    seen, waiting = set(), [ROOT / "README.md"]
    while waiting:
        page = waiting.pop()
        seen.add(page)
        links = re.findall(r"\]\(([^)\s#]+\.md)", page.read_text("utf-8"))
        waiting += [found for link in links if (found := (page.parent / link).resolve()) not in seen]
    assert set(PAGES) <= seen


def test_the_readme_lists_every_verb_once():
    verbs = (ROOT / "README.md").read_text("utf-8").split("## Verbs")[1].split("\n## ")[0]
    assert sorted(re.findall(r"^\| `(\w+)` \|", verbs, re.MULTILINE)) == sorted(verb.name for verb in VERBS)


def test_the_tree_in_the_readme_is_the_tree_of_the_source():
    [tree] = [block for block in blocks(ROOT / "README.md", "text") if block.startswith("src/hyoid/")]
    told = re.findall(r"(\w+)/ +\d", tree)
    assert sorted(told) == sorted(path.parent.name for path in (ROOT / "src" / "hyoid").glob("*/__init__.py"))


def test_the_banner_is_one_small_picture():
    banner = ROOT / "docs" / "images" / "banner.svg"
    text = banner.read_text("utf-8")
    assert Xml.fromstring(text).tag.endswith("svg")
    assert banner.stat().st_size < 300_000
    assert all(link.startswith("data:image/") for link in re.findall(r'href="([^"]+)"', text))


@pytest.mark.slow
def test_the_reference_is_what_the_source_says():
    made = subprocess.run(
        [sys.executable, ROOT / "docs" / "make_reference.py", "--check"], capture_output=True, text=True, cwd=ROOT
    )
    assert made.returncode == 0, made.stderr


def test_every_paper_that_the_source_names_is_in_the_bibliography():
    named: set[str] = set()
    for path in (ROOT / "src" / "hyoid").rglob("*.py"):
        text = path.read_text("utf-8")
        for given in re.findall(r"papers=(\([^)]*\)|\"[^\"]*\")", text):
            named |= set(re.findall(r"\"(\w+)\"", given))
        for section in re.findall(r"Reference:\n((?:[ ]+\S.*\n)+)", text):
            named |= set(re.findall(r"\b([a-z]+(?:18|19|20)\d\d[a-z0-9]+)\b", section))
    assert named and named <= set(bibliography())


def test_every_trap_is_a_test():
    named = re.findall(r"`([\w/]+\.py)::(\w+)`", (ROOT / "docs/concepts/traps.md").read_text("utf-8"))
    assert len(named) > 25
    for file, name in named:
        assert f"def {name}(" in (ROOT / "tests" / file).read_text("utf-8"), f"{file}::{name}"


USE_OF_PARTS = """
import numpy as np, torch
from hyoid.files.formats import read_image
from hyoid.losses import losses
from hyoid.metrics import metrics
from hyoid.nets import build_spec, variant

assert build_spec("light_unet", 2, 1, 2).build()(torch.zeros(1, 1, 32, 32))[0].shape == (1, 2, 32, 32)
variant("narrow_unet", channels=(8, 16, 32), block={"name": "bottleneck", "squeeze": 2})
assert build_spec("narrow_unet", 3, 1, 2).build()(torch.zeros(1, 1, 8, 8, 8))[0].shape == (1, 2, 8, 8, 8)

logits = torch.zeros(2, 2, 4, 4, requires_grad=True)
classes = torch.randint(0, 2, (2, 4, 4))
assert torch.isclose(losses.build("mean_error")(logits, classes), torch.tensor(0.5))
regions = torch.stack([classes, 1 - classes], 1).float()
assert torch.isclose(losses.build("mean_error")(logits, regions), torch.tensor(0.5))

found, truth = np.array([[True, True, False]]), np.array([[True, False, False]])
assert metrics.build("false_discovery")(found, truth) == 0.5
assert metrics.build("false_discovery")(~found, np.zeros((1, 3), bool)) == 1.0

from hyoid.core.labels import Labels
from hyoid.losses.shelf import build_loss
from hyoid.tasks import task_for

depths, ball = task_for(Labels.of({1: "ball"}), "depth"), torch.zeros(1, 9, 9, dtype=torch.long)
ball[:, 2:7, 2:7] = 1
target = depths.encode(ball)
assert np.array_equal(depths.decode(target[0].numpy()), ball[0].numpy()) and target[0, 0, 4, 4] == 3
assert torch.equal(depths.decode(target[0]), ball[0].to(torch.uint8))
assert build_loss("l1", {}, depths.activate)(target, target) == 0

np.savetxt("numbers.txt", np.arange(6).reshape(2, 3))
image = read_image("numbers.txt")
assert image.array.shape == (1, 2, 3) and not image.grid.calibrated and image.array[0, 1, 2] == 5
"""


def test_classical_methods_work_as_the_page_says(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    truth = np.zeros((8, 20, 30), np.uint8)
    truth[2:6, 5:15, 3:13], truth[2:6, 5:15, 17:27] = 1, 2
    noise = 0.1 * np.random.default_rng(0).standard_normal(truth.shape)
    marks = np.full(truth.shape, 255, np.uint8)
    marks[4, 10, 5:11], marks[4, 10, 19:25], marks[:, 2, :], marks[4, :, 15] = 1, 2, 0, 0
    grid = Grid.plain(truth.shape)
    write_image("image.nii.gz", Image(((truth > 0) + noise)[None].astype(np.float32), grid))
    write_image("marks.nii.gz", Image(marks[None], grid, "labels"))
    for block in blocks(ROOT / "docs/how-to/classical_methods.md", "python"):
        exec(block, {})
    assert (read_image("found.nii.gz", "labels").array[0] == truth).mean() > 0.95


@pytest.mark.slow
def test_parts_added_as_contributing_says_work(tmp_path):
    program = "\n".join([*blocks(ROOT / "CONTRIBUTING.md", "python"), USE_OF_PARTS])
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr


def test_the_table_of_benchmarks_is_that_of_their_results():
    command = [sys.executable, ROOT / "benchmarks" / "summary.py"]
    table = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert table.count("\n") > 15
    assert table in (ROOT / "docs" / "benchmarks" / "index.md").read_text("utf-8")


def test_every_net_has_a_row_with_a_verdict_in_the_page_of_oracles():
    page = (ROOT / "docs/concepts/oracles.md").read_text("utf-8")
    rows = re.findall(
        r"^\| `(\w+)` \| .* \| (equal|equal but|differs|not compared) \| .* \| .* \|$", page, re.MULTILINE
    )
    assert sorted(name for name, _ in rows) == sorted(nets)
    named = re.findall(r"^\| `(\w+)` \| `(\S+)` \| `(\w{7})` \|$", page, re.MULTILINE)
    files = sorted((ROOT / "benchmarks/oracles/repositories").glob("*.py"))
    assert [name for name, _, _ in named] == [file.stem for file in files]
    for (_, repository, commit), file in zip(named, files, strict=True):
        assert f'REPOSITORY = "{repository}"\nCOMMIT = "{commit}"\n' in file.read_text("utf-8")
