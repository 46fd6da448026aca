"""Folds for cross validation: cases of one patient stay together, neighbours in a stack stay in one block."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Literal

import numpy as np

from .entry import amount, listed
from .splits import LEFT_OUT, folds_of, is_explicit, own_part, parts

GROUP_COLUMNS = ("patient", "pair", "subject", "group")
"""Columns that keep cases together, in order; `group` counts only where none of the others is given, since
beside `patient` it usually names a disease."""

_NO_PATIENTS = ("split", "fold", "annotated")
_PERSON = re.compile(
    r"(id|nr|(patient|subject|animal|mouse|donor|person|specimen)([\W_]*(code|no|name))?)$", re.IGNORECASE
)
_NUMBERS = re.compile(r"(?![eExTZ])[-+.,;:/x()\[\]eETZ\d\s]*\d[-+.,;:/x()\[\]eETZ\d\s]*")  # measures, dates and times
_PLACES = re.compile(r"site|cent(er|re)|hospital|scanner|vendor|diagnos|grade|icd|date|class", re.IGNORECASE)
_MEASURED = re.compile(r"\d *[.,x] *\d")
STACK_COLUMNS = ("slice", "section", "frame")
_WHOLE = re.compile(r"-?\d+")
_STACK_ID = re.compile(r"^(?:(.*)[_\-. ])?(slice|section|sec|frame|sl|z|t)[_\-. ]?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Grouping:
    """Which cases belong together, and what folds respect."""

    rule: Literal["split", "group", "stack", "case"]
    groups: Mapping[str, str]  # patient or stack of each case, its own id when nothing is known
    order: Mapping[str, int]  # place of each case in its stack (rule "stack")
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    leak: str = ""  # who is on both sides of an explicit split, in a sentence
    known: bool = False  # whether a column or names tell several groups
    split: Mapping[str, str] = field(default_factory=dict)  # the part of each case in an explicit split (rule "split")


def grouping(
    facts: Mapping[str, Mapping[str, str]], held_out: Mapping[str, Mapping[str, str]] | None = None
) -> Grouping:
    """How these cases (id: facts) may be split without leaking; those held out for a test should share no group."""
    everything = {**facts, **(held_out or {})}
    ids = sorted(facts)
    split = parts(everything)
    named = {split[i] for i in ids} - {"training"}
    explicit = is_explicit(split[i] for i in ids)
    column = next((c for c in GROUP_COLUMNS if any(facts[i].get(c) for i in ids)), None)
    if column is not None:
        found = _by_column(ids, facts, column)
        leak = _straddling(everything, column, split) if explicit or held_out else ""
        found = replace(found, leak=leak, warnings=(*found.warnings, leak) if leak else found.warnings)
    else:
        found = _stacks(ids, facts) or Grouping("case", {i: i for i in ids}, {}, (), tuple(_leaks(ids)))
        found = replace(found, warnings=(*found.warnings, *_unused(ids, facts)))
    if not explicit:
        idle = [f"All cases are {part!r} in the split, which does not say who validates." for part in named]
        return replace(found, warnings=(*found.warnings, *idle))
    decided = "The split column decides which cases validate."
    warnings = found.warnings if column is not None else tuple(_unused(ids, facts))
    return replace(found, rule="split", notes=(decided,), warnings=warnings, split={i: split[i] for i in ids})


def _straddling(facts: Mapping[str, Mapping[str, str]], column: str, split: Mapping[str, str]) -> str:
    """A sentence on groups that an explicit split puts on both sides; empty when there are none."""
    sides_of: dict[str, dict[str, str]] = {}
    for case in sorted(facts):
        if (group := facts[case].get(column)) and split[case] != LEFT_OUT:
            sides_of.setdefault(group, {}).setdefault(split[case], case)
    torn = {group: sides for group, sides in sides_of.items() if len(sides) > 1}
    if not torn:
        return ""
    group, sides = next(iter(torn.items()))
    example = " and ".join(f"{case} in {split[case]!r}" for _, case in sorted(sides.items())[:2])
    return (
        f"The split leaks: {len(torn)} of {len(sides_of)} {column}s lie in several parts ({listed(list(torn))}), such"
        f" as {group!r} with {example}. Put all cases of one {column} into one part."
    )


def _by_column(ids: Sequence[str], facts: Mapping[str, Mapping[str, str]], column: str) -> Grouping:
    groups = {i: facts[i].get(column) or i for i in ids}
    unknown = [i for i in ids if not facts[i].get(column)]
    note = f"Folds keep cases of one {column} together ({len(set(groups.values()))} of them)."
    lack = amount(len(unknown), "case lacks", "cases lack")
    warnings = [f"{lack} a {column}, such as {unknown[0]}; each stands alone."] if unknown else []
    if len(set(groups.values())) == 1 and len(ids) > 1:
        warnings.append(f"All cases are of one {column}; validation cannot be on another.")
    return Grouping("group", groups, {}, (note,), tuple(warnings), known=True)


def folds(found: Grouping, num_folds: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Validation ids of each fold; an explicit split gives the folds it names."""
    ids = sorted(found.groups)
    if found.rule == "split":
        return folds_of(found.split)
    names = sorted(set(found.groups.values()))
    if found.rule == "stack" and len(names) < num_folds:
        ordered = sorted(ids, key=lambda i: (found.groups[i], found.order[i]))
        blocks = np.array_split(np.arange(len(ordered)), min(num_folds, len(ordered)))
        return tuple(tuple(sorted(ordered[k] for k in block)) for block in blocks)
    members: dict[str, list[str]] = {name: [] for name in names}
    for case in ids:
        members[found.groups[case]].append(case)
    shuffled = [names[k] for k in np.random.default_rng(seed).permutation(len(names))]
    shuffled.sort(key=lambda name: -len(members[name]))  # stable: large groups first, chance among equals
    dealt: list[list[str]] = [[] for _ in range(min(num_folds, len(names)))]
    for name in shuffled:
        min(dealt, key=len).extend(members[name])
    return tuple(tuple(sorted(part)) for part in dealt)


