"""What a table says of who learns, who validates and who is kept for a test, in the words that people use."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..core.errors import DataError

LEFT_OUT = "left out"
WORDS = {
    "training": ("train", "training", "trn", "tr"),
    "validation": ("val", "valid", "validation", "validate", "dev", "tune", "tuning", "eval", "evaluation"),
    "test": ("test", "testing", "tst", "ts", "te", "holdout", "heldout"),
    LEFT_OUT: ("unused", "exclude", "excluded"),
}
"""Words for each part; numbers are folds, and a negative number leaves a case out."""

_PART = {word: part for part, words in WORDS.items() for word in words}
_FOLD = re.compile(r"(?:fold|cv|f)?[\s_-]*0*(\d+)(?:\.0*)?", re.IGNORECASE)


def part_of(word: str) -> str | None:
    """The part that a word means, `2` for `fold_2` or `2.0`; empty for a blank, None for an unknown word."""
    word = word.strip()
    if re.fullmatch(r"-\d+(\.0*)?", word):
        return LEFT_OUT
    if fold := _FOLD.fullmatch(word):
        return fold[1]
    bare = re.sub(r"[\W_]+", "", word.lower())
    return _PART.get(bare.removesuffix("set")) if bare else "" if not word else None


def part_in(folder: str) -> str:
    """The word for a part or a fold in the name of a folder; empty for others, `01` and `f1`, which may be patients."""
    word = re.sub(r"[-_ ]?(data|images?|cases|split)$", "", folder, flags=re.IGNORECASE)
    return word if part_of(word) and not re.fullmatch(r"f?[\W_\d]*", word, re.IGNORECASE) else ""


def check_words(where: str, words: Iterable[str]) -> None:
    """Refuse words of a column that mean no part, and `eval` where it may be validation or test.

    Raises:
        DataError: Naming the word and those that are known.
    """
    given = {word.strip().lower() for word in words}
    if unknown := sorted(word for word in given if part_of(word) is None):
        known = "; ".join(f"{part}: {', '.join(some)}" for part, some in WORDS.items())
        raise DataError(
            f"{where} says {unknown[0]!r}, which is no known part. Known are {known}; and numbers of folds."
        )
    validating = {word for word in given if part_of(word) == "validation"}
    if validating & {"eval", "evaluation"} and validating - {"eval", "evaluation"}:
        raise DataError(f"{where} says {' and '.join(sorted(validating))}; write val and test instead.")


def parts(facts: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """The part of each case (id: facts): training, validation, test, left out, or the number of its fold.

    A test case stays one whatever another column says. Where `split` names who validates, it decides; otherwise
    `fold` does. A blank is training where a table marks only the exceptions, and left out where it names folds or
    who trains.
    """
    by_split = any(part_of(row.get("split", "")) == "validation" for row in facts.values())
    found = {case: own_part(row, by_split) for case, row in facts.items()}
    named = set(found.values())
    if "validation" in named and any(map(str.isdigit, named)):
        raise DataError("The split names both a validation part and numbers of folds; write one of the two.")
    blank = LEFT_OUT if "training" in named or any(map(str.isdigit, named)) else "training"
    return {case: part or blank for case, part in found.items()}


def own_part(row: Mapping[str, str], by_split: bool = False) -> str:
    """The part that a case's own entries say, whether or not `fold` counts; empty when they say nothing."""
    split, fold = (part_of(row.get(name, "")) or "" for name in ("split", "fold"))
    if "test" in (split, fold):
        return "test"
    if by_split or split == LEFT_OUT:
        return split
    return split if split and fold in ("", LEFT_OUT) else fold


def is_explicit(found: Iterable[str]) -> bool:
    """Whether parts say who validates while others learn."""
    active = set(found) - {"test", LEFT_OUT}
    return len(active) > 1 and active != {"training"}


def folds_of(found: Mapping[str, str]) -> tuple[tuple[str, ...], ...]:
    """Validation ids of each fold that the parts (id: part) name."""
    names = sorted({part for part in found.values() if part.isdecimal()}, key=int) or ["validation"]
    return tuple(tuple(sorted(case for case, part in found.items() if part == name)) for name in names)
