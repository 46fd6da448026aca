"""Writes docs/reference/*.md from signatures, docstrings, settings and shelves.

`python docs/make_reference.py` writes the pages again; with `--check` it writes nothing and fails when one of them
is not what the source says.
"""

from __future__ import annotations

import inspect
import re
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic_core import PydanticUndefined

import hyoid
from hyoid.augmentation.policies import policies
from hyoid.augmentation.transform import Transform, transforms
from hyoid.classical import baselines
from hyoid.core.registry import Registry
from hyoid.core.settings import Settings
from hyoid.evaluation.record import schema as report_schema
from hyoid.experiment import Experiment
from hyoid.files.formats import formats
from hyoid.losses import feature_losses, field_losses, games, image_losses, losses
from hyoid.metrics import SHELVES, Metric
from hyoid.nets import build_spec
from hyoid.nets.blocks.conv import blocks
from hyoid.nets.cost import without_numbers
from hyoid.nets.decoders import decoders
from hyoid.nets.encoders import encoders
from hyoid.nets.heads import heads
from hyoid.nets.layers import acts, norms
from hyoid.nets.published import PublishedCount, count, published
from hyoid.nets.resample import downs, ups
from hyoid.nets.sheet import SHAPES, NetRow, family, giga, megabytes
from hyoid.nets.skips import skips
from hyoid.planning.plan import Plan
from hyoid.preparation.intensity import schemes
from hyoid.tasks import tasks
from hyoid.training.optim import optimisers, schedules
from hyoid.training.regime import regimes
from hyoid.training.regimes import supervised as _supervised  # noqa: F401
from hyoid.workflow import VERBS
from hyoid.workflow.signatures import Argument, Verb

FOLDER = Path(__file__).parent / "reference"
PARTS: dict[str, Registry[Any]] = {
    "encoder": encoders,
    "block": blocks,
    "down": downs,
    "up": ups,
    "skip": skips,
    "decoder": decoders,
    "head": heads,
    "norm": norms,
    "act": acts,
}
NOTE = "<!-- Written by docs/make_reference.py; change the docstrings and settings, not this page. -->"
SECTIONS = ("Args", "Attributes", "Returns", "Raises", "Example", "Reference")


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """A Markdown table."""
    cells = [[cell.replace("|", "\\|").replace("\n", " ") for cell in row] for row in rows]
    return ["", *("| " + " | ".join(row) + " |" for row in [head, ["---"] * len(head), *cells]), ""]


def code(value: object) -> str:
    """A value as people type it into YAML, set as code."""
    if value is None:
        return "`null`"
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple | list):
        return f"`[{', '.join(map(str, value))}]`"
    return f"`{value}`"


def sections(thing: object) -> dict[str, str]:
    """A docstring cut at its headings; the text before them is under ""."""
    parts = re.split(rf"(?m)^({'|'.join(SECTIONS)}):[ ]*\n", (inspect.getdoc(thing) or "") + "\n")
    named = zip(parts[1::2], parts[2::2], strict=True)
    return {"": parts[0].strip(), **{name: inspect.cleandoc(text) for name, text in named}}


def in_words(thing: object) -> Iterator[str]:
    """A docstring as Markdown."""
    for name, text in sections(thing).items():
        if not name:
            yield from ["", text, ""]
        elif name == "Example":
            yield from ["", "```python", text, "```", ""]
        elif name in ("Args", "Attributes", "Raises"):
            entries = re.findall(r"^(\*{0,2}\w+): (.*(?:\n[ ]+.*|\n(?=\n))*)", text, re.MULTILINE)
            items = [f"- `{entry}`: {' '.join(words.split())}" for entry, words in entries]
            yield from ["", f"{name}:", "", *items, ""]
        else:
            yield from ["", f"{name}: {' '.join(text.split())}", ""]


def signature(thing: Callable[..., Any], name: str) -> str:
    """A signature as it is written, types without their modules, on one line when it fits."""
    whole = inspect.signature(thing)
    words = []
    for one in whole.parameters.values():
        if one.kind is one.KEYWORD_ONLY and "*" not in words:
            words.append("*")
        words.append(_argument(one))
    text = f"{name}({', '.join(words)})"
    if len(text) > 100:
        text = f"{name}(\n    " + ",\n    ".join(words) + ",\n)"
    returns = whole.return_annotation
    return text if returns is inspect.Signature.empty or inspect.isclass(thing) else f"{text} -> {returns}"


