"""Folds for cross validation: cases of one patient stay together, neighbours in a stack stay in one block."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

GROUP_COLUMNS = ("patient", "pair", "subject", "group")
"""Columns that keep cases together, in order; `group` counts only where none of the others is given, since
beside `patient` it usually names a disease."""

STACK_COLUMNS = ("slice", "section", "frame")
_STACK_ID = re.compile(r"^(?:(.*)[_\-. ])?(slice|section|sec|frame|sl|z|t)[_\-. ]?(\d+)$", re.IGNORECASE)


@dataclass(frozen=True)
class Grouping:
    """Which cases belong together.

    Attributes:
        rule: "split", "group", "stack" or "case": what the folds respect.
        groups: Group of each case.
        order: Place of each case in its stack (rule "stack").
        notes: What was decided.
        warnings: What could leak.
    """

    rule: str
    groups: Mapping[str, str]
    order: Mapping[str, int]
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def grouping(facts: Mapping[str, Mapping[str, str]]) -> Grouping:
    """How these cases (id: facts) may be split without leaking."""
    ids = sorted(facts)
    if ids and all(facts[i].get("split") or facts[i].get("fold") for i in ids):
        return Grouping("split", {i: facts[i].get("split") or facts[i]["fold"] for i in ids}, {})
    for column in GROUP_COLUMNS:
        if ids and all(facts[i].get(column) for i in ids):
            groups = {i: facts[i][column] for i in ids}
            if len(set(groups.values())) > 1:
                note = f"Folds keep cases of one {column} together ({len(set(groups.values()))} of them)."
                return Grouping("group", groups, {}, (note,))
    return _stacks(ids, facts) or Grouping("case", {i: i for i in ids}, {}, (), tuple(_leaks(ids)))


def folds(found: Grouping, num_folds: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Validation ids of each fold; an explicit split gives the folds it names."""
    ids = sorted(found.groups)
    if found.rule == "split":
        return _explicit(found.groups)
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
    parts: list[list[str]] = [[] for _ in range(min(num_folds, len(names)))]
    for name in shuffled:
        min(parts, key=len).extend(members[name])
    return tuple(tuple(sorted(part)) for part in parts)


def _explicit(split: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    words = sorted(set(split.values()))
    if all(word.lstrip("-").isdigit() for word in words) and len(words) > 1:
        return tuple(tuple(sorted(i for i, s in split.items() if s == word)) for word in sorted(words, key=int))
    validation = [i for i, s in split.items() if s.lower() in VALIDATION_WORDS]
    return (tuple(sorted(validation)),)


VALIDATION_WORDS = ("val", "valid", "validation", "dev")
TEST_WORDS = ("test", "holdout", "held_out", "unused", "exclude")


def _stacks(ids: Sequence[str], facts: Mapping[str, Mapping[str, str]]) -> Grouping | None:
    """Cases that are consecutive slices: blocks, since neighbours look alike."""
    if len(ids) < 2:
        return None
    for column in STACK_COLUMNS:
        numbers = [facts[i].get(column, "") for i in ids]
        if all(n.lstrip("-").isdigit() for n in numbers) and len(set(numbers)) == len(ids):
            return _blocks(ids, dict.fromkeys(ids, ""), dict(zip(ids, map(int, numbers), strict=True)), column)
    matches = {i: _STACK_ID.match(i) for i in ids}
    if all(matches.values()):
        stacks = {i: (m[1] or "") for i, m in matches.items() if m}
        return _blocks(ids, stacks, {i: int(m[3]) for i, m in matches.items() if m}, "slice")
    return None


def _blocks(ids: Sequence[str], stacks: dict[str, str], order: dict[str, int], column: str) -> Grouping:
    several = len(set(stacks.values()))
    how = f"{several} stacks, each kept together" if several >= 5 else "contiguous blocks"
    note = f"Cases look like consecutive {column}s of a stack; folds are {how}, so that neighbours do not leak."
    return Grouping("stack", stacks, order, (note,))


def _leaks(ids: Sequence[str]) -> list[str]:
    """A warning when names share beginnings, as several images of one patient do."""
    starts: dict[str, list[str]] = {}
    for case in ids:
        start = re.sub(r"[_\-. ]?(\d+|[^_\-. ]+)$", "", case) if re.search(r"[_\-. ]", case) else case
        starts.setdefault(start, []).append(case)
    shared = {start: cases for start, cases in starts.items() if len(cases) > 1}
    together = sum(map(len, shared.values()))
    if len(starts) < 2 or not shared or together < 0.2 * len(ids):
        return []
    example = next(iter(shared.values()))
    return [
        f"{together} cases share the beginning of their names, such as {example[0]} and {example[1]}; if they are of"
        " one patient, a random split leaks. Add a cases.csv with columns case and patient."
    ]