def inherited(
    found: Grouping, parts: Mapping[str, str], fold: int, num_folds: int, seed: int
) -> tuple[str, ...] | None:
    """Validation ids where an earlier run decided on some cases (id: training or validation); None where it cannot.

    Whole groups keep their part: training when any case of them had it; of a stack each slice does, and a new slice
    goes with the nearest old one. New groups are dealt as usual. An explicit split is not changed, nor one of which
    nothing would be left to judge or to learn from.
    """
    new = undecided(found, parts)
    found = _by_slice(found, parts)
    kept = {part: {found.groups[i] for i in parts if parts[i] == part} for part in ("training", "validation")}
    dealt = folds(replace(found, groups=new), num_folds, seed) if new and found.rule != "split" else ()
    judged = [i for i, group in found.groups.items() if group in kept["validation"] - kept["training"]]
    validation = tuple(sorted([*judged, *(dealt[fold % len(dealt)] if dealt else ())]))
    return validation if found.rule != "split" and parts and 0 < len(validation) < len(found.groups) else None


def undecided(found: Grouping, parts: Mapping[str, str]) -> dict[str, str]:
    """New cases, and their group, of which no case has a part (id: training or validation) yet."""
    groups = {found.groups[i] for i in parts}
    return {case: group for case, group in found.groups.items() if group not in groups}


def _by_slice(found: Grouping, parts: Mapping[str, str]) -> Grouping:
    """Each slice of a stack grouped with the nearest that has a part, of equally near ones with one that trains."""
    if found.rule != "stack":
        return found

    def nearest(case: str, group: str) -> str:
        known = [one for one in parts if found.groups[one] == group]
        far = lambda one: (abs(found.order[one] - found.order[case]), parts[one] != "training")  # noqa: E731
        return min(known, key=far, default=group)

    return replace(found, groups={case: nearest(case, group) for case, group in found.groups.items()})


def teaching(
    found: Grouping,
    facts: Mapping[str, Mapping[str, str]],
    unlabelled: Mapping[str, Mapping[str, str]],
    validation: Sequence[str],
) -> tuple[str, ...]:
    """Ids of the unlabelled cases (id: facts) that may teach while these annotated ones validate.

    Left out are those of a patient (or another group) that validates, those that an explicit split puts among the
    validation cases, and slices of a stack whose nearest annotated slice validates.
    """
    column = next((c for c in GROUP_COLUMNS if any(row.get(c) for row in facts.values())), "")
    patients = {facts[i].get(column) for i in validation} - {None, ""}
    words = {found.split.get(i) for i in validation} - {None}

    def validates(case: str, row: Mapping[str, str]) -> bool:
        part = own_part(row)
        explicit = part == "validation" or part in words
        return explicit or row.get(column) in patients or _neighbour(found, case, row) in validation

    return tuple(case for case in sorted(unlabelled) if not validates(case, unlabelled[case]))


