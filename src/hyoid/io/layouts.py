"""Finding cases: which image files belong together, and which annotation belongs to them, in any usual layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..core.errors import DataError
from ..core.labels import Labels
from . import tables
from .formats import is_image, stem_of

IMAGE_FOLDERS = ("images", "imagestr", "image", "imgs", "img", "inputs", "scans")
LABEL_FOLDERS = (
    "labels", "labelstr", "label", "masks", "mask", "annotations", "annotation", "segmentations",
    "segmentation", "segs", "seg", "ground_truth", "groundtruth", "gt", "targets",
)  # fmt: skip
_ROLE = re.compile(r"[-_ .](labels?|masks?|seg|segmentation|annotations?|gt|ground_?truth|manual)$", re.IGNORECASE)
_CHANNEL = re.compile(r"^(.+)_(\d{4})$")


@dataclass(frozen=True)
class Entry:
    """Where one case lies on disk.

    Attributes:
        id: Unique name within its data set.
        images: One file (or DICOM folder) for each channel, or one with all channels.
        label: The annotation, several files when each holds one object, or None.
        facts: What the tables say of this case.
    """

    id: str
    images: tuple[Path, ...]
    label: Path | tuple[Path, ...] | None = None
    facts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a layout gave: entries, what was declared of labels and channels, and remarks."""

    layout: str
    entries: list[Entry]
    labels: Labels | None = None
    channel_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    without_label: tuple[str, ...] = ()


