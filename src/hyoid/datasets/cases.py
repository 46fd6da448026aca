"""Images of single cases: finding what to predict, and reading all channels of a case onto one grid."""

from __future__ import annotations

import re
from collections.abc import Sequence, Set
from dataclasses import replace
from pathlib import Path
from typing import cast

import numpy as np

from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.progress import log
from ..files.blocks import Channels
from ..files.formats import beside_slices, is_image, open_image, read_header, read_image, stem_of, suffix_of
from ..files.order import in_c_order
from .agreement import turn_between
from .below import images_below
from .contents import by_name, one_of_pairs
from .endings import Files, joined, numbered, starts_of
from .entry import Entry, TruthFiles, listed


def find_images(path: str | Path | Sequence[str | Path], channels: int | Sequence[str] = 1) -> list[Entry]:
    """The cases to predict: a file, a DICOM folder, a folder of images and of folders of them, or a list of these.

    Where several `channels` are wanted, `case_0000`, `case_0001` ... are joined when they are exactly that many, and so
    are files that end with the names of the channels, as `case_t1` or `case/t1`.

    Raises:
        DataError: When there is nothing to read, a name occurs twice, or a channel is missing.
    """
    named: dict[Path, str] = {}
    for one in [path] if isinstance(path, str | Path) else path:
        here = Path(one)
        if not here.exists():
            raise DataError(f"{here}: there is no such file or folder.")
        if here.is_dir() and not is_image(here):
            named |= images_below(here)
        else:
            if here.is_dir() and (others := beside_slices(here)):
                names = listed([file.name for file in others])
                log.warning("%s: a DICOM series; images beside it are left out: %s.", here, names)
            named[here] = stem_of(here)
    files = [file for file in one_of_pairs(list(named)) if suffix_of(file) != ".seg.nrrd"]
    if not files:
        raise DataError("No image is named; give a file, a folder or a list of files.")
    by_stem = by_name(files, named.__getitem__)
    endings = numbered(channels) if isinstance(channels, int) else tuple(channels)
    cases = joined(by_stem.keys(), numbered(len(endings)))
    if len(endings) > 1 and all(len(one) == 1 for one in cases.values()):
        cases = _by_channel(by_stem.keys(), endings)
    return [
        Entry(case, tuple(by_stem[one[ending]] for ending in (endings if set(endings) == one.keys() else sorted(one))))
        for case, one in sorted(cases.items())
    ]


def _by_channel(stems: Set[str], names: Sequence[str]) -> Files:
    """Files that end with the names of the channels by case; other files of such a case are left out, and told."""
    between = "-_ ./"
    cases = joined(stems, names, between)
    whole = {case: one for case, one in cases.items() if len(one) > 1}
    rest: Files = {}
    left_out = []
    for stem in (stem for stem in cases if stem not in whole):
        parts = [] if not whole else list(starts_of(stem, between))
        if short := next((case for case, ending in parts if ending in names), None):
            raise DataError(
                f"{short}: expected files for the channels {listed(names, 9)}; found {stem} without the rest."
            )
        if any(case in whole for case, _ in parts):
            left_out.append(stem)
        else:
            rest[stem] = cases[stem]
    if left_out:
        log.warning("Files beside the channels are left out: %s.", listed(sorted(left_out)))
    return {re.sub(r"(^|/)([^/]+)/\2$", r"\1\2", case): one for case, one in whole.items()} | rest


def read_case(entry: Entry, channels: int | None = None) -> Case:
    """The image of a case without its labels, all channels on one grid.

    Where three `channels` are wanted, grey is repeated; other differences are refused.

    Raises:
        DataError: When channels do not fit each other or the wanted number, or numbers are NaN or infinite.
    """
    parts = [read_image(path) for path in entry.images]
    grid = parts[0].grid
    arrays = [
        turn_between(entry.id, (entry.images[0], grid), (path, part.grid), "intensities")(part.array)
        for path, part in zip(entry.images, parts, strict=True)
    ]
    array = arrays[0] if len(arrays) == 1 else np.concatenate(arrays)
    names = ", ".join(path.name for path in entry.images)
    if channels is not None:
        array = harmonised(array, channels, entry.id, names)
    check_finite(array, entry.id, str(entry.images[0]))
    return Case(entry.id, Image(array, grid), None, {**entry.facts, "image": str(entry.images[0])})