def _argument(one: inspect.Parameter) -> str:
    kind = re.sub(r"(?:\w+\.)+(?=[A-Z])", "", str(one.annotation))
    if one.default is inspect.Parameter.empty:
        return f"{one.name}: {kind}"
    default = repr(one.default)
    return f"{one.name}: {kind} = {'...' if default.startswith('<') else default}"


def options_of(build: Callable[..., Any]) -> str:
    """The options of a part with their defaults."""
    parameters = inspect.signature(build).parameters.values()
    everywhere = Transform.model_fields if inspect.isclass(build) and issubclass(build, Transform) else {}
    given = [one for one in parameters if one.default is not one.empty and one.name not in everywhere]
    return ", ".join(f"`{one.name}={_written(one.default)}`" for one in given)


def _written(value: object) -> str:
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def shelf(registry: Registry[Any]) -> list[str]:
    """Everything on a shelf."""
    rows = [
        [f"`{name}`", registry[name].summary, options_of(registry[name].build), ", ".join(registry[name].papers)]
        for name in registry
    ]
    return table(["name", "", "options", "papers"], rows)


ABOUT_VERBS = """Each verb is a command `hyoid VERB ...` and a function `hyoid.VERB(...)`; the first is made from the
second. `hyoid VERB --help` says the same as this page. `hyoid nets` is `hyoid.show_nets(...)` in Python."""

ABOUT_JSON = """With `--json` a command prints one JSON document on standard output and nothing else: the fields of
its result, or paths and text under the key that is named below. What is not a number is null. Progress, notices and
errors go to standard error as always. A command that fails also prints `{"error": SENTENCE}` on standard output,
with the usual exit code: 1, 2 for a wrong setting, 3 for wrong data, 130 when stopped. A command line that cannot
be read, such as an unknown option, prints no document (exit code 2)."""


def verbs_page() -> Iterator[str]:
    """The verbs, as commands and as functions."""
    yield "# Verbs"
    yield from ["", ABOUT_VERBS, "", ABOUT_JSON]
    for verb in VERBS:
        yield from ["", f"## {verb.name}", "", verb.summary, "", "```shell", _usage(verb), "```"]
        rows = []
        for one in verb.arguments:
            default = "required" if one.required else "" if one.default in (None, ()) else code(one.default)
            rows.append([f"`{one.flag or one.metavar}`", f"`{one.name}`", one.help, default])
        yield from table(["shell", "Python", "", "default"], rows)
        gives = f"Gives: {verb.returns}" if verb.returns else ""
        yield f"{gives} In JSON: `{verb.gives}`.".strip() if verb.gives else gives


def _usage(verb: Verb) -> str:
    return " ".join(["hyoid", verb.name, *map(_usage_of, verb.arguments)])


def _usage_of(one: Argument) -> str:
    name = one.metavar + "..." * (one.kind == "paths")
    if one.flag:
        name = one.flag if one.kind == "flag" else f"{one.flag} {one.metavar}"
    return name if one.required else f"[{name}]"


def settings_page() -> Iterator[str]:
    """Every setting of an experiment."""
    yield "# Settings"
    yield from ["", "All settings of a run stand in its `experiment.yaml`. On the command line each can be given as"]
    yield "`--set key=value`, such as `--set training.optimiser.name=sgd`; values are read as YAML. `null` leaves"
    yield "a choice open."
    yield from ["", "The keys under `plan` are decided by planning; `--set plan.batch=4` changes the decision itself."]
    yield "`planning` is read by `hyoid plan` only; later edits there are refused. All other settings act. How the plan"
    yield "came about and what is expected of it are no settings; they stand in `plan_facts.yaml`, beside it."
    yield from _settings_tables(Experiment, "")


