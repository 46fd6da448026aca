"""Dataset: cases found in any layout, checked, with their annotations mapped to label values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from ..core.case import Case, Image
from ..core.errors import DataError
from ..core.grid import Grid
from ..core.labels import Labels
from ..core.progress import log
from ..files.formats import read_header, whole_numbers
from ..files.order import in_c_order
from . import groups
from .agreement import turn_between
from .cases import find_images, read_case, read_other, read_target
from .entry import Entry, Found, TruthFiles, amount, listed
from .layouts import find
from .masks import Encoding, grey, pieces_of_values, read_labels, read_raw, value_counts
from .recognise import recognise
from .splits import LEFT_OUT, own_part, parts
from .structures import name_of, structure_files
from .survey import Look, Seen, implausible, look_at_all

__all__ = ["Dataset", "Entry", "find_images", "open_dataset", "read_case"]


@dataclass(frozen=True)
class Dataset:
    """A set of images, of which some or all are annotated.

    Attributes:
        root: Where it was opened.
        layout: How its files are arranged, in words.
        cases: The annotated cases, in order of their ids.
        labels: Structures and their values; without names when the truth is an image or a field.
        channel_names: What each channel is.
        encoding: How annotation files become label values.
        notes: What was decided while reading, one sentence each.
        warnings: What may go wrong, one sentence each.
        seen: Facts of each case from headers and annotations.
        held_out: Cases that an explicit split marks as test or leaves out; never trained on or validated with.
        unlabelled: Cases without annotation, in order of their ids; for regimes that learn from images alone.
        truth: What the cases are annotated with.
    """

    root: Path
    layout: str
    cases: tuple[Entry, ...]
    labels: Labels
    channel_names: tuple[str, ...]
    encoding: Encoding
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    seen: Mapping[str, Seen] = field(default_factory=dict)
    held_out: tuple[Entry, ...] = ()
    unlabelled: tuple[Entry, ...] = ()
    truth: TruthFiles = "labels"

    def __len__(self) -> int:
        return len(self.cases)

    @property
    def ids(self) -> tuple[str, ...]:
        """Ids of the annotated cases, in order."""
        return tuple(entry.id for entry in self.cases)

    def entry(self, case_id: str) -> Entry:
        """Where a case lies on disk."""
        for entry in (*self.cases, *self.held_out, *self.unlabelled):
            if entry.id == case_id:
                return entry
        raise DataError(f"{self.root}: there is no case {case_id!r}.")

    @property
    def num_others(self) -> int:
        """How many cases have a second image."""
        return sum(bool(entry.other) for entry in (*self.cases, *self.unlabelled))

    def annotated(self, case_id: str) -> tuple[str, ...] | None:
        """Names of the structures that were annotated in a case; None when all were."""
        names = self.entry(case_id).annotated
        return None if names is None or set(names) >= set(self.labels.names) else names

    def read(self, case_id: str, numbered: bool = False, other: bool = False) -> Case:
        """Image and truth of a case, on one grid, channels harmonised, annotation mapped.

        Args:
            case_id: Which one.
            numbered: Whether the truth is the numbers of the objects (`read_instances`), and not their structure.
            other: Whether the second image is read too, where the case has one.

        Raises:
            DataError: When grids do not fit, numbers are NaN or infinite, or values are unknown.
        """
        entry = self.entry(case_id)
        case = replace(read_case(entry, len(self.channel_names)), annotated=self.annotated(case_id))
        if other and entry.other:
            case = replace(case, other=read_other(entry, case.image.grid, len(self.channel_names)))
        if entry.target is not None:
            return replace(case, truth=read_target(entry, case.image.grid, self.truth))
        if entry.label is None:
            return case
        if numbered:
            return replace(case, truth=self.read_instances(case_id))
        labels = _turned(entry, case.image.grid, *read_labels(entry.label, self.encoding))
        if unknown := sorted(value_counts(labels.array).keys() - set(self.labels.known_values)):
            values = listed(list(map(str, unknown)))
            raise DataError(f"{case_id}: the annotation {entry.first_label} has values that no label names: {values}.")
        return replace(case, truth=labels)

    def read_instances(self, case_id: str) -> Image:
        """Object numbers (0 background) of a case whose annotation tells objects apart.

        Raises:
            DataError: When the annotations of this set do not number objects.
        """
        entry = self.entry(case_id)
        if self.encoding.kind not in ("instances", "objects") or entry.label is None:
            raise DataError(f"{case_id}: the annotations of this set do not number single objects.")
        stored = read_raw(entry.label)
        numbers, grid = whole_numbers(entry.first_label, grey(entry.first_label, stored.array)), stored.header.grid
        if self.encoding.restarts:
            numbers = pieces_of_values(numbers[0])[None]
        return _turned(entry, read_header(entry.images[0]).grid, numbers, grid)

    @cached_property
    def grouping(self) -> groups.Grouping:
        """Which cases belong together when splitting."""
        return groups.grouping(*({entry.id: entry.facts for entry in some} for some in (self.cases, self.held_out)))

    @property
    def has_groups(self) -> bool:
        """Whether it is known which cases are of one patient (pair, subject, group), or of which stack."""
        return self.grouping.known

    def group_of(self, case_id: str) -> str:
        """The patient (or pair, subject, group, stack) of a case; its own id when nothing is known."""
        if not self.grouping.known:
            return case_id
        facts = self.entry(case_id).facts
        given = next((facts[column] for column in groups.GROUP_COLUMNS if facts.get(column)), case_id)
        return self.grouping.groups.get(case_id, given)

    def folds(self, num_folds: int = 5, seed: int = 0) -> tuple[tuple[str, ...], ...]:
        """Validation ids of each fold: groups stay together, slices of a stack in blocks, an explicit split wins.

        The same seed gives the same folds. There are fewer folds than asked when there are fewer groups, and
        one when a split column names the validation cases.
        """
        return groups.folds(self.grouping, num_folds, seed)

    def split(
        self, fold: int = 0, num_folds: int = 5, seed: int = 0, validation: tuple[str, ...] | None = None
    ) -> tuple[tuple[str, ...], ...]:
        """Training, validation and unlabelled ids of one fold; unlabelled cases of patients that validate are left out.

        With a single case it is in training and validation, and a warning says so. Validation ids may be given.
        """
        all_folds = self.folds(num_folds, seed)
        if not 0 <= fold < len(all_folds):
            raise DataError(f"{self.root}: there is no fold {fold}; this set has folds 0 to {len(all_folds) - 1}.")
        validation = all_folds[fold] if validation is None else validation
        training = tuple(i for i in self.ids if i not in set(validation))
        if not training:
            log.warning("%s: only one group of cases; validation uses the training cases and flatters.", self.root)
            training = validation
        judged = (*validation, *(entry.id for entry in self.held_out))
        facts, others = (
            {entry.id: entry.facts for entry in some} for some in ((*self.cases, *self.held_out), self.unlabelled)
        )
        return training, validation, groups.teaching(self.grouping, facts, others, judged)

    @property
    def test(self) -> tuple[str, ...]:
        """Ids of the annotated cases that are marked as test, in order."""
        return tuple(one.id for one in self.held_out if one.is_labelled and own_part(one.facts) == "test")

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain values for JSON, so that a run remembers its data set without scanning again."""
        return TypeAdapter(Dataset).dump_python(self, mode="json")

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> Dataset:
        """The data set that `to_dict` described."""
        return TypeAdapter(cls).validate_python(values)