def _neighbour(found: Grouping, case: str, row: Mapping[str, str]) -> str | None:
    """The annotated slice nearest to an unlabelled one of the same stack; None for a case of no known stack."""
    number = next((row[c] for c in STACK_COLUMNS if _WHOLE.fullmatch(row.get(c, ""))), None)
    match = _STACK_ID.match(case)
    stack, place = ("stack", int(number)) if number else (match[1] or "stack", int(match[3])) if match else ("", 0)
    slices = [i for i in found.order if found.groups[i] == stack]
    return min(slices, key=lambda i: abs(found.order[i] - place), default=None)


def _stacks(ids: Sequence[str], facts: Mapping[str, Mapping[str, str]]) -> Grouping | None:
    """Cases that are consecutive slices: blocks, since neighbours look alike."""
    if len(ids) < 2:
        return None
    for column in STACK_COLUMNS:
        numbers = [facts[i].get(column, "") for i in ids]
        if all(map(_WHOLE.fullmatch, numbers)) and len(set(numbers)) == len(ids):
            return _blocks(dict.fromkeys(ids, "stack"), dict(zip(ids, map(int, numbers), strict=True)), column)
    matches = {i: _STACK_ID.match(i) for i in ids}
    if all(matches.values()):
        stacks = {i: (m[1] or "stack") for i, m in matches.items() if m}
        return _blocks(stacks, {i: int(m[3]) for i, m in matches.items() if m}, "slice")
    return None


def _blocks(stacks: dict[str, str], order: dict[str, int], column: str) -> Grouping:
    several = len(set(stacks.values()))
    how = f"{several} stacks, each kept together" if several >= 5 else "contiguous blocks"
    note = f"Cases look like consecutive {column}s of a stack; folds are {how}, so that neighbours do not leak."
    return Grouping("stack", stacks, order, (note,), known=several > 1)


def _leaks(ids: Sequence[str]) -> list[str]:
    """A warning when names share beginnings, as several images of one patient do."""
    starts: dict[str, list[str]] = {}
    for case in ids:
        start = re.sub(r"[_\-. ][^_\-. ]+$", "", case)
        starts.setdefault(start, []).append(case)
    for case in ids:
        if case in starts and case not in starts[case]:  # `scan` beside `scan_cropped`
            starts[case].append(case)
    shared = {start: cases for start, cases in starts.items() if len(cases) > 1}
    together = sum(map(len, shared.values()))
    if len(starts) < 2 or not shared or together < 0.2 * len(ids):
        return []
    example = next(iter(shared.values()))
    return [
        f"{together} cases share the beginning of their names, such as {example[0]} and {example[1]}; if they are of"
        " one patient, a random split leaks. Add a cases.csv with columns case and patient."
    ]


def _unused(ids: Sequence[str], facts: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Warnings on columns that may be patients under another name: a few cases in a row share each entry."""
    found = []
    for column in dict.fromkeys(name for i in ids for name in facts[i] if name not in _NO_PATIENTS):
        entries = [facts[i].get(column, "") for i in ids]
        kinds, blocks = len(set(entries)), sum(1 for _ in groupby(entries))
        together = sum(count for count in Counter(entries).values() if count > 1)
        if (
            "" not in entries
            and not (all(map(_NUMBERS.fullmatch, entries)) and any(map(_MEASURED.search, entries)))
            and max(3, len(ids) / 6) <= kinds
            and 2 * together >= len(ids)
            and not _PLACES.search(column)
            and (_PERSON.search(column) or (blocks == kinds and not all(map(_NUMBERS.fullmatch, entries))))
        ):
            found.append(
                f"The column `{column}` is not used, but {together} of {len(ids)} cases share their entry with others."
                " If the entries are patients, call it `patient`, so that none is on both sides of the split."
            )
    return found
