"""Images in a folder and in the folders below it, each with a name that tells where it lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from ..core.errors import DataError
from ..core.progress import log
from .dicom import holds_volume, is_dicom
from .entry import listed
from .formats import is_image, stem_of
from .layouts import IMAGE_FOLDERS, LABEL_FOLDERS, images_of, mixed_folders, subfolder

_ANNOTATIONS = (*LABEL_FOLDERS, "labelsts")


def images_below(folder: Path, into: Path | None = None) -> dict[Path, str]:
    """Images to predict in a folder and below it, DICOM series folders included, with the names of their cases.

    A name is the place below the folder and the name of the file, `ward/scan`; images/ is no part of it, and
    CASE/images/CASE.png is CASE. Folders of annotations beside images, runs and prepared cases are left out.

    Args:
        folder: Where to look.
        into: A folder of answers, which are no images to predict.

    Raises:
        DataError: When there are none.
    """
    left_out: list[str] = []
    passed = (folder.resolve(), *folder.resolve().parents, *([into.resolve()] if into else []))
    found = dict(_visited(folder, folder, "", passed, left_out))
    if left_out:
        log.warning("%s: folders of annotations and of runs are left out: %s.", folder, listed(left_out))
    if not found:
        raise DataError(f"{folder}: expected images; the folder holds none that hyoid reads, nor do those in it.")
    return found


def _visited(
    folder: Path, top: Path, place: str, passed: tuple[Path, ...], left_out: list[str], is_inner: bool = False
) -> Iterator[tuple[Path, str]]:
    """Images and names; folders that were passed on the way are not entered again, as links back to them would."""
    files = _without_stray_slices(folder)
    for file in files:
        stem = stem_of(file)
        yield file, place[:-1] if is_inner and f"/{place}".endswith(f"/{stem}/") else place + stem
    inner = None if files else subfolder(folder, (*IMAGE_FOLDERS, "imagests"))
    skipped = {*(file.name for file in files), *mixed_folders(folder)}
    for one in sorted(folder.iterdir()):
        if not one.is_dir() or one.name.startswith(".") or one.name in skipped:
            continue
        here = one.resolve()
        if here in passed:
            continue
        if one.name.lower() in _ANNOTATIONS or _is_ours(one):
            left_out.append(str(one.relative_to(top)))
        elif one == inner:
            yield from _visited(one, top, place, (*passed, here), left_out, is_inner=True)
        else:
            yield from _visited(one, top, f"{place}{one.name}/", (*passed, here), left_out)


def _is_ours(folder: Path) -> bool:
    """Whether a folder is a run, or a prepared case."""
    return (folder / "experiment.yaml").is_file() or (folder / "facts.json").is_file()


def _without_stray_slices(folder: Path) -> list[Path]:
    """The images of a folder; a few DICOM slices beside other images are no images of their own, and told."""
    files = images_of(folder)
    if mixed := mixed_folders(folder):
        log.warning("%s: folders that mix DICOM slices with other images are left out: %s.", folder, listed(mixed))
    slices = [file for file in files if file.is_file() and is_dicom(file)]
    if not slices or len(slices) == len(files) or not holds_volume(folder):
        return files
    log.warning(
        "%s: %d DICOM files beside other images are left out (%s); put a series into a folder of its own.",
        folder,
        len(slices),
        listed([file.name for file in slices]),
    )
    return [file for file in files if file not in slices]


def label_images_below(folder: Path, other: Path) -> Iterator[tuple[Path, str]]:
    """Every image in a folder and below it, but for another folder there, with its place and name, in name order."""
    yield from _all_below(folder, "", other.resolve())


def _all_below(folder: Path, place: str, other: Path) -> Iterator[tuple[Path, str]]:
    for one in sorted(folder.iterdir()):
        if is_image(one):
            yield one, place + stem_of(one)
        elif one.is_dir() and not one.name.startswith(".") and not one.is_symlink() and one.resolve() != other:
            yield from _all_below(one, f"{place}{one.name}/", other)
