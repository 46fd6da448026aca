"""What the names of files say of their cases: which file annotates which image, and which channels are of one case."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Set

from ..core.errors import DataError
from .entry import amount, listed

_LABEL = (
    r"(?:labels?|lbl|masks?|msk|seg|segm|segmentations?|annotations?|gt|ground_?truth|truth|manual|brainmask|fov_?mask)"
)
_IMAGE = r"(?:images?|imgs?|volume|scan)"
_NUMBERED = re.compile(r"\d{4}$")
_COUNTED = re.compile(r"(slice|frame|image|img|view|visit)?[-_ ]?\d+$", re.IGNORECASE)
_AID = re.compile(r"(^|[-_ .])(brainmask|fov_?mask)$", re.IGNORECASE)


def _without(word: str, stem: str) -> str | None:
    """The name without a word at its end or beginning; None without that word."""
    last = re.match(rf"(?:(.*?)[-_ .])?{word}$", stem, re.IGNORECASE)
    last = last or re.match(rf"(.+)[-_ .]{word}[-_ .]?\d{{1,2}}$", stem, re.IGNORECASE)
    first = re.match(rf"{word}(?:[-_ .]|(?=\d))(.+)$", stem, re.IGNORECASE)
    found = last or first
    return found and (found[1] or "")


def annotated_by(stem: str) -> str | None:
    """What an annotation annotates: `x` for `x_mask`, `x_mask_2` or `seg-x`, "" for `mask`; None for other names."""
    return _without(_LABEL, stem)


def is_aid(stem: str) -> bool:
    """Whether a name is that of a mask of the brain or the field of view, which stands beside the annotation."""
    return bool(_AID.search(stem))


def starts_of(stem: str, between: str = "-_ .") -> Iterator[tuple[str, str]]:
    """Every way to take a name for a case and an ending, the longest case first: `p_1_t1` is `p_1` and `t1`."""
    for place in range(len(stem) - 2, 0, -1):
        if stem[place] in between:
            yield stem[:place], stem[place + 1 :]


class Names:
    """The names of images, among which those of annotations are looked up.

    Args:
        stems: Names of the image files without their endings.
    """

    def __init__(self, stems: Iterable[str]) -> None:
        self.stems = set(stems)
        self._starts = {start for stem in self.stems for start, _ in starts_of(stem)}
        bare = {stem: without for stem in self.stems if (without := _without(_IMAGE, stem))}
        unique = Counter(bare.values())
        self._aliases = {name: stem for stem, name in bare.items() if unique[name] == 1} | {s: s for s in self.stems}

    def of(self, mark: str) -> str | None:
        """The image, or the beginning of several, that an annotation of this name belongs to; None without any."""
        for name in (mark, annotated_by(mark) or mark):
            if name in self._aliases:
                return self._aliases[name]
            if name in self._starts:
                return name
        return None


Files = dict[str, dict[str, str]]
"""Names of files by case and ending, such as `t1`; of a case with one file the ending may be empty."""


def by_case(stems: Set[str], cases: Set[str]) -> Files:
    """Names of images by the case and the channel they tell.

    Args:
        stems: Names of the images; those of a case are called as it, or start so and go on with the channel.
        cases: Names of the annotated cases. Other images are joined where they have all the channels that these have.
    """
    found: Files = {}
    for stem in sorted(stems):
        parts = (stem, "") if stem in cases else next((p for p in starts_of(stem) if p[0] in cases - stems), None)
        if parts:
            found.setdefault(parts[0], {})[parts[1]] = stem
    endings = {ending for one in found.values() for ending in one} - {""}
    return found | joined(stems - {stem for one in found.values() for stem in one.values()}, endings)


def joined(stems: Set[str], endings: Collection[str], between: str = "-_ .") -> Files:
    """Names by case where they have exactly these endings; others are cases of their own."""
    found: Files = {}
    counted = all(map(_NUMBERED.match, endings))
    for stem in sorted(stems):
        for case, ending in starts_of(stem, between):
            if ending in endings or (counted and _NUMBERED.match(ending)):
                found.setdefault(case, {})[ending] = stem
                break
    whole = {case: one for case, one in found.items() if one.keys() == set(endings) and case not in stems}
    taken = {stem for one in whole.values() for stem in one.values()}
    return whole | {stem: {"": stem} for stem in stems if stem not in taken}


def channels_of(where: object, cases: Mapping[str, Mapping[str, object]]) -> tuple[str, ...]:
    """Names of the channels of cases, by the endings of their files; empty where these only count, or there is one.

    Raises:
        DataError: When a case has others than most, or numbers do not run from 0000.
    """
    usual = Counter(tuple(sorted(one)) for one in cases.values()).most_common(1)[0][0]
    if odd := [case for case, one in cases.items() if tuple(sorted(one)) != usual]:
        more = f" ({amount(len(odd) - 1, 'more case differs', 'more cases differ')}, too)" if odd[1:] else ""
        raise DataError(
            f"{where}: the case {odd[0]} has files for {_shown(cases[odd[0]])}, most cases for {_shown(usual)}{more}."
            " Every case needs the same channels; add or rename files, or take the case out."
        )
    if usual and all(map(_NUMBERED.match, usual)):
        if usual != (counted := numbered(len(usual))):
            raise DataError(
                f"{where}: channels are numbered {_shown(usual)}; expected {_shown(counted)}. Rename the files."
            )
        return ()
    if len(usual) > 1 and all(map(_COUNTED.match, usual)):
        case = next(iter(cases))
        raise DataError(
            f"{where}: {case} has one annotation for several images ({_shown(usual)}). Name them by their channels if"
            " they show the same place, such as t1 and t2 or 0000 and 0001; else every image needs its own annotation."
        )
    return usual if len(usual) > 1 else ()


def _shown(endings: Iterable[str]) -> str:
    return listed([ending or "one channel" for ending in sorted(endings)], 9)


def numbered(count: int) -> tuple[str, ...]:
    """The endings of that many channels as nnU-Net numbers them: 0000, 0001 and so on."""
    return tuple(f"{k:04d}" for k in range(count))