def find(path: Path) -> Found:
    """The cases below a path.

    Raises:
        DataError: When no layout fits, naming what was looked for; or an annotation has no image.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if path.is_file():
        if path.suffix.lower() in (".csv", ".tsv", ".yaml", ".yml"):
            return _manifest(path)
        if path.name.lower().endswith("dataset.json"):
            return _from_json(path)
        return _one_pair(path)
    found = _here(path)
    if found is None:
        below = [(d, _here(d)) for d in sorted(path.iterdir()) if d.is_dir() and not d.name.startswith(".")]
        fitting = [(folder, one) for folder, one in below if one is not None]
        if len(fitting) > 1:
            names = ", ".join(folder.name for folder, _ in fitting)
            raise DataError(f"{path}: several data sets lie below ({names}); name one of them.")
        if not fitting:
            raise DataError(f"{path}: no annotated images found. {_expected(path)}")
        folder, found = fitting[0]
        found = replace(found, layout=f"{folder.name}/{found.layout}")
    return found


def images_of(folder: Path) -> list[Path]:
    """The images directly in a folder, DICOM series folders included, in name order."""
    return [item for item in sorted(folder.iterdir()) if not item.name.startswith((".", "_")) and is_image(item)]


def group_channels(files: Iterable[Path], bases: Callable[[str, set[str]], bool]) -> dict[str, tuple[Path, ...]]:
    """Files by case id; `case_0000`, `case_0001` become one case where `bases(base, endings)` agrees."""
    by_stem: dict[str, Path] = {}
    for file in files:
        stem = stem_of(file)
        if stem in by_stem:
            raise DataError(f"{file}: two images have the name {stem!r} ({by_stem[stem].name}); keep one.")
        by_stem[stem] = file
    endings: dict[str, set[str]] = {}
    for stem in by_stem:
        if match := _CHANNEL.match(stem):
            endings.setdefault(match[1], set()).add(match[2])
    channels: dict[str, tuple[Path, ...]] = {}
    for stem, file in by_stem.items():
        match = _CHANNEL.match(stem)
        if match and bases(match[1], endings[match[1]]):
            channels[match[1]] = (*channels.get(match[1], ()), file)
        else:
            channels[stem] = (file,)
    return channels


def _here(folder: Path) -> Found | None:
    if (folder / "dataset.json").is_file():
        return _from_json(folder / "dataset.json")
    for name in ("manifest.csv", "manifest.yaml", "manifest.yml", "dataset.csv", "dataset.yaml", "cases.csv"):
        path = folder / name
        if path.is_file() and _is_manifest(path):
            return _manifest(path)
    return _pair_of_folders(folder) or _folder_per_case(folder) or _one_folder(folder)


def _subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    below = {d.name.lower(): d for d in folder.iterdir() if d.is_dir()}
    return next((below[name] for name in names if name in below), None)


def _pair_of_folders(folder: Path) -> Found | None:
    images, labels = _subfolder(folder, IMAGE_FOLDERS), _subfolder(folder, LABEL_FOLDERS)
    if images is None or labels is None:
        return None
    marks: dict[str, Path | tuple[Path, ...]] = {}
    for item in sorted(labels.iterdir()):
        if item.is_dir() and (objects := images_of(item)):
            marks[item.name] = tuple(objects)
        elif item.is_file() and is_image(item):
            marks[stem_of(item)] = item
    files = images_of(images)
    if not files:
        raise DataError(f"{images}: expected images; the folder holds none.")
    if not marks:
        raise DataError(f"{labels}: expected annotations with the names of the images; the folder holds none.")
    stems = {stem_of(f) for f in files}
    marks = _renamed(marks, stems | {m[1] for s in stems if (m := _CHANNEL.match(s))})
    cases = group_channels(files, lambda base, _: base in marks and base not in stems)
    lost = sorted(set(marks) - set(cases))
    if lost:
        raise DataError(
            f"{labels}: {len(lost)} labels have no image of the same name in {images.name}/: {_some(lost)}."
            " Add the images or remove the labels."
        )
    entries = [Entry(case, files, marks.get(case)) for case, files in cases.items()]
    return _with_tables(folder, f"{images.name}/ and {labels.name}/", entries)


def _renamed(marks: dict[str, Any], stems: set[str]) -> dict[str, Any]:
    """Annotations by the name of their image, when they carry an ending such as `_mask`."""
    return {m if m in stems or (s := _ROLE.sub("", m)) not in stems or s in marks else s: p for m, p in marks.items()}


def _folder_per_case(folder: Path) -> Found | None:
    """CASE/images/x.png with CASE/masks/*.png, one file for each object."""
    entries = []
    for case in sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith(".")):
        images, labels = _subfolder(case, IMAGE_FOLDERS), _subfolder(case, LABEL_FOLDERS)
        if images is None or labels is None or len(files := images_of(images)) != 1:
            return None
        objects = images_of(labels)
        if len(objects) == 1 and stem_of(objects[0]) == stem_of(files[0]) and not entries:
            return None  # an ordinary data set of one case, one level down
        entries.append(Entry(case.name, tuple(files), tuple(objects) if objects else None))
    if not entries:
        return None
    return _with_tables(folder, "a folder for each case with images/ and masks/", entries)


def _one_folder(folder: Path) -> Found | None:
    """Images and annotations side by side: `x.png` with `x_mask.png`, or `x.bmp` with `x.png`, or image with label."""
    files = [f for f in images_of(folder) if f.is_file()]
    roles = {f: _ROLE.sub("", stem_of(f)) for f in files if _ROLE.search(stem_of(f))}
    images = {stem_of(f): f for f in files if f not in roles}
    pairs = [Entry(name, (images[name],), f) for f, name in roles.items() if name in images]
    if not pairs:
        pairs = _same_stem(files) or _image_and_label(files)
    return _with_tables(folder, "images and labels in one folder", pairs) if pairs else None


def _same_stem(files: list[Path]) -> list[Entry]:
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(stem_of(file), []).append(file)
    order = [".jpg", ".jpeg", ".bmp", ".tif", ".tiff", ".png"]  # the lossless, smaller kind holds the mask
    pairs = []
    for stem, group in by_stem.items():
        if len(group) != 2 or any(f.suffix.lower() not in order for f in group):
            return []
        image, label = sorted(group, key=lambda f: order.index(f.suffix.lower()))
        pairs.append(Entry(stem, (image,), label))
    return pairs


def _image_and_label(files: list[Path]) -> list[Entry]:
    """A folder with just one image and one annotation, told apart by their names."""
    words = {f: set(re.split(r"[^a-z]+", stem_of(f).lower())) for f in files}
    labels = [f for f, w in words.items() if w & set(LABEL_FOLDERS)]
    images = [f for f in files if f not in labels]
    return [Entry(stem_of(images[0]), (images[0],), labels[0])] if len(images) == len(labels) == 1 else []


def _one_pair(path: Path) -> Found:
    """A single image file with its annotation beside it, or in a folder of labels next to its own."""
    stem = stem_of(path)
    beside = [f for f in images_of(path.parent) if f != path and _ROLE.sub("", stem_of(f)) == stem]
    folder = _subfolder(path.parent.parent, LABEL_FOLDERS) if path.parent.name.lower() in IMAGE_FOLDERS else None
    if folder is not None:
        beside += [f for f in images_of(folder) if _ROLE.sub("", stem_of(f)) == stem]
    if len(beside) != 1:
        raise DataError(
            f"{path}: expected its annotation beside it, such as {stem}_mask{path.suffix}; found {len(beside)}."
        )
    return Found("a single pair", [Entry(stem, (path,), beside[0])])


def _from_json(path: Path) -> Found:
    """A Medical Segmentation Decathlon or nnU-Net data set."""
    tree = tables.read_tree(path)
    if not isinstance(tree, dict):
        raise DataError(f"{path}: expected a dataset.json with `labels` and channels.")
    labels, channels = tables.labels_from_json(path, tree), tables.channel_names_from_json(tree)
    if isinstance(tree.get("dataset"), dict):  # nnU-Net with explicit files
        entries = [
            Entry(case, tuple(_file(path, f) for f in files["images"]), _file(path, files["label"]))
            for case, files in tree["dataset"].items()
        ]
        name = "nnU-Net dataset.json with file names"
    elif isinstance(tree.get("training"), list) and tree["training"] and isinstance(tree["training"][0], dict):
        entries = []
        for row in tree["training"]:
            files = row["image"] if isinstance(row["image"], list) else [row["image"]]
            entries.append(Entry(stem_of(row["label"]), tuple(_file(path, f) for f in files), _file(path, row["label"])))
        name = "Medical Segmentation Decathlon dataset.json"
    else:
        found = _pair_of_folders(path.parent)
        if found is None:
            raise DataError(f"{path}: expected the folders imagesTr/ and labelsTr/ beside it.")
        entries, name = found.entries, "nnU-Net dataset.json"
    found = _with_tables(path.parent, name, entries)
    return replace(found, labels=labels or found.labels, channel_names=channels)


def _file(table: Path, name: str) -> Path:
    path = Path(name) if Path(name).is_absolute() else table.parent / name
    if not path.exists():
        raise DataError(f"{table}: names {name}, which is not there.")
    return path


_LABEL_COLUMNS = ("label", "labels", "mask", "segmentation", "seg", "annotation")
_FACT_COLUMNS = {"patient", "pair", "subject", "group", "split", "fold", "site", "age", "sex"}


def _is_manifest(path: Path) -> bool:
    rows = tables.read_rows(path)
    return bool(rows) and any(c == "image" or c.startswith("image_") for c in rows[0])


def _manifest(path: Path) -> Found:
    """A table with a column `image` (or several `image_NAME`), `label`, and facts."""
    rows = tables.read_rows(path)
    if not rows:
        raise DataError(f"{path}: the table has no rows.")
    columns = [c for c in rows[0] if c == "image" or c.startswith("image_")]
    if not columns:
        raise DataError(f"{path}: expected a column `image` or columns `image_NAME`; found {', '.join(rows[0])}.")
    label_column = next((c for c in _LABEL_COLUMNS if c in rows[0]), None)
    id_column = next((c for c in tables.ID_COLUMNS if c in rows[0]), None)
    entries = []
    for number, row in enumerate(rows, 2):
        names = [name for c in columns for name in row.get(c, "").split(";") if name]
        if not names:
            raise DataError(f"{path}: row {number} names no image.")
        marks = [_file(path, m) for m in (row.get(label_column, "") if label_column else "").split(";") if m]
        label = tuple(marks) if len(marks) > 1 else marks[0] if marks else None
        facts = {k: v for k, v in row.items() if k not in (*columns, label_column, id_column)}
        case = row[id_column] if id_column else stem_of(names[0])
        entries.append(Entry(case, tuple(_file(path, name) for name in names), label, facts))
    channels = tuple(c.removeprefix("image_") for c in columns) if len(columns) > 1 else ()
    declared = _declared(path.parent)
    return replace(_checked(Found(f"manifest {path.name}", entries)), labels=declared, channel_names=channels)


def _with_tables(folder: Path, layout: str, entries: list[Entry]) -> Found:
    """The entries with the facts of cases.csv and the names of labels.yaml beside them."""
    notes: list[str] = []
    table = folder / "cases.csv"
    if table.is_file() and not _is_manifest(table):
        facts = tables.facts_by_case(table)
        entries = [replace(e, facts={**facts.get(e.id, {}), **e.facts}) for e in entries]
        unknown = [e.id for e in entries if e.id not in facts]
        if unknown:
            notes.append(f"cases.csv has no row for {len(unknown)} cases: {_some(unknown)}.")
    return replace(_checked(Found(layout, entries)), labels=_declared(folder), notes=tuple(notes))


def _declared(folder: Path) -> Labels | None:
    for name in ("labels.yaml", "labels.yml"):
        if (folder / name).is_file():
            return tables.labels_from_yaml(folder / name)
    return None


def _checked(found: Found) -> Found:
    seen: set[str] = set()
    for entry in found.entries:
        if entry.id in seen:
            raise DataError(f"{found.layout}: the case {entry.id!r} occurs twice.")
        seen.add(entry.id)
    missing = tuple(e.id for e in found.entries if e.label is None)
    return replace(found, without_label=missing)


def _expected(path: Path) -> str:
    inside = ", ".join(sorted(item.name for item in path.iterdir())[:6]) if path.is_dir() else ""
    found = f" It holds {inside}." if inside else " It is empty."
    return (
        "Expected folders images/ and labels/ with equal names, imagesTr/ and labelsTr/, a dataset.json, a manifest"
        f" with columns image and label, or files such as a.png with a_mask.png.{found}"
    )


def _some(names: list[str] | tuple[str, ...], most: int = 5) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
