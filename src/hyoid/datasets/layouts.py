"""Finding cases: which image files belong together, and which annotation belongs to them, in any usual layout."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import DataError
from ..core.files import readable
from ..files.dicom import annotation_below
from ..files.formats import is_image, stem_of, suffix_of
from ..files.sniff import check_regular
from ..files.strays import folders_in, items_in, strays_below
from .contents import annotations_of, by_name, images_of, mixed_folders, one_of_pairs, voxels_of
from .declared import MANIFESTS, described, from_json, from_manifest, is_manifest, with_facts, with_tables
from .endings import Names, annotated_by, by_case, channels_of, is_aid
from .entry import Entry, Found, amount, listed
from .per_case import folder_per_case
from .places import (
    IMAGE_FOLDERS,
    LABEL_FOLDERS,
    OTHER_FOLDERS,
    TARGET_FOLDERS,
    UNLABELLED_FOLDERS,
    label_folder,
    subfolder,
)
from .splits import part_in

RUN = "experiment.yaml"
"""Tells that a folder is a run, and holds no data set."""

_Mark = Path | tuple[Path, ...]


def find(path: Path) -> Found:
    """The cases below a path.

    Raises:
        DataError: When no layout fits, naming what was looked for; or an annotation has no image.
    """
    if not path.exists():
        raise DataError(f"{path}: there is no such file or folder.")
    if not path.is_dir():
        check_regular(path)
        if path.suffix.lower() in (".csv", ".tsv", ".yaml", ".yml"):
            return from_manifest(path)
        return _from_json(path) if path.suffix.lower() == ".json" else _one_pair(path)
    if (path / RUN).is_file():
        raise DataError(f"{path}: this is a run; expected the data that runs learn from.")
    strays = strays_below(path)
    note = (f"Left out, since they are no part of the data: {listed(strays)}.",) if strays else ()
    found = _here(path)
    if found is not None:
        return replace(found, notes=(*found.notes, *note))
    below = [(d, _here(d)) for d in folders_in(path) if not (d / RUN).is_file()]
    fitting = [(folder, one) for folder, one in below if one is not None]
    if split := _as_split(fitting):
        return replace(split, notes=(*split.notes, *note))
    if len(fitting) > 1:
        names = ", ".join(folder.name for folder, _ in fitting)
        raise DataError(f"{path}: several data sets lie below ({names}); name one of them.")
    if not fitting:
        deeper = [f"{above.name}/{one.name}" for above in folders_in(path) for one in folders_in(above) if _fits(one)]
        if deeper:
            raise DataError(f"{path}: annotated images lie deeper, in {listed(deeper)}; name the folder of them.")
        found_instead = annotation_below(path)
        raise DataError(f"{path}: no annotated images found. {found_instead or _expected(path)}")
    folder, found = fitting[0]
    return replace(found, layout=f"{folder.name}/{found.layout}", notes=(*found.notes, *note))


def _as_split(below: Sequence[tuple[Path, Found]]) -> Found | None:
    """One data set of folders such as train/ and test/ that hold the same layout; None where they are no parts."""
    kinds = [(one.layout, one.truth, one.labels, one.instances, one.channel_names) for _, one in below]
    if len(below) < 2 or not all(part_in(folder.name) for folder, _ in below) or any(one != kinds[0] for one in kinds):
        return None
    entries = [
        replace(entry, id=f"{folder.name}_{entry.id}", facts={**entry.facts, "split": part_in(folder.name)})
        for folder, one in below
        for entry in one.entries
    ]
    first, names = below[0][1], ", ".join(folder.name for folder, _ in below)
    above = with_tables(below[0][0].parent, f"{first.layout} in {names}", entries)
    notes, warnings = (
        tuple(dict.fromkeys(text for found in (above, *(one for _, one in below)) for text in getattr(found, kind)))
        for kind in ("notes", "warnings")
    )
    found = replace(first, layout=above.layout, entries=above.entries, notes=notes, warnings=warnings)
    declared = above.labels or above.instances
    return replace(found, labels=above.labels, instances=above.instances) if declared else found


def _fits(folder: Path) -> bool:
    try:
        return _here(folder) is not None
    except DataError:
        return True  # named by the error that comes once it is asked for


def _here(folder: Path) -> Found | None:
    if (folder / "dataset.json").is_file():
        return _from_json(folder / "dataset.json")
    for name in MANIFESTS:
        if is_manifest(folder / name):
            found = from_manifest(folder / name)
            return found if name == "cases.csv" else with_facts(folder, found)
    return _pair_of_folders(folder) or folder_per_case(folder) or _one_folder(folder)


def _from_json(path: Path) -> Found:
    found = from_json(path)
    found = with_tables(path.parent, found.layout, found.entries) if found else _pair_of_folders(path.parent)
    if found is None:
        raise DataError(f"{path}: expected the folders imagesTr/ and labelsTr/ beside it.")
    found = described(path, found)
    return replace(found, layout=found.layout if "json" in found.layout else f"dataset.json with {found.layout}")


def _pair_of_folders(folder: Path) -> Found | None:
    """images/ with labels/ or targets/ and perhaps others/, of equal names; a label may be a folder of files."""
    images, targets = (subfolder(folder, names) for names in (IMAGE_FOLDERS, TARGET_FOLDERS))
    labels = label_folder(folder) if images else None
    if labels and targets:
        raise DataError(
            f"{folder}: it has {labels.name}/ and {targets.name}/; a data set has one of them. Move one out."
        )
    labels = labels or targets
    if images is None or labels is None:
        return None
    files, aids = _without_aids(images_of(images))
    marks = _marks(labels)
    if not files:
        parts = [one.name for one in folders_in(images)]
        advice = f" For {listed(parts)} make folders such as {parts[0]}/images and {parts[0]}/labels." if parts else ""
        raise DataError(f"{images}: expected images; the folder holds none that hyoid reads.{advice}")
    if not marks:
        raise DataError(f"{labels}: expected annotations with the names of the images; the folder holds none.")
    names = Names(map(stem_of, files))
    marks = _by_image(_by_case(marks, names), names)
    if len(files) == 1 and len(marks) > 1 and not any(map(names.of, marks)):
        objects = tuple(mark for mark in marks.values() if isinstance(mark, Path))
        return with_tables(folder, "one image with a file for each object", [Entry(folder.name, tuple(files), objects)])
    unlabelled = subfolder(folder, UNLABELLED_FOLDERS)
    files += images_of(unlabelled) if unlabelled else []
    entries, channels = _entries(images, labels, files, marks)
    if others := subfolder(folder, OTHER_FOLDERS):
        entries = _with_others(images, others, entries)
    if targets:
        entries = [replace(one, label=None, target=_single(one)) for one in entries]
    found = with_tables(folder, f"{images.name}/ and {labels.name}/", entries)
    notes = (*found.notes, *aids, *_unread(images), *_unread(labels))
    return replace(found, notes=notes, truth="image" if targets else "labels", channel_names=channels)


def _entries(
    images: Path, labels: Path, files: Sequence[Path], marks: Mapping[str, _Mark]
) -> tuple[list[Entry], tuple[str, ...]]:
    """Cases of files in one folder and annotations in another, or the same, and the names of their channels."""
    named = by_name(files)
    cases = by_case(named.keys(), marks.keys())
    _check_images(labels, "labels", marks, cases, images)
    channels = channels_of(images, {case: one for case, one in cases.items() if case in marks})
    entries = [
        Entry(case, tuple(named[one[ending]] for ending in sorted(one)), marks.get(case)) for case, one in cases.items()
    ]
    return entries, channels


def _with_others(images: Path, others: Path, entries: Sequence[Entry]) -> list[Entry]:
    """The cases with the second images that lie in a folder of their own."""
    named, cases = by_name(images_of(others)), {entry.id for entry in entries}
    seconds = by_case(named.keys(), cases)
    _check_images(others, "second images", seconds, cases, images)
    files = {case: tuple(named[one[ending]] for ending in sorted(one)) for case, one in seconds.items()}
    return [replace(entry, other=files.get(entry.id, ())) for entry in entries]


def _check_images(place: Path, what: str, names: Iterable[str], cases: Collection[str], images: Path) -> None:
    if lost := sorted(set(names).difference(cases)):
        some = amount(len(lost), f"{what[:-1]} has", f"{what} have")
        raise DataError(
            f"{place}: {some} no image of the same name in {images.name}/: {listed(lost)}."
            f" Add the images or remove the {what}."
        )


def _single(entry: Entry) -> Path | None:
    if isinstance(entry.label, tuple):
        raise DataError(f"{entry.id}: a target is one file; {entry.first_label.parent} is a folder of several.")
    return entry.label


def _unread(folder: Path) -> tuple[str, ...]:
    """A remark on files that are no images hyoid reads, and no tables or texts."""
    known = (".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".xml", ".db", ".ini")
    rest = [path.name for path in items_in(folder) if path.is_file() and not is_image(path)]
    rest = [name for name in rest if not name.lower().endswith(known)]
    some = amount(len(rest), "file", "files")
    notes = [f"{some} in {folder.name}/ that hyoid does not read as images: {listed(rest)}."] if rest else []
    if mixed := mixed_folders(folder):
        notes.append(f"Folders that mix DICOM slices with other images are left out: {listed(mixed)}.")
    return tuple(notes)


def _marks(labels: Path) -> dict[str, _Mark]:
    """Annotations of a folder by name; a folder inside holds one file for each object of a case."""
    marks: dict[str, _Mark] = {}
    for item in one_of_pairs(items_in(labels)):
        if item.is_dir() and (objects := images_of(item)):
            marks[readable(item.name)] = tuple(objects)
        elif item.is_file() and is_image(item):
            if stem_of(item) in marks:
                raise DataError(f"{item}: two annotations are called {stem_of(item)!r}; keep one.")
            marks[stem_of(item)] = item
    return marks


def _by_image(marks: Mapping[str, _Mark], names: Names) -> dict[str, _Mark]:
    """Annotations by the names of their images; several numbered files of one are objects."""
    files = {name: mark for name, mark in marks.items() if isinstance(mark, Path)}
    found = annotations_of((names.of(name) or name, file) for name, file in files.items())
    single: dict[str, _Mark] = {name: some if len(some) > 1 else some[0] for name, some in found.items()}
    return single | {names.of(name) or name: mark for name, mark in marks.items() if name not in files}


def _without_aids(files: list[Path]) -> tuple[list[Path], list[str]]:
    """The files without masks of the brain or the field of view, and a note on these."""
    aids = [file for file in files if is_aid(stem_of(file))]
    note = f"Left out, as masks of the brain or of the field of view: {listed([file.name for file in aids])}."
    return [file for file in files if file not in aids], [note] if aids else []


def _by_case(marks: dict[str, _Mark], names: Names) -> dict[str, _Mark]:
    """Annotations by case where labels/ has a folder for each structure with a file for each case; else as they are."""
    files = [file for mark in marks.values() if isinstance(mark, tuple) for file in mark]
    images = [names.of(stem_of(file)) for file in files]
    if any(map(names.of, marks)) or not all(isinstance(mark, tuple) for mark in marks.values()) or not all(images):
        return marks
    cases: dict[str, tuple[Path, ...]] = {}
    for name, file in zip(images, files, strict=True):
        cases[str(name)] = (*cases.get(str(name), ()), file)
    return {**cases}


def _one_folder(folder: Path) -> Found | None:
    """Images and annotations side by side: `x.png` with `x_mask.png`, or `x.bmp` with `x.png`, or image with label."""
    files, aids = [file for file in images_of(folder) if file.is_file()], list[str]()
    if any(annotated_by(stem_of(file)) and not is_aid(stem_of(file)) for file in files):
        files, aids = _without_aids(files)
    entries, channels = _by_ending(folder, files)
    if not (pairs := entries or _by_format(files) or _image_and_label(files)):
        return None
    found = with_tables(folder, "images and labels in one folder", pairs)
    return replace(found, channel_names=channels, notes=(*found.notes, *aids))


def _by_ending(folder: Path, files: Sequence[Path]) -> tuple[list[Entry], tuple[str, ...]]:
    roles = {file for file in files if annotated_by(stem_of(file)) or suffix_of(file) == ".seg.nrrd"}
    images = [file for file in files if file not in roles]
    names = Names(map(stem_of, images))
    marks = _by_image(by_name(sorted(roles)), names)
    return _entries(folder, folder, images, marks) if any(map(names.of, marks)) else ([], ())


def _by_format(files: list[Path]) -> list[Entry]:
    # of two formats the mask is in the lossless one
    order = [".jpg", ".jpeg", ".bmp", ".ppm", ".tif", ".tiff", ".pgm", ".png", ".gif"]  # fmt: skip
    by_stem: dict[str, list[Path]] = {}
    for file in files:
        by_stem.setdefault(stem_of(file), []).append(file)
    pairs = []
    for stem, group in by_stem.items():
        if len(group) > 2 or any(file.suffix.lower() not in order for file in group):
            return []
        image, *label = sorted(group, key=lambda file: order.index(file.suffix.lower()))
        pairs.append(Entry(stem, (image,), label[0] if label else None))
    formats = {pair.images[0].suffix.lower() for pair in pairs if pair.label}
    return pairs if all(pair.label or pair.images[0].suffix.lower() in formats for pair in pairs) and formats else []


def _image_and_label(files: list[Path]) -> list[Entry]:
    """A folder with just one image and one annotation, told apart by their names."""
    words = {file: set(re.split(r"[^a-z]+", stem_of(file).lower())) for file in files}
    labels = [file for file, found in words.items() if found & set(LABEL_FOLDERS)]
    images = [file for file in files if file not in labels]
    return [Entry(stem_of(images[0]), (images[0],), labels[0])] if len(images) == len(labels) == 1 else []


def _one_pair(path: Path) -> Found:
    """A single image file with its annotation beside it, or in a folder of labels next to its own."""
    path, stem = voxels_of(path) if voxels_of(path).exists() else path, stem_of(path)
    names = Names([stem])
    beside = [file for file in images_of(path.parent) if file != path and names.of(stem_of(file)) == stem]
    if path.parent.name.lower() in IMAGE_FOLDERS and (labels := subfolder(path.parent.parent, LABEL_FOLDERS)):
        beside += [file for file in images_of(labels) if names.of(stem_of(file)) == stem]
    if len(beside) != 1:
        raise DataError(
            f"{path}: expected its annotation beside it, such as {stem}_mask{path.suffix}; found {len(beside)}."
        )
    return Found("a single pair", [Entry(stem, (path,), beside[0])])


def _expected(path: Path) -> str:
    inside = listed(sorted(item.name for item in path.iterdir()))
    found = f"It holds {inside}." if inside else "It is empty."
    return (
        "Expected folders images/ and labels/ with equal names, imagesTr/ and labelsTr/, a dataset.json, a manifest"
        f" with columns image and label, or files such as a.png with a_mask.png. {found}"
    )
