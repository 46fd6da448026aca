"""A folder for each case: images or channels, and one annotation or a file for each structure or object."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.errors import DataError
from ..core.files import readable
from ..files.formats import is_image, stem_of
from ..files.strays import folders_in
from .contents import annotations_of, images_of
from .declared import with_tables
from .endings import Names, annotated_by, channels_of, is_aid
from .entry import Entry, Found, listed
from .places import IMAGE_FOLDERS, label_folder, subfolder
from .splits import part_in

_KIND = re.compile(
    "site|cent(er|re)|hospital|clinic|scanner|vendor|class|grade|type|group|batch|cohort|domain|set", re.I
)
"""How names of folders begin that are groups of cases, and no patients."""


@dataclass
class _Contents:
    """The files of a case by their names without that of the case."""

    images: dict[str, Path] = field(default_factory=dict)
    marks: dict[str, tuple[Path, ...]] = field(default_factory=dict)
    folder_of_marks: Path | None = None
    left_out: list[str] = field(default_factory=list)

    @property
    def files(self) -> tuple[Path, ...]:
        """All annotations, by their names."""
        return tuple(file for _, files in sorted(self.marks.items()) for file in files)


def folder_per_case(folder: Path) -> Found | None:
    """The cases of folders such as CASE/image.png with CASE/mask.png, or CASE/CASE_t1.nii.gz with CASE/CASE_seg.nii.gz.

    Annotations may lie in a folder of their own: CASE/segmentations/liver.nii.gz.

    Raises:
        DataError: When cases have different channels, or one has annotations in two places.
    """
    cases = {readable(one.name): _contents(one) for one in folders_in(folder)}
    if any(map(_is_data_set, cases.values())):
        return None
    cases = {name: one for name, one in cases.items() if one.images}
    annotated = [one for one in cases.values() if one.marks]
    if len(annotated) < 2:
        return None
    parts = {name: part_in(name) for name in cases}
    if any(parts.values()) and not all(parts.values()):
        others = listed([name for name, part in parts.items() if not part])
        words = ", ".join(filter(None, parts.values()))
        raise DataError(f"{folder}: {words} are parts of a split, but {others} are not; name one folder, or move some.")
    are_pairs = all(one.marks.keys() <= one.images.keys() for one in annotated)
    if are_pairs and (any(parts.values()) or any(len(one.marks) > 1 for one in annotated)):
        return _of_pairs(folder, cases, parts)
    if any(parts.values()):
        return None  # a data set for each part
    alone = all(len(one.images) == 1 for one in cases.values())
    if not alone and 2 * Counter(frozenset(one.images) for one in cases.values()).most_common(1)[0][1] < len(cases):
        return None  # folders of other kinds
    channels = () if alone else channels_of(folder, {name: one.images for name, one in cases.items()})
    several = any(len(one.files) > 1 for one in cases.values())
    entries = [
        Entry(name, tuple(one.images[key] for key in sorted(one.images)), _label(one.files, several))
        for name, one in cases.items()
    ]
    found = with_tables(folder, "a folder for each case", entries)
    return replace(found, channel_names=channels, notes=(*found.notes, *_told(cases)))


def _contents(case: Path) -> _Contents:
    found = _Contents()
    images, marks = subfolder(case, IMAGE_FOLDERS), label_folder(case)
    if images:
        files = [images] if is_image(images) else images_of(images)
        found.images = {_own_name(case, file): file for file in files}
    files = [file for file in images_of(case) if file not in (images, marks)]
    own = {file: _own_name(case, file) for file in files}
    roles = {file: annotated for file in files if (annotated := annotated_by(own[file])) is not None}
    found.images |= {own[file]: file for file in files if file not in roles}
    if marks or not all(is_aid(own[file]) for file in roles):
        found.left_out = [file.name for file in roles if is_aid(own[file])]
    found.marks = annotations_of((name, file) for file, name in roles.items() if file.name not in found.left_out)
    if marks and (files := images_of(marks)):
        if found.marks:
            names = listed([file.name for file in found.files])
            raise DataError(f"{case}: it has annotations in {marks.name}/ and beside the images ({names}); keep one.")
        found.marks = {stem_of(file): (file,) for file in files}
        found.folder_of_marks = marks
    return found


def _own_name(case: Path, file: Path) -> str:
    """The name of a file without that of its case: `t1` for CASE_t1.nii.gz, "" for CASE.nii.gz."""
    return re.sub(rf"{re.escape(readable(case.name))}(?:$|[-_ .])", "", stem_of(file), count=1) or ""


def _is_data_set(one: _Contents) -> bool:
    """Whether a folder is no case, since its annotations are named after several images."""
    names = Names(one.images)
    return one.folder_of_marks is not None and len(one.images) > 1 and any(map(names.of, one.marks))


def _of_pairs(folder: Path, cases: Mapping[str, _Contents], parts: Mapping[str, str]) -> Found:
    """Folders with several images that have an annotation each: parts of a split, patients, or groups of a kind."""
    are_patients = all(re.search(r"\d", name) and not _KIND.match(name) for name in cases)
    several = any(len(files) > 1 for one in cases.values() for files in one.marks.values())
    entries = []
    for case, one in cases.items():
        facts = {"split": parts[case]} if parts[case] else {"patient": case} if are_patients else {}
        films = [name for name in one.images if name not in one.marks and re.search("(^|[-_ ])4d$", name, re.I)]
        one.left_out += [one.images[name].name for name in films if one.marks]
        for name, file in one.images.items():
            if file.name not in one.left_out:
                entries.append(Entry(f"{case}_{name}", (file,), _label(one.marks.get(name, ()), several), facts))
    what = "part of the split" if any(parts.values()) else "patient" if are_patients else "group"
    found = with_tables(folder, f"a folder for each {what} with several pairs", entries)
    doubt = (
        f"The folders {listed(list(cases))} are not taken for patients. If several images are of one patient, a random"
        " split leaks; add a cases.csv with columns case and patient."
    )
    warnings = (*found.warnings, doubt) if what == "group" else found.warnings
    return replace(found, notes=(*found.notes, *_told(cases)), warnings=warnings)


def _told(cases: Mapping[str, _Contents]) -> list[str]:
    names = [name for one in cases.values() for name in one.left_out]
    what = "a film or a mask of the brain or of the field of view beside annotated images"
    return [f"Left out, as {what}: {listed(names)}."] if names else []


def _label(files: tuple[Path, ...], several: bool) -> Path | tuple[Path, ...] | None:
    return None if not files else files if several else files[0]