def _settings_tables(model: type[Settings], prefix: str) -> Iterator[str]:
    rows, below = [], []
    for name, field in model.model_fields.items():
        if model is Plan and name in Plan.FACTS:
            continue
        inner = _settings_in(field.annotation)
        if inner is not None:
            below.append((f"{prefix}{name}" + ("[]" if get_origin(field.annotation) is tuple else ""), inner))
        default: Any = field.get_default(call_default_factory=True)
        if default is PydanticUndefined:
            default = "decided" if prefix.startswith("plan.") else "required"
        elif isinstance(default, Settings) or (inner is not None and default is None):
            default = ""
        else:
            default = code(default)
        rows.append([f"`{prefix}{name}`", _type(field.annotation), default, field.description or ""])
    title = prefix.rstrip(".") or "experiment"
    yield from ["", f"## {title}", "", (inspect.getdoc(model) or "").split("\n")[0]]
    yield from table(["key", "value", "default", ""], rows)
    for name, inner in below:
        yield from _settings_tables(inner, f"{name}.")


def _settings_in(annotation: Any) -> type[Settings] | None:
    """The group of settings an annotation holds, if any."""
    if inspect.isclass(annotation) and issubclass(annotation, Settings):
        return annotation
    return next((found for one in get_args(annotation) if (found := _settings_in(one))), None)


def _type(annotation: Any) -> str:
    origin, inside = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(inside[0])
    if origin is Literal:
        return " or ".join(code(one) for one in inside)
    if origin in (Union, types.UnionType):
        words = [word for one in inside for word in _type(one).split(" or ")]
        return " or ".join(dict.fromkeys(words))
    if origin in (tuple, list):
        return f"list of {_type(inside[0])}"
    if origin is dict:
        return "keys and values"
    if annotation is type(None):
        return "`null`"
    names = {bool: "yes or no", int: "whole number", float: "number", str: "text"}
    return names.get(annotation, "a group of settings" if inspect.isclass(annotation) else str(annotation))


def nets_page() -> Iterator[str]:
    """The nets, with their sizes, and the parts they are made of."""
    yield "# Nets"
    yield from ["", "A net is a row: the fields of `UNetSpec` that differ from its defaults. Choose one by"]
    yield "`--set planning.net=NAME`, or build it with `hyoid.nets.build_spec`. Costs are those of one 2D image of"
    yield "256x256, from one channel to two, in the widths of the row: operations of the forward pass, activations kept"
    yield "for the gradient in 32 bits, and how many voxels along an axis reach a logit. `hyoid nets` tells them for"
    yield "any input, `hyoid nets NAME` draws a net."
    found = family(SHAPES[2]).rows
    for group in dict.fromkeys(row.family for row in found):
        rows = [
            [f"`{row.name}`", row.about, f"{row.cost.parameters:,}", _parameters_3d(row), *_costs(row)]
            for row in found
            if row.family == group
        ]
        yield from ["", f"### {group.capitalize()}"]
        head = ["name", "", "parameters in 2D", "in 3D", "GFLOP", "MB", "sees", "papers"]
        yield from table(head, rows)
    yield "## Parts"
    yield from ["", "A part is a name, or a mapping of `name` and options, such as `{name: group, groups: 4}`."]
    for field, registry in PARTS.items():
        yield from ["", f"### `{field}`", *shelf(registry)]


def _parameters_3d(row: NetRow) -> str:
    if 3 not in row.dims:
        return "2D only"
    return f"{sum(one.numel() for one in without_numbers(build_spec(row.name, 3, 1, 2)).parameters()):,}"


def _costs(row: NetRow) -> list[str]:
    return [giga(row.cost.flops), megabytes(row.cost), row.sees, ", ".join(row.papers)]


def counts_page() -> Iterator[str]:
    """Parameters of each net beside the published figures."""
    found = published()
    figures = [(name, one) for name, some in found.items() if not isinstance(some, str) for one in some]
    equal = len({name for name, one in figures if one.differs is None})
    yield "# Counts of parameters"
    yield from [
        "",
        f"{len(found)} nets; {equal} of them have a published count exactly, to the digits that were printed.",
    ]
    yield "What is not equal has its reason here. `tests/nets/test_published_counts.py` checks every line; the figures"
    yield "stand in `nets/family/published.yaml`. Counts of other packages were read from their nets, not from papers."
    yield "Equal here means the number alone; whether a net also gives the answers of its authors' code is in"
    yield "[oracles](../concepts/oracles.md)."
    rows = []
    for name, some in found.items():
        if isinstance(some, str):
            rows.append([f"`{name}`", "2D, 1 to 2", f"{count(name, 2, (1, 2)):,}", "", "", some])
        else:
            rows += [_counted(name, one) for one in some]
    yield from table(["net", "for channels", "here", "published", "by", "count equal, or why not"], rows)