def read_target(entry: Entry, grid: Grid, truth: TruthFiles) -> Image:
    """The target of a case on the grid of its image, float32 when its numbers are fractions.

    Raises:
        DataError: When it lies elsewhere, or numbers are NaN or infinite.
    """
    assert entry.target is not None
    part = read_image(entry.target)
    array = turn_between(entry.id, (entry.images[0], grid), (entry.target, part.grid))(part.array)
    check_finite(array, entry.id, str(entry.target))
    return Image(in_c_order(array), grid, "field" if truth == "field" else "intensities")


def read_other(entry: Entry, grid: Grid, channels: int) -> Image:
    """The second image of a case on the grid of the first; where it does not reach, its smallest number.

    Raises:
        DataError: When it lies elsewhere or has other channels, or numbers are NaN or infinite.
    """
    part = read_case(replace(entry, images=entry.other), channels).image
    turn = turn_between(entry.id, (entry.images[0], grid), (entry.other[0], part.grid), "intensities")
    return Image(in_c_order(turn(part.array)), grid)


def channel_remarks(entry: Entry) -> list[str]:
    """What is done to channels that do not lie on the grid of the first.

    Raises:
        DataError: When they show another place.
    """
    if len(entry.images) == 1:
        return []
    first, *others = [(path, read_header(path).grid) for path in entry.images]
    turns = [turn_between(entry.id, first, other, "intensities") for other in others]
    return [f"Channels have {turn.remark}." for turn in turns if turn.remark]


def open_case(entry: Entry, channels: int | None = None) -> Case | None:
    """The image of a case as `read_case` gives it, but on disk and read box by box; None when it must be read whole.

    Numbers that are NaN or infinite are met when they are read.
    """
    grids = [read_header(path).grid for path in entry.images]
    parts = [open_image(path) for path in entry.images]
    opened = [part for part in parts if part is not None]
    if len(opened) < len(parts) or not all(grid.matches(grids[0]) for grid in grids):
        return None
    if channels == 3 and len(opened) == 1 and opened[0].shape[0] == 1:
        opened *= 3
    array = opened[0] if len(opened) == 1 else Channels(tuple(opened))
    if channels is not None and array.shape[0] != channels:
        return None
    image = Image(cast(np.ndarray, array), grids[0])
    return Case(entry.id, image, None, {**entry.facts, "image": str(entry.images[0])})


def harmonised(array: np.ndarray, channels: int, case_id: str, source: str) -> np.ndarray:
    """An array (C, *S) with the wanted number of channels: grey for colour and the other way round.

    Raises:
        DataError: When it has another number, naming the case and the source.
    """
    if len(array) == channels:
        return array
    if len(array) == 1 and channels == 3:
        return np.repeat(array, 3, axis=0)
    if len(array) == 3 and channels == 1 and (array[0] == array[1]).all() and (array[0] == array[2]).all():
        return array[:1]
    raise DataError(f"{case_id}: expected {channels} channels; {source} gives {len(array)}.")


def check_finite(array: np.ndarray, case_id: str, source: str) -> None:
    """Refuse an array (C, *S) with NaN or infinite numbers, naming the case and the source."""
    if array.dtype.kind != "f" or np.isfinite(array.sum(dtype=np.float64)):
        return  # one NaN or infinity makes the sum so
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        place = tuple(bad[0][1:].tolist())
        raise DataError(
            f"{case_id}: {len(bad)} voxels of {source} are NaN or infinite, the first at {place}."
            " Replace them (for example by 0) and try again."
        )
