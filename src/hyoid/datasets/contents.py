"""The images directly in a folder."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from ..core.errors import DataError
from ..files.dicom import holds_volume
from ..files.formats import is_image, stem_of
from ..files.strays import folders_in, items_in
from .entry import listed

_HEADER = re.compile(r"\.hdr(\.gz)?$", re.IGNORECASE)


def images_of(folder: Path) -> list[Path]:
    """The images directly in a folder, DICOM series folders included, in name order."""
    return one_of_pairs([path for path in items_in(folder) if is_image(path)])


def mixed_folders(folder: Path) -> list[str]:
    """Folders in this one that hold DICOM slices and at least as many other images, so that they are no series."""
    return [item.name for item in folders_in(folder) if holds_volume(item) and not is_image(item)]


def one_of_pairs(files: Sequence[Path]) -> list[Path]:
    """The files without each `.hdr` whose `.img` is there too, since both are one image."""
    known = set(files)
    return [file for file in files if voxels_of(file) not in known or voxels_of(file) == file]


def voxels_of(file: Path) -> Path:
    """The file that holds the voxels: `a.img` for `a.hdr`, otherwise the file itself."""
    return file.with_name(_HEADER.sub(r".img\1", file.name))


def annotations_of(named: Iterable[tuple[str, Path]]) -> dict[str, tuple[Path, ...]]:
    """Annotations by the name of what they annotate; several of one are numbered, as `x_mask` and `x_mask_1` are.

    Raises:
        DataError: When several of one differ otherwise, so that either may be meant.
    """
    found: dict[str, tuple[Path, ...]] = {}
    for name, file in named:
        found[name] = (*found.get(name, ()), file)
    for files in found.values():
        if len({re.sub(r"[-_ .]?\d+$", "", stem_of(file)) for file in files}) > 1:
            names = listed([file.name for file in files])
            raise DataError(f"{files[0].parent}: {names} annotate the same image; keep one of them.")
    return found


def by_name(files: Iterable[Path], name: Callable[[Path], str] = stem_of) -> dict[str, Path]:
    """Files by their names without endings.

    Raises:
        DataError: When two files have one name.
    """
    named: dict[str, Path] = {}
    for file in files:
        stem = name(file)
        if stem in named:
            first = named[stem]
            if first.parent == file.parent:
                raise DataError(f"{file}: two images are called {stem!r} ({first.name}); keep one.")
            raise DataError(
                f"Two images in different folders are called {stem!r} ({first}, {file}); every case needs its own name."
                " Rename one of them, or give one folder at a time."
            )
        named[stem] = file
    return named