def _counted(name: str, one: PublishedCount) -> list[str]:
    changed = f", {', '.join(one.changes)} changed" if one.changes else ""
    given = f"{one.dims}D, {one.ends[0]} to {one.ends[1]}{changed}"
    figure = f"{one.figure:,}" if isinstance(one.figure, int) else one.figure
    return [f"`{name}`", given, f"{one.ours(name):,}", figure, one.source, one.differs or "count equal"]


def losses_page() -> Iterator[str]:
    """The losses."""
    yield "# Losses"
    yield from [
        "",
        "Choose one by `--set training.loss=NAME`, its options by `--set training.loss_options={smooth: 1}`.",
    ]
    yield "Every loss takes class indices and region masks; voxels marked -1 do not count."
    yield "Which to choose when: [losses](../concepts/losses.md)."
    yield ""
    yield "In the equations p is the probability and t the target (0 or 1) of a structure, p_t the probability of"
    yield "a voxel's target, D the Dice of a structure as in `dice`, w_ the weights among the options. Sums run over"
    yield "annotated voxels, means over voxels, structures and samples."
    yield from with_equations(losses)
    for title, text, registry in OTHER_LOSSES:
        yield from ["", f"## {title}", "", text, *with_equations(registry)]


def with_equations(registry: Registry[Any]) -> list[str]:
    """Everything on a shelf, with the equation that follows the summary."""
    rows = []
    for name in registry:
        build, papers = registry[name].build, ", ".join(registry[name].papers)
        _, _, equation = sections(build)[""].partition("\n\n")
        rows.append([f"`{name}`", registry[name].summary, equation, options_of(build), papers])
    return table(["name", "", "equation", "options", "papers"], rows)


OTHER_LOSSES: tuple[tuple[str, str, Registry[Any]], ...] = (
    ("Of images", "A prediction beside a reference, both (B, C, *S); `hyoid.losses.image_losses`.", image_losses),
    ("Of displacement fields", "How smooth a field (B, d, *S) is; `hyoid.losses.field_losses`.", field_losses),
    ("Of net and critic", "What each of two players wants of scores; `hyoid.losses.games`.", games),
    ("Of features", "Two lists of features, of each scale; `hyoid.losses.feature_losses`.", feature_losses),
)


METRICS_OF = {
    "masks": "A structure in two masks; usable as `evaluation.metrics`.",
    "objects": "Numbered objects, or the connected pieces of masks; usable as `evaluation.metrics`.",
    "probabilities": "Probabilities (*S) beside a mask, or (C, *S) beside class indices.",
    "images": "A restored image beside the true one.",
    "registration": "Landmarks in mm, or a displacement field (dims, *S) in mm.",
}


def metrics_page() -> Iterator[str]:
    """The metrics."""
    yield "# Metrics"
    yield from ["", "Choose by `--set evaluation.metrics=[dice, hd95]`. What happens when a mask is empty is told in"]
    yield "[metrics](../concepts/metrics.md)."
    for kind, about in METRICS_OF.items():
        yield from ["", f"## Of {kind}", "", about]
        yield from _metrics_of(SHELVES[kind])


def _metrics_of(metrics: Registry[Metric]) -> list[str]:
    rows = []
    for name in metrics:
        one = metrics.build(name)
        ends = f"{one.best:g} / {one.worst:g}".replace("inf", "∞")
        sizes = " and ".join(f"{dims}D" for dims in one.dims)
        papers, options = ", ".join(metrics[name].papers), options_of(metrics[name].build)
        rows.append([f"`{name}`", one.meaning, one.convention, one.unit, ends, one.on_empty, sizes, options, papers])
    head = ["name", "", "convention", "unit", "best / worst", "both empty; one empty", "for", "options", "papers"]
    return table(head, rows)