def open_dataset(path: str | Path) -> Dataset:
    """The data set at a path, with all headers and annotations checked.

    Args:
        path: A folder in one of the usual layouts, a dataset.json, a manifest, or an image with its annotation
            beside it.

    Raises:
        DataError: When nothing fits, files do not belong together, or no voxel is labelled.
    """
    path = Path(path).absolute()
    found = find(path)
    notes, warnings = list(found.notes), list(found.warnings)
    entries = sorted(found.entries, key=lambda entry: entry.id)
    without = [entry.id for entry in entries if not entry.is_labelled]
    if len(without) == len(entries):
        raise DataError(f"{path}: no image has an annotation.")
    if without:
        notes.append(
            f"{len(without)} of {len(entries)} images have no annotation ({listed(without)}); supervised training does"
            " not use them."
        )
    if second := sum(bool(entry.other) for entry in entries):
        notes.append(f"{second} of {len(entries)} cases have a second image; only regimes that feed on `pairs` use it.")
    owners = {path: entry.id for entry in entries for path in entry.images}
    if shared := [one.id for one in entries if any(owners.get(path, one.id) != one.id for path in one.other)]:
        warnings.append(
            f"The second image of {listed(shared)} is the image of another case; unless a column `pair` or `patient`"
            " keeps them together, training may see what validates."
        )
    files = structure_files([entry.label for entry in entries], found.labels)
    if files:
        entries = [_with_names(entry, files) for entry in entries]
    looks = look_at_all(entries, files, found.truth)
    encoding, labels, told, doubts = _meaning(looks, found, files, notes)
    labelled, others = ([look for look in looks if (look.case in without) == bare] for bare in (False, True))
    channel_names = _channels([entry for entry in entries if entry.is_labelled], labelled, found.channel_names, notes)
    _check_alike(others, labelled[0], len(channel_names))
    cases, held_out = _held_out(path, entries, notes, warnings)
    unlabelled = tuple(entry for entry in cases if not entry.is_labelled)
    cases = tuple(entry for entry in cases if entry.is_labelled)
    warnings += _partly([*cases, *held_out], labels)
    seen = {look.case: look.seen(encoding) for look in looks}
    found_cases = (cases, labels, channel_names, encoding, (), (), seen, held_out, unlabelled, found.truth)
    dataset = Dataset(path, found.layout, *found_cases)
    notes += [*told, *_remarks([(look.case, look.notes) for look in looks]), *dataset.grouping.notes]
    bare = [case for case, one in seen.items() if not one.calibrated]
    if 0 < len(bare) < len(seen):
        warnings.append(
            f"{len(bare)} of {len(seen)} images do not know their voxel size ({listed(bare)}); lengths of all are"
            " counted in voxels."
        )
    warnings += [
        *doubts,
        *_remarks([(look.case, implausible(look.header)) for look in looks]),
        *dataset.grouping.warnings,
    ]
    return replace(dataset, notes=tuple(notes), warnings=tuple(warnings))


