"""Images in a folder and in the folders below it, each with a name that tells where it lies."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from ..core.errors import DataError
from ..core.files import readable
from ..core.progress import log
from ..files.dicom import holds_volume, is_dicom
from ..files.formats import is_image, stem_of
from ..files.strays import folders_in, items_in, strays_below
from .contents import images_of, mixed_folders
from .endings import Names, annotated_by
from .entry import listed
from .layouts import RUN
from .places import IMAGE_FOLDERS, LABEL_FOLDERS, OTHER_FOLDERS, TARGET_FOLDERS, subfolder

ANSWERS = "answers.jsonl"
"""Tells, in a folder of answers, what made them; what lies in such a folder is no image and no reference."""

_OURS = (RUN, "facts.json", ANSWERS)  # a run, a prepared case, a folder of answers
_ANNOTATIONS = (*LABEL_FOLDERS, *TARGET_FOLDERS, "labelsts", "2nd_manual")


def images_below(folder: Path) -> dict[Path, str]:
    """Images to predict in a folder and below it, DICOM series folders included, with the names of their cases.

    A name is the place below the folder and the name of the file, `ward/scan`; images/ is no part of it, and
    CASE/images/CASE.png is CASE. Folders of annotations, second images, runs, prepared cases and answers are left out.

    Raises:
        DataError: When there are none, or the folder is a run.
    """
    if (folder / RUN).is_file():
        raise DataError(f"{folder}: this is a run; expected images.")
    walk = _Walk(folder)
    if (folder / ANSWERS).is_file():
        log.warning("%s: answers lie here, and are answered as if they were images.", folder)
    found = dict(walk.images(folder, "", walk.begun))
    if walk.left_out:
        what = "annotations, second images, runs and answers are left out"
        log.warning("%s: %s: %s.", folder, what, listed(sorted(walk.left_out)))
    if strays := strays_below(folder):
        log.warning("%s: left out, since they are no part of the data: %s.", folder, listed(strays))
    if not found:
        raise DataError(f"{folder}: expected images; the folder holds none that hyoid reads, nor do those in it.")
    return found


def label_images_below(folder: Path, other: Path) -> dict[Path, str]:
    """Every image in a folder and below it with its place and name, in the order of these.

    Runs, prepared cases and answers below are left out, and so is another folder there.
    """
    walk = _Walk(folder, other)
    found = dict(walk.all_images(folder, "", walk.begun))
    if walk.left_out:
        log.warning("%s: folders of runs and answers are left out: %s.", folder, listed(sorted(walk.left_out)))
    return dict(sorted(found.items(), key=lambda one: one[1]))


_Images = Iterator[tuple[Path, str]]
_Passed = tuple[Path, ...]


class _Walk:
    """Finds images and their names; links are followed, and rings once; what hyoid wrote, and `other`, is left out."""

    def __init__(self, top: Path, other: Path | None = None) -> None:
        self.top = top
        self.left_out: list[str] = []
        here = top.resolve()
        self.begun: _Passed = (here, *here.parents, *([other.resolve()] if other else []))

    def images(self, folder: Path, place: str, passed: _Passed, is_inner: bool = False) -> _Images:
        """Images to predict; what was `passed` on the way to them is not entered again."""
        found = _without_stray_slices(folder)
        files = [file for file in found if file not in _annotations_among(found)]
        self.left_out += [str(file.relative_to(self.top)) for file in found if file not in files]
        for file in files:
            stem = stem_of(file)
            yield file, place[:-1] if is_inner and f"/{place}".endswith(f"/{stem}/") else place + stem
        inner = None if files else subfolder(folder, (*IMAGE_FOLDERS, "imagests"))
        skipped = {*(file.name for file in found), *mixed_folders(folder)}
        beside = (*_ANNOTATIONS, *OTHER_FOLDERS) if inner else _ANNOTATIONS
        for one, beyond in self._entered(folder, passed, skipped, beside):
            yield from self.images(
                one, place if one == inner else f"{place}{readable(one.name)}/", beyond, one == inner
            )

    def all_images(self, folder: Path, place: str, passed: _Passed) -> _Images:
        """Images and annotations alike."""
        files = [one for one in items_in(folder) if is_image(one)]
        for file in files:
            yield file, place + stem_of(file)
        for one, beyond in self._entered(folder, passed, {file.name for file in files}):
            yield from self.all_images(one, f"{place}{readable(one.name)}/", beyond)

    def _entered(
        self, folder: Path, passed: _Passed, skipped: Collection[str], annotations: Collection[str] = ()
    ) -> Iterator[tuple[Path, _Passed]]:
        """Folders in this one, each with what was passed on the way to what is in it."""
        for one in folders_in(folder):
            here = one.resolve()
            if one.name in skipped or here in passed:
                continue
            if one.name.lower() in annotations or any((one / name).is_file() for name in _OURS):
                self.left_out.append(str(one.relative_to(self.top)))
            else:
                yield one, (*passed, here)


def _annotations_among(files: Sequence[Path]) -> set[Path]:
    """Those of the images in one folder that annotate others of them, by their names."""
    whole = {file: annotated_by(stem_of(file)) for file in files}
    names = Names(stem_of(file) for file, annotated in whole.items() if annotated is None)
    found = {file for file, annotated in whole.items() if annotated is not None}
    return {file for file in found if names.of(stem_of(file)) or (names.stems and not whole[file])}


def _without_stray_slices(folder: Path) -> list[Path]:
    """The images of a folder; a few DICOM slices beside other images are no images of their own, and told."""
    files = images_of(folder)
    if mixed := mixed_folders(folder):
        log.warning("%s: folders that mix DICOM slices with other images are left out: %s.", folder, listed(mixed))
    slices = [file for file in files if file.is_file() and is_dicom(file)]
    if not slices or len(slices) == len(files) or not holds_volume(folder):
        return files
    told = "%s: %d DICOM files beside other images are left out (%s); put a series into a folder of its own."
    log.warning(told, folder, len(slices), listed([file.name for file in slices]))
    return [file for file in files if file not in slices]
