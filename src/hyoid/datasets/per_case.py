"""A folder for each case: images or channels, and one annotation or a file for each structure or object."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..core.errors import DataError
from ..core.files import readable
from ..files.formats import is_image, stem_of
from ..files.strays import folders_in
from .contents import images_of
from .declared import with_tables
from .endings import Names, annotated_by, channels_of
from .entry import Entry, Found, listed
from .places import IMAGE_FOLDERS, LABEL_FOLDERS, subfolder


@dataclass
class _Contents:
    """The files of a case by their names without that of the case."""

    images: dict[str, Path] = field(default_factory=dict)
    marks: dict[str, Path] = field(default_factory=dict)
    folder_of_marks: Path | None = None


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
    if all(one.marks.keys() <= one.images.keys() for one in annotated) and any(len(one.marks) > 1 for one in annotated):
        entries = [entry for name, one in cases.items() for entry in _pairs(name, one)]
        return with_tables(folder, "a folder for each patient with several pairs", entries)
    alone = all(len(one.images) == 1 for one in cases.values())
    if not alone and 2 * Counter(frozenset(one.images) for one in cases.values()).most_common(1)[0][1] < len(cases):
        return None  # folders of other kinds
    channels = () if alone else channels_of(folder, {name: one.images for name, one in cases.items()})
    several = any(len(one.marks) > 1 for one in cases.values())
    entries = [
        Entry(name, tuple(one.images[key] for key in sorted(one.images)), _label(one, several))
        for name, one in cases.items()
    ]
    return replace(with_tables(folder, "a folder for each case", entries), channel_names=channels)


def _contents(case: Path) -> _Contents:
    found = _Contents()
    images, marks = subfolder(case, IMAGE_FOLDERS), subfolder(case, LABEL_FOLDERS)
    if images:
        files = [images] if is_image(images) else images_of(images)
        found.images = {_own_name(case, file): file for file in files}
    for file in images_of(case):
        name = _own_name(case, file)
        annotated = annotated_by(name)
        if file not in (images, marks):
            (found.images if annotated is None else found.marks)[name if annotated is None else annotated] = file
    if marks and (files := images_of(marks)):
        if found.marks:
            names = listed([file.name for file in found.marks.values()])
            raise DataError(f"{case}: it has annotations in {marks.name}/ and beside the images ({names}); keep one.")
        found.marks = {stem_of(file): file for file in files}
        found.folder_of_marks = marks
    return found


def _own_name(case: Path, file: Path) -> str:
    """The name of a file without that of its case: `t1` for CASE_t1.nii.gz, "" for CASE.nii.gz."""
    return re.sub(rf"{re.escape(readable(case.name))}(?:$|[-_ .])", "", stem_of(file), count=1) or ""


def _is_data_set(one: _Contents) -> bool:
    """Whether a folder is no case, since its annotations are named after several images."""
    names = Names(one.images)
    return one.folder_of_marks is not None and len(one.images) > 1 and any(map(names.of, one.marks))


def _pairs(case: str, one: _Contents) -> list[Entry]:
    """Entries of a folder with several images that have an annotation each; they are of one patient."""
    facts = {"patient": case}
    return [Entry(f"{case}_{name}", (file,), one.marks.get(name), facts) for name, file in one.images.items()]


def _label(one: _Contents, several: bool) -> Path | tuple[Path, ...] | None:
    files: Sequence[Path] = [one.marks[name] for name in sorted(one.marks)]
    return None if not files else tuple(files) if several else files[0]