def formats_page() -> Iterator[str]:
    """The file formats."""
    yield "# File formats"
    yield from ["", "The suffix decides. Labels are written only where they stay exact."]
    rows = []
    for name in formats:
        one = formats.build(name)
        written = "no" if one.write is None else "yes" if one.lossless else "images only"
        rows.append([f"`{name}`", one.name, " ".join(f"`{suffix}`" for suffix in one.suffixes), written])
    yield from table(["name", "", "suffixes", "written"], rows)


def shelves_page() -> Iterator[str]:
    """The other shelves: tasks, intensity schemes, augmentation, training, baselines."""
    yield "# Other shelves"
    for title, registry in {
        "Tasks": tasks,
        "Intensity schemes": schemes,
        "Regimes": regimes,
        "Optimisers": optimisers,
        "Schedules": schedules,
        "Transforms": transforms,
        "Classical baselines": baselines,
    }.items():
        yield from ["", f"## {title}", *shelf(registry)]
    yield from ["", "## Augmentation policies", ""]
    yield "A policy is a row of transforms; `--set planning.policy=NAME` chooses one."
    rows = []
    for name in policies:
        row = ", ".join(map(_transform, policies.build(name))) or "nothing"
        rows.append([f"`{name}`", policies[name].summary, row, ", ".join(policies[name].papers)])
    yield from table(["name", "", "transforms", "papers"], rows)


def _transform(one: Any) -> str:
    """A transform and what was chosen for it."""
    fields = {name: getattr(one, name) for name in type(one).model_fields if name in one.model_fields_set}
    return f"{type(one).__name__}({', '.join(f'{name} {_written(value)}' for name, value in fields.items())})"


def report_page() -> Iterator[str]:
    """What report.json holds."""
    whole = report_schema()
    yield "# report.json"
    yield from ["", f"{whole['description']} The schema lies in the package as `hyoid/evaluation/report.schema.json`;"]
    yield "`hyoid.evaluation.record.schema()` gives it. `[]` stands for every entry of a list, `*` for every key."
    yield from _schema_tables("", whole, whole["$defs"])


def _schema_tables(title: str, thing: dict[str, Any], definitions: dict[str, Any]) -> Iterator[str]:
    """A table of the keys of an object, then one for each named object that it holds."""
    rows, named = [], {}
    for path, one in _entries("", thing):
        name = one.get("$ref", "").removeprefix("#/$defs/")
        found = definitions[name] if name else one
        if found.get("properties") and name:
            named[name] = found
        kind = f"[{name}](#{name})" if name in named else _json_type(found)
        rows.append([f"`{path}`", kind, found.get("description", "")])
    if title:
        yield from ["", f"## {title}", "", thing.get("description", "")]
    yield from table(["key", "holds", ""], rows)
    for name, one in named.items():
        yield from _schema_tables(name, one, definitions)