def _with_names(entry: Entry, files: Mapping[str, int]) -> Entry:
    names = [name_of(file, files) for file in entry.label] if isinstance(entry.label, tuple) else []
    if not names or set(names) >= files.keys():
        return entry
    return replace(entry, facts={"annotated": ";".join(names), **entry.facts})


def _meaning(
    looks: Sequence[Look], found: Found, files: Mapping[str, int], notes: list[str]
) -> tuple[Encoding, Labels, list[str], list[str]]:
    """How annotations become label values, what these mean, notes and warnings; nothing of images and fields."""
    if found.truth == "labels":
        return recognise([look.marks for look in looks if look.marks], found.labels, found.instances, files)
    numbers = {look.target_channels: look.case for look in looks if look.target_channels}
    if len(numbers) > 1:
        raise DataError(f"Every target needs the same channels: {_examples(numbers)}.")
    what = "an image" if found.truth == "image" else "a field of displacements"
    notes.append(f"The truth of a case is {what}, with {next(iter(numbers))} channels.")
    return Encoding(), Labels(names=(), values=()), [], []


def _partly(entries: Sequence[Entry], labels: Labels) -> list[str]:
    """A warning on cases in which only some structures were annotated; one that there is not is refused."""
    some = [entry for entry in entries if not set(labels.names) <= set(entry.annotated or labels.names)]
    for entry in some:
        if unknown := sorted(set(entry.annotated or ()) - set(labels.names)):
            raise DataError(
                f"{entry.id}: `annotated` names {listed(unknown)}, but the structures are {', '.join(labels.names)}."
            )
    if not some:
        return []
    counts = [sum(name in (e.annotated or labels.names) for e in entries) for name in labels.names]
    told = ", ".join(f"{name} in {n}" for name, n in zip(labels.names, counts, strict=True))
    return [
        f"{len(some)} of {len(entries)} cases are annotated in part ({told}); each structure is judged where it was"
        " annotated, and where it was not, background does not teach."
    ]


