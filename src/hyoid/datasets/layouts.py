"""Finding cases: which image files belong together, and which annotation belongs to them, in any usual layout."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from ..core.errors import DataError
from ..core.files import readable
from ..files.dicom import annotation_below, holds_volume
from ..files.formats import is_image, stem_of, suffix_of
from ..files.sniff import check_regular
from .declared import MANIFESTS, described, from_json, from_manifest, is_manifest, with_tables
from .entry import Entry, Found, listed
from .places import IMAGE_FOLDERS, LABEL_FOLDERS, OTHER_FOLDERS, TARGET_FOLDERS, UNLABELLED_FOLDERS, subfolder

RUN = "experiment.yaml"
"""Tells that a folder is a run, and holds no data set."""

_ROLE = re.compile(r"[-_ .](labels?|masks?|seg|segmentation|annotations?|gt|ground_?truth|manual)$", re.IGNORECASE)
_HEADER = re.compile(r"\.hdr(\.gz)?$", re.IGNORECASE)
_CHANNEL = re.compile(r"^(.+)_(\d{4})$")
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
    found = _here(path)
    if found is not None:
        return found
    inside = [d for d in sorted(path.iterdir()) if d.is_dir() and not d.name.startswith(".")]
    below = [(d, _here(d)) for d in inside if not (d / RUN).is_file()]
    fitting = [(folder, one) for folder, one in below if one is not None]
    if len(fitting) > 1:
        names = ", ".join(folder.name for folder, _ in fitting)
        raise DataError(f"{path}: several data sets lie below ({names}); name one of them.")
    if not fitting:
        found_instead = annotation_below(path)
        raise DataError(f"{path}: no annotated images found. {found_instead or _expected(path)}")
    folder, found = fitting[0]
    return replace(found, layout=f"{folder.name}/{found.layout}")


def images_of(folder: Path) -> list[Path]:
    """The images directly in a folder, DICOM series folders included, in name order."""
    return one_of_pairs([f for f in sorted(folder.iterdir()) if not f.name.startswith(".") and is_image(f)])


def mixed_folders(folder: Path) -> list[str]:
    """Folders in this one that hold DICOM slices and at least as many other images, so that they are no series."""
    inside = [item for item in sorted(folder.iterdir()) if item.is_dir() and not item.name.startswith(".")]
    return [item.name for item in inside if holds_volume(item) and not is_image(item)]


def one_of_pairs(files: Sequence[Path]) -> list[Path]:
    """The files without each `.hdr` whose `.img` is there too, since both are one image."""
    known = set(files)
    return [file for file in files if _voxels_of(file) not in known or _voxels_of(file) == file]


def _voxels_of(file: Path) -> Path:
    """The file that holds the voxels: `a.img` for `a.hdr`, otherwise the file itself."""
    return file.with_name(_HEADER.sub(r".img\1", file.name))


def group_channels(
    files: Iterable[Path], joined: Callable[[str, set[str]], bool], name: Callable[[Path], str] = stem_of
) -> dict[str, tuple[Path, ...]]:
    """Files by case id; `case_0000`, `case_0001` become one case where `joined(base, endings)` agrees.

    Raises:
        DataError: When two files have one name.
    """
    by_stem: dict[str, Path] = {}
    for file in files:
        stem = name(file)
        if stem in by_stem:
            first = by_stem[stem]
            if first.parent == file.parent:
                raise DataError(f"{file}: two images are called {stem!r} ({first.name}); keep one.")
            raise DataError(
                f"Two images in different folders are called {stem!r} ({first}, {file}); every case needs its own name."
                " Rename one of them, or give one folder at a time."
            )
        by_stem[stem] = file
    matches = {stem: match for stem in by_stem if (match := _CHANNEL.match(stem))}
    endings: dict[str, set[str]] = {}
    for match in matches.values():
        endings.setdefault(match[1], set()).add(match[2])
    cases: dict[str, tuple[Path, ...]] = {}
    for stem, file in sorted(by_stem.items()):
        base = matches[stem][1] if stem in matches and joined(matches[stem][1], endings[matches[stem][1]]) else stem
        cases[base] = (*cases.get(base, ()), file)
    return cases


def _here(folder: Path) -> Found | None:
    if (folder / "dataset.json").is_file():
        return _from_json(folder / "dataset.json")
    for name in MANIFESTS:
        if is_manifest(folder / name):
            return from_manifest(folder / name)
    return _pair_of_folders(folder) or _folder_per_case(folder) or _one_folder(folder)


def _from_json(path: Path) -> Found:
    found = from_json(path) or _pair_of_folders(path.parent)
    if found is None:
        raise DataError(f"{path}: expected the folders imagesTr/ and labelsTr/ beside it.")
    found = described(path, with_tables(path.parent, found.layout, found.entries))
    return replace(found, layout=found.layout if "json" in found.layout else f"dataset.json with {found.layout}")


def _pair_of_folders(folder: Path) -> Found | None:
    """images/ with labels/ or targets/ and perhaps others/, of equal names; a label may be a folder of files."""
    images, labels, targets = (subfolder(folder, names) for names in (IMAGE_FOLDERS, LABEL_FOLDERS, TARGET_FOLDERS))
    if labels and targets:
        raise DataError(
            f"{folder}: it has {labels.name}/ and {targets.name}/; a data set has one of them. Move one out."
        )
    labels = labels or targets
    if images is None or labels is None:
        return None
    files, marks = images_of(images), _marks(labels)
    if not files:
        raise DataError(f"{images}: expected images; the folder holds none that hyoid reads.")
    if not marks:
        raise DataError(f"{labels}: expected annotations with the names of the images; the folder holds none.")
    stems = {stem_of(file) for file in files}
    bases = {match[1] for stem in stems if (match := _CHANNEL.match(stem))}
    marks = {_image_name(name, stems | bases): mark for name, mark in _by_case(marks, stems | bases).items()}
    if len(files) == 1 and not marks.keys() & (stems | bases) and len(marks) > 1:
        objects = tuple(mark for mark in marks.values() if isinstance(mark, Path))
        return with_tables(folder, "one image with a file for each object", [Entry(folder.name, tuple(files), objects)])
    unlabelled = subfolder(folder, UNLABELLED_FOLDERS)
    files += images_of(unlabelled) if unlabelled else []
    endings = {match[2] for file in files if (match := _CHANNEL.match(stem_of(file))) and match[1] in marks}

    def joined(base: str, mine: set[str]) -> bool:
        return base not in stems and (base in marks or mine == endings)

    cases = group_channels(files, joined)
    others = subfolder(folder, OTHER_FOLDERS)
    seconds = group_channels(images_of(others), joined) if others else {}
    for place, what, found_there in ((labels, "labels", marks), (others, "second images", seconds)):
        if lost := sorted(found_there.keys() - cases.keys()):
            raise DataError(
                f"{place}: {len(lost)} {what} have no image of the same name in {images.name}/: {listed(lost)}."
                f" Add the images or remove the {what}."
            )
    entries = [Entry(case, mine, marks.get(case), other=seconds.get(case, ())) for case, mine in cases.items()]
    if targets:
        entries = [replace(one, label=None, target=_single(one)) for one in entries]
    found = with_tables(folder, f"{images.name}/ and {labels.name}/", entries)
    notes = (*found.notes, *_unread(images), *_unread(labels))
    return replace(found, notes=notes, truth="image" if targets else "labels")


def _single(entry: Entry) -> Path | None:
    if isinstance(entry.label, tuple):
        raise DataError(f"{entry.id}: a target is one file; {entry.first_label.parent} is a folder of several.")
    return entry.label


def _unread(folder: Path) -> tuple[str, ...]:
    """A remark on files that are no images hyoid reads, and no tables or texts."""
    known = (".txt", ".md", ".csv", ".json", ".yaml", ".yml", ".xml", ".db", ".ini")
    rest = [f.name for f in sorted(folder.iterdir()) if f.is_file() and not f.name.startswith(".") and not is_image(f)]
    rest = [name for name in rest if not name.lower().endswith(known)]
    notes = [f"{len(rest)} files in {folder.name}/ are not images hyoid reads: {listed(rest)}."] if rest else []
    if mixed := mixed_folders(folder):
        notes.append(f"Folders that mix DICOM slices with other images are left out: {listed(mixed)}.")
    return tuple(notes)


def _marks(labels: Path) -> dict[str, _Mark]:
    """Annotations of a folder by name; a folder inside holds one file for each object of a case."""
    marks: dict[str, _Mark] = {}
    for item in one_of_pairs(sorted(labels.iterdir())):
        if item.name.startswith("."):
            continue
        if item.is_dir() and (objects := images_of(item)):
            marks[readable(item.name)] = tuple(objects)
        elif item.is_file() and is_image(item):
            if stem_of(item) in marks:
                raise DataError(f"{item}: two annotations are called {stem_of(item)!r}; keep one.")
            marks[stem_of(item)] = item
    return marks


def _by_case(marks: dict[str, _Mark], known: set[str]) -> dict[str, _Mark]:
    """Annotations by case where labels/ has a folder for each structure with a file for each case; else as they are."""
    files = [file for mark in marks.values() if isinstance(mark, tuple) for file in mark]
    names = [_image_name(stem_of(file), known) for file in files]
    if marks.keys() & known or not all(isinstance(mark, tuple) for mark in marks.values()) or not known & set(names):
        return marks
    cases: dict[str, tuple[Path, ...]] = {}
    for name, file in zip(names, files, strict=True):
        cases[name] = (*cases.get(name, ()), file)
    return {**cases}


def _image_name(name: str, known: set[str]) -> str:
    """The name of the image an annotation belongs to, which may lack its ending such as `_mask`."""
    bare = _ROLE.sub("", name)
    return bare if name not in known and bare in known else name


def _folder_per_case(folder: Path) -> Found | None:
    """CASE/images/x.png with CASE/masks/*.png, one file for each object."""
    entries: list[Entry] = []
    for case in sorted(d for d in folder.iterdir() if d.is_dir() and not d.name.startswith(".")):
        images, labels = subfolder(case, IMAGE_FOLDERS), subfolder(case, LABEL_FOLDERS)
        if images is None or len(files := images_of(images)) != 1:
            return None
        objects = tuple(images_of(labels)) if labels else ()
        if not entries and len(objects) == 1 and stem_of(objects[0]) == stem_of(files[0]):
            return None  # an ordinary data set of one case, one level down
        entries.append(Entry(case.name, tuple(files), objects or None))
    annotated = any(entry.is_labelled for entry in entries)
    return with_tables(folder, "a folder for each case with images/ and masks/", entries) if annotated else None


def _one_folder(folder: Path) -> Found | None:
    """Images and annotations side by side: `x.png` with `x_mask.png`, or `x.bmp` with `x.png`, or image with label."""
    files = [file for file in images_of(folder) if file.is_file()]
    pairs = _by_ending(files) or _by_format(files) or _image_and_label(files)
    return with_tables(folder, "images and labels in one folder", pairs) if pairs else None


def _by_ending(files: list[Path]) -> list[Entry]:
    roles = {file for file in files if _ROLE.search(stem_of(file)) or suffix_of(file) == ".seg.nrrd"}
    images = {stem_of(file): file for file in files if file not in roles}
    marks = {_ROLE.sub("", stem_of(file)): file for file in sorted(roles)}
    if not marks.keys() & images.keys():
        return []
    return [Entry(name, (file,), marks.get(name)) for name, file in images.items()]


def _by_format(files: list[Path]) -> list[Entry]:
    order = [
        ".jpg",
        ".jpeg",
        ".bmp",
        ".ppm",
        ".tif",
        ".tiff",
        ".pgm",
        ".png",
        ".gif",
    ]  # of two formats the mask is in the lossless one
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
    path, stem = _voxels_of(path) if _voxels_of(path).exists() else path, stem_of(path)
    beside = [file for file in images_of(path.parent) if file != path and _image_name(stem_of(file), {stem}) == stem]
    if path.parent.name.lower() in IMAGE_FOLDERS and (labels := subfolder(path.parent.parent, LABEL_FOLDERS)):
        beside += [file for file in images_of(labels) if _image_name(stem_of(file), {stem}) == stem]
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