def _entries(prefix: str, thing: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Paths of the values below an object, and what the schema says of them."""
    for name, one in thing.get("properties", {}).items():
        path = f"{prefix}{name}"
        inner = one
        while isinstance(inner.get("items", inner.get("additionalProperties")), dict):
            path += "[]" if "items" in inner else ".*"
            inner = inner.get("items", inner.get("additionalProperties"))
        shown = inner if "$ref" in inner else one
        yield path, shown
        if inner.get("properties"):
            yield from _entries(f"{path}.", inner)


def _json_type(one: dict[str, Any]) -> str:
    if "const" in one:
        return f"`{one['const']}`"
    if "enum" in one:
        return " or ".join(f"`{value}`" for value in one["enum"])
    kinds = one["type"] if isinstance(one["type"], list) else [one["type"]]
    names = {"array": "list", "integer": "whole number", "string": "text", "boolean": "yes or no", "object": "group"}
    return " or ".join(names.get(kind, kind) for kind in kinds)


def python_page() -> Iterator[str]:
    """What `import hyoid` gives beside the verbs."""
    yield "# Python"
    yield from [
        "",
        "Everything here is imported from `hyoid` when it is first used. The [verbs](verbs.md) are there too,",
    ]
    yield "and so are the rooms `nets`, `losses`, `metrics` and `tasks`; each keeps its shelf, which builds a part"
    yield 'by its name, under its own name: `hyoid.losses.losses.build("dice")`.'
    verbs = {verb.function.__name__ for verb in VERBS}
    for name in hyoid.__all__:
        thing = getattr(hyoid, name)
        if name in verbs or not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue
        yield from ["", f"## {name}", ""]
        if not (inspect.isclass(thing) and issubclass(thing, Settings | Exception)):
            yield from ["```python", signature(thing, name), "```"]
        yield from in_words(thing)
        if inspect.isclass(thing):
            yield from _fields(thing)
            yield from _methods(thing)


def _fields(owner: type) -> Iterator[str]:
    if owner in (Experiment, Plan):
        yield f"Its fields stand in [settings](settings.md#{owner.__name__.lower()})."
    elif issubclass(owner, Settings):
        rows = [[f"`{name}`", field.description or ""] for name, field in owner.model_fields.items()]
        yield from table(["field", ""], rows)


def _methods(owner: type) -> Iterator[str]:
    rows = []
    for name, member in vars(owner).items():
        if name.startswith("_") or name in ("model_config", "model_post_init"):
            continue
        function = getattr(member, "__func__", getattr(member, "fget", getattr(member, "func", member)))
        if not inspect.isfunction(function) or not inspect.getdoc(function):
            continue
        callable_here = inspect.isfunction(getattr(member, "__func__", member))
        given = [one.name for one in inspect.signature(function).parameters.values() if one.name not in ("self", "cls")]
        shown = f"`.{name}({', '.join(given)})`" if callable_here else f"`.{name}`"
        rows.append([shown, " ".join(sections(function)[""].split("\n\n")[0].split())])
    if rows:
        yield from table(["member", ""], rows)


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "verbs": verbs_page,
    "settings": settings_page,
    "nets": nets_page,
    "counts": counts_page,
    "losses": losses_page,
    "metrics": metrics_page,
    "formats": formats_page,
    "shelves": shelves_page,
    "report": report_page,
    "python": python_page,
}


def page(make: Callable[[], Iterator[str]]) -> str:
    """The text of a page, with single empty lines."""
    title, *rest = make()
    text = "\n".join([title, "", NOTE, *rest]) + "\n"
    return re.sub(r"\n{3,}", "\n\n", text).rstrip() + "\n"


def index_page() -> Iterator[str]:
    """What the pages are."""
    yield "# Reference"
    yield from ["", "Made from the source by `python docs/make_reference.py`.", ""]
    for name, make in PAGES.items():
        yield f"- [{name}]({name}.md): {(inspect.getdoc(make) or '').rstrip('.').lower()}"


README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- nets: written by docs/make_reference.py -->", "<!-- /nets -->"


def readme() -> str:
    """The README with the family of nets as `hyoid nets` knows it."""
    rows = family(SHAPES[2]).rows
    deep = {row.name for row in rows if 3 in row.dims}
    groups = {
        group: ", ".join(f"`{row.name}`" + ("" if row.name in deep else " (2D)") for row in rows if row.family == group)
        for group in dict.fromkeys(row.family for row in rows)
    }
    lines = table(["family", f"{len(rows)} nets, in 2D and 3D"], [[group, names] for group, names in groups.items()])
    before, _, rest = README.read_text("utf-8").partition(BEGIN)
    return f"{before}{BEGIN}\n" + "\n".join(lines) + f"\n\n{END}{rest.partition(END)[2]}"


def main() -> None:
    """Write the pages and the table of the README, or say which of them are old."""
    texts = {name: page(make) for name, make in {**PAGES, "index": index_page}.items()}
    files = {FOLDER / f"{name}.md": text for name, text in texts.items()} | {README: readme()}
    if "--check" in sys.argv:
        old = [path.name for path, text in files.items() if not path.is_file() or path.read_text("utf-8") != text]
        sys.exit(f"Old: {', '.join(old)}. Run `python docs/make_reference.py`." if old else 0)
    FOLDER.mkdir(exist_ok=True)
    for path, text in files.items():
        path.write_text(text, encoding="utf-8")
        print(path.name)


if __name__ == "__main__":
    main()