def _check_alike(looks: Sequence[Look], example: Look, channels: int) -> None:
    dims = example.header.grid.dims
    for look in looks:
        fits = {channels} if dims == 3 or channels not in (1, 3) else {1, 3}
        if look.header.grid.dims != dims or look.channels not in fits:
            raise DataError(
                f"{look.case}: an image without annotation needs {channels} channels on {dims} axes like"
                f" {example.case}; this one has {look.channels} on {look.header.grid}. Take it out of the data set."
            )


def _held_out(
    path: Path, entries: Sequence[Entry], notes: list[str], warnings: list[str]
) -> tuple[tuple[Entry, ...], tuple[Entry, ...]]:
    """Cases to learn from or validate with, and those of a test or of no part."""
    part = parts({entry.id: entry.facts for entry in entries if entry.is_labelled})
    part = {entry.id: part.get(entry.id) or own_part(entry.facts) for entry in entries}
    kept, left = ([entry for entry in entries if part[entry.id] == which] for which in ("test", LEFT_OUT))
    spared = [entry.id for entry in left if own_part(entry.facts) == LEFT_OUT]
    blank = [entry.id for entry in left if entry.id not in spared]
    are = ("case is", "cases are")
    if kept:
        notes.append(f"{amount(len(kept), *are)} marked as test and kept out; `hyoid evaluate RUN --test` judges them.")
    if spared:
        notes.append(f"{amount(len(spared), *are)} marked as left out ({listed(spared)}).")
    if blank:
        where = "in no part of the split and left out"
        warnings.append(f"{amount(len(blank), *are)} {where} ({listed(blank)}); write `train` where they should teach.")
    held_out = tuple(entry for entry in entries if entry in kept or entry in left)
    if all(entry in held_out for entry in entries if entry.is_labelled):
        raise DataError(f"{path}: every case is marked as test or left out; none is left to train on.")
    return tuple(entry for entry in entries if entry not in held_out), held_out


def _remarks(told: Sequence[tuple[str, Sequence[str]]]) -> list[str]:
    """Remarks on single cases, those that several share told once, with the figures of the first."""
    cases: dict[str, list[tuple[str, str]]] = {}
    for case, notes in told:
        for note in notes:
            cases.setdefault(re.sub(r"\d[\d.e+-]*", "0", note), []).append((case, note))
    return [
        f"{(a := alike[0])[0]}{f' and {len(alike) - 1} more' if alike[1:] else ''}: {a[1]}" for alike in cases.values()
    ]


def _examples(numbers: Mapping[int, str]) -> str:
    return ", ".join(f"{numbers[count]} has {count}" for count in sorted(numbers))


def _channels(
    entries: Sequence[Entry], looks: Sequence[Look], declared: tuple[str, ...], notes: list[str]
) -> tuple[str, ...]:
    dims = {look.header.grid.dims: look.case for look in looks}
    if len(dims) > 1:
        raise DataError(f"Flat images ({dims[2]}) and volumes ({dims[3]}) are mixed; make two data sets of them.")
    pictures = dims.keys() == {2} and all(len(entry.images) == 1 for entry in entries)
    numbers = {look.channels: look.case for look in looks}
    if pictures and numbers.keys() == {1, 3}:
        grey = sum(look.channels == 1 for look in looks)
        notes.append(f"{grey} of {len(looks)} images are grey among colour ones; grey is repeated as RGB.")
    elif len(numbers) > 1:
        raise DataError(f"Every case needs the same channels: {_examples(numbers)}.")
    count = max(numbers)
    if declared and len(declared) != count:
        raise DataError(f"{len(declared)} channels are declared ({', '.join(declared)}), but the images have {count}.")
    if pictures and count == 3 and not declared:
        return ("red", "green", "blue")
    return declared or (("intensity",) if count == 1 else tuple(f"channel_{k}" for k in range(count)))


def _turned(entry: Entry, image: Grid, array: np.ndarray, grid: Grid) -> Image:
    """Labels that lie on a grid of their own, on that of the image."""
    turn = turn_between(entry.id, (entry.images[0], image), (entry.first_label, grid), "labels")
    return Image(in_c_order(turn(array)), image, "labels")
