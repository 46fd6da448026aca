"""Where data sets keep images and annotations: usual names of folders, and files that a table names."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PureWindowsPath
from typing import Any

from ..core.errors import DataError
from ..files.formats import stem_of, suffix_of

IMAGE_FOLDERS = ("images", "imagestr", "image", "imgs", "img", "inputs", "scans", "volumes", "original")
LABEL_FOLDERS = (
    "1st_manual", "labels", "labelstr", "label", "masks", "mask", "annotations", "annotation", "segmentations",
    "segmentation", "segs", "seg", "ground_truth", "groundtruth", "ground truth", "gt",
    "manual", "lbl", "lbls",
)  # fmt: skip
TARGET_FOLDERS = ("targets", "targetstr", "target")
OTHER_FOLDERS = ("others", "otherstr", "moving", "movingtr")
UNLABELLED_FOLDERS = ("unlabelled", "unlabeled", "imagesunl")


def subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of these folders that is there, whatever the case of its letters."""
    below = {d.name.lower(): d for d in folder.iterdir() if d.is_dir()}
    return next((below[name] for name in names if name in below), None)


def label_folder(folder: Path) -> Path | None:
    """The folder of annotations in this one; the first of two raters, as DRIVE has them, is known by its name.

    Raises:
        DataError: When several may be meant.
    """
    below = {d.name.lower(): d for d in folder.iterdir() if d.is_dir() and any(d.iterdir())}
    filled = [below[name].name for name in LABEL_FOLDERS if name in below]
    if len(filled) > 1 and LABEL_FOLDERS[0] not in below:
        names = " and ".join(f"{name}/" for name in filled)
        raise DataError(f"{folder}: {names} may both hold the annotations; move out what is none, such as brain masks.")
    return subfolder(folder, [name.lower() for name in filled] or LABEL_FOLDERS)


def is_there(path: Path) -> bool:
    """Whether a file or folder is there; not for a text that is too long to name one, at which `exists` stumbles."""
    return os.path.exists(path)  # noqa: PTH110


@dataclass(frozen=True)
class Finder:
    """Finds the files that a table names, also where it was written on another machine or names them shortly.

    Attributes:
        table: The table.
        folders: Names of the folders beside it in which such files usually lie.
    """

    table: Path
    folders: tuple[str, ...]

    def file(self, name: Any) -> Path:
        """The file of a name.

        Raises:
            DataError: When it is not there, or a list or number stands for it.
        """
        if not isinstance(name, str) or not name:
            raise DataError(f"{self.table}: names {name!r} where the path of a file is expected.")
        if (found := self.find(name)) is None:
            inside = f" nor in {', '.join(f'{folder.name}/' for folder in self._usual)}" if self._usual else ""
            raise DataError(f"{self.table}: names {name}, which is not there{inside}.")
        return found

    def find(self, name: str) -> Path | None:
        """The file beside the table, in a usual folder, at the end of a longer path, or of this stem; or None."""
        if is_there(direct := self.table.parent / name):
            return direct
        path = PureWindowsPath(name)  # takes both kinds of slashes
        parts = path.parts[1:] if path.anchor else path.parts
        for start in range(len(parts)):
            beside = [self.table.parent] if start == 0 or start < len(parts) - 1 else []
            rest = "/".join(parts[start:])
            for form in (unicodedata.normalize("NFC", rest), unicodedata.normalize("NFD", rest)):
                for place in (*self._usual, *beside):
                    if is_there(place / form):
                        return place / form
        same = [] if suffix_of(name) else self._by_stem.get(unicodedata.normalize("NFC", path.name), [])
        return same[0] if len(same) == 1 else None

    @cached_property
    def _usual(self) -> list[Path]:
        below = {folder.name.lower(): folder for folder in self.table.parent.iterdir() if folder.is_dir()}
        return [below[name] for name in self.folders if name in below]

    @cached_property
    def _by_stem(self) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for file in (file for folder in self._usual for file in sorted(folder.iterdir()) if suffix_of(file)):
            found.setdefault(unicodedata.normalize("NFC", stem_of(file)), []).append(file)
        return found
