"""Which encoding a set of annotations has, and which structures it names; every guess is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import combinations, islice

import numpy as np

from ..core.errors import DataError
from ..core.labels import Labels
from .entry import listed
from .masks import FEW, MANY, Encoding, Marks, total_counts
from .shades import are_shades, blends, from_shades
from .structures import with_overlaps


def recognise(
    marks: Sequence[Marks],
    declared: Labels | None,
    instances: bool = False,
    files: Mapping[str, int] | None = None,
    others: Sequence[Marks] = (),
) -> tuple[Encoding, Labels, list[str], list[str]]:
    """How these annotations are stored and what their values mean.

    Args:
        marks: Facts of every annotation of the set.
        declared: Structures that a table names; they decide where there is doubt.
        instances: Whether a table says that values number objects.
        files: Value of each structure that has a file of its own, by the name of the file.
        others: Facts of files that are compared with these, so that palettes must agree.

    Returns:
        The encoding, the labels, notes and warnings.

    Raises:
        DataError: When no voxel is labelled, or values occur that the declared labels do not name.
    """
    notes: list[str] = []
    if _by_colour([*marks, *others], declared, notes):
        marks = [one.in_colours() for one in marks]
    if files:
        encoding = Encoding(kind="structures", files=dict(files))
        notes.append(
            f"Each structure has a file of its own ({listed(list(files))}); a structure without a file was not"
            " annotated, and an empty file says that it is absent."
        )
        numbers = {round(raw) for one in marks for raw in one.counts}
        named, overlaps, pairs = with_overlaps(declared or _named(encoding, []), files, numbers)
        if overlaps:
            encoding = encoding.model_copy(update={"overlaps": overlaps})
            declared = named
            notes.append(f"Structures overlap ({listed(pairs)}); they are learnt as regions.")
    else:
        encoding = Encoding(kind="instances") if instances else _encoding(marks, declared, notes)
        if encoding.kind == "instances" and any(one.pages for one in marks):
            encoding = encoding.model_copy(update={"restarts": True})
    found = {encoding.value_of(raw) for one in marks for raw, n in one.counts.items() if n or one.fractional}
    if found <= {0}:
        raise DataError(f"All {len(marks)} annotations are empty (only 0). At least one voxel must be labelled.")
    if min(found) < 0 and (declared is None or min(found) not in declared.known_values):
        case = next(one.case for one in marks if min(one.counts) < 0)
        raise DataError(f"{case}: labels hold the negative value {min(found)}; name it `ignore` in labels.yaml.")
    empty = [one.case for one in marks if not any(encoding.value_of(raw) for raw in one.counts)]
    if empty:
        notes.append(f"Nothing is labelled in {_cases(empty)}.")
    floating = [one.case for one in marks if one.floating and not one.fractional]
    if floating:
        notes.append(f"Labels are stored as floating point numbers in {_cases(floating)}; read as whole numbers.")
    if rounded := [one.case for one in marks if one.rounding > 1e-4 and not one.fractional]:
        most = max(one.rounding for one in marks if not one.fractional)
        notes.append(f"Labels of {_cases(rounded)} miss whole numbers by up to {most:.2g} and are rounded.")
    if declared is None:
        labels = _named(encoding, sorted(found - {0}))
        thin = _thin(marks, encoding)
        doubts = [*(thin or _strays(marks, encoding)), *_doubtful_instances(marks, encoding), *_void(encoding, found)]
        doubts += [] if thin or instances else _many(marks, encoding, labels)
    else:
        labels, doubts = declared, _missing(found, declared)
        _check_declared(marks, encoding, declared)
    return (
        encoding,
        labels,
        notes,
        [*doubts, *_lonely(marks, encoding, labels), *_outlines(marks), *_inverted(marks, encoding)],
    )


def _by_colour(marks: Sequence[Marks], declared: Labels | None, notes: list[str]) -> bool:
    """Whether palettes must be read by their colours: other files hold colours, or number the same ones differently."""
    palettes = [one for one in marks if one.palette]
    numbers: dict[int, dict[int, str]] = {}
    for one in palettes:
        for number, colour in one.palette.items():
            numbers.setdefault(colour, {})[number] = one.case
    torn = next((colour for colour, found in numbers.items() if len(set(found)) > 1), None)
    if torn is not None and all(len(set(one.palette.values())) == len(one.palette) for one in palettes):
        places = ", ".join(f"{number} in {case}" for number, case in sorted(numbers[torn].items()))
        if declared is not None:
            raise DataError(f"Palettes differ: #{torn:06x} is {places}. Save all annotations with one palette.")
        notes.append(f"Palettes differ (#{torn:06x} is {places}); annotations are read by their colours.")
        return True
    return bool(palettes) and any(one.coloured for one in marks)


def _encoding(marks: Sequence[Marks], declared: Labels | None, notes: list[str]) -> Encoding:
    total = total_counts(marks)
    if any(one.num_files > 1 for one in marks):
        most = max(one.num_files for one in marks)
        notes.append(f"Each object has a file of its own (up to {most} a case); together they are one structure.")
        return Encoding(kind="objects")
    if any(one.fractional for one in marks):
        return _fractions(marks, notes)
    if any(one.coloured for one in marks):
        return _colours(marks, notes)
    single = declared.values[0][0] if declared and len(declared.known_values) == 2 else None
    if any(one.lossy for one in marks) or ((declared is None or single) and are_shades(marks)):
        return from_shades(marks, single or 255, single is not None, notes)
    positive = {v for v in total if v > 0}
    if single and positive == {255} and single != 255:
        notes.append(f"Masks are 0 and 255; 255 is read as the declared value {single}.")
        return Encoding(kind="threshold", threshold=127.5, written=single)
    several = any(sum(v > 0 for v in one.counts) > 1 for one in marks)
    if declared is None and len(positive) > 1 and not several and positive <= {1, *range(245, 256)}:
        ways = ", others ".join(f"0 and {value:g}" for value in sorted(positive))
        notes.append(f"Some masks are {ways}; all are read as one structure.")
        return Encoding(kind="threshold", threshold=0.5, written=255)
    if declared is None and (_are_instances(marks) or any(one.pages for one in marks)):
        most = max(sum(v > 0 for v in one.counts) for one in marks)
        notes.append(
            f"Labels number single objects (up to {most} in a case); they are read as one structure, and"
            " `read_instances` gives the numbers. Name the values in labels.yaml if they are classes."
        )
        return Encoding(kind="instances")
    if len(positive) == 1 and (declared is None or single):
        value = next(iter(positive))
        rgb = ", stored as RGB" if any(one.rgb for one in marks) else ""
        notes.append(f"Masks are 0 and {value:g}{rgb}; {value:g} is the structure.")
    return Encoding()


def _fractions(marks: Sequence[Marks], notes: list[str]) -> Encoding:
    maps = [one for one in marks if one.fractional]
    cases, low, high = [one.case for one in maps], min(min(m.counts) for m in maps), max(max(m.counts) for m in maps)
    positive = sorted(v for v in total_counts([one for one in marks if not one.fractional]) if v > 0)
    if positive not in ([], [1], [255]):
        raise DataError(
            f"Annotations of {listed(cases)} hold fractions ({low:.4g} to {high:.4g}), but those of the others"
            f" ({len(marks) - len(maps)}) hold whole numbers such as {_values([round(v) for v in positive])}. Write"
            " whole numbers into all (resampling of labels must not blend), or take the cases with fractions out."
        )
    if low < -0.01 or not 0.5 < high < 1.5:
        raise DataError(
            f"{cases[0]}: labels must be whole numbers or probabilities; they run from {low:.4g} to {high:.4g}."
            " Images that a net should give are targets: name their folder `targets`; `hyoid evaluate RUN` judges them."
        )
    notes.append(f"Labels of {_cases(cases)} are probabilities; above 0.5 is the structure.")
    return Encoding(kind="threshold", threshold=0.5, written=1)


def _colours(marks: Sequence[Marks], notes: list[str]) -> Encoding:
    total = total_counts([one for one in marks if one.coloured])
    for one in marks:
        if not one.coloured:  # a grey file among coloured ones: 255 is white
            total.update({v * 0x010101: n for v, n in one.counts.items()})
    colours = sorted(int(c) for c in total if c != 0)
    if len(colours) > 64:
        raise DataError(
            f"{marks[0].case}: the annotation holds {len(total)} colours; expected one flat colour for each structure."
        )
    listed = ", ".join(f"#{c:06x} = {i}" for i, c in enumerate(colours, 1))
    notes.append(f"Labels are colours on black: {listed}.")
    return Encoding(kind="colours", colours=tuple(colours))


def _are_instances(marks: Sequence[Marks], more_than: int = MANY) -> bool:
    """Whether values number objects: many, each in one piece, of one kind of size, and without fixed meaning."""
    many = [one for one in marks if one.pieces]
    if not many or max(len(one.counts) for one in many) <= more_than:
        return False
    sizes = [{v: np.log(n) for v, n in one.counts.items() if v > 0} for one in many]
    whole = np.median([len(size) / one.pieces for size, one in zip(sizes, many, strict=True)])
    spread = float(np.median([np.std(list(size.values())) for size in sizes]))
    agreement = [
        _correlation(np.array([(a[v], b[v]) for v in both]))
        for a, b in islice(combinations(sizes, 2), 500)
        if len(both := sorted(a.keys() & b.keys())) > more_than
    ]
    same_meaning = float(np.median(agreement)) if agreement else 0.0
    return bool(whole > 0.85 and spread < 1.3 and same_meaning < 0.5)


def _doubtful_instances(marks: Sequence[Marks], encoding: Encoding) -> list[str]:
    """A warning when a few values that vary from case to case may number objects."""
    most, least = (choice(len(one.counts) for one in marks) for choice in (max, min))
    if encoding.kind != "values" or most < 1.5 * least or not _are_instances(marks, FEW):
        return []
    return [
        f"Between {least - 1} and {most - 1} values occur in a case, each in one piece; if they number objects and are"
        " not classes, write `instances: true` into a labels.yaml beside the images."
    ]


def _many(marks: Sequence[Marks], encoding: Encoding, labels: Labels) -> list[str]:
    """A warning of objects that are numbered anew on each page, and of many values without names."""
    if encoding.restarts:
        one = max(marks, key=lambda one: one.pages)
        return [
            f"{one.case}: values number objects anew on each of {one.pages} pages (up to {len(one.counts) - 1} on a"
            " page, in one piece each), so they are read as one structure, and pieces of one value as objects. Write"
            " `objects: true` into a labels.yaml beside the images to confirm this, or the names of the values if they"
            " are classes."
        ]
    if encoding.kind not in ("values", "colours") or len(labels.names) <= MANY:
        return []
    least, most = (choice(len(one.counts) - (0 in one.counts) for one in marks) for choice in (min, max))
    return [
        f"{len(labels.names)} values without names are taken for as many classes ({least} to {most} in a case). If they"
        " number objects, write `objects: true` into a labels.yaml beside the images; if they are classes, name them"
        " there."
    ]


def _correlation(pairs: np.ndarray) -> float:
    """Pearson's coefficient of (n, 2) numbers, 0 where one of them does not vary."""
    first, second = (pairs - pairs.mean(axis=0)).T
    scale = float(np.sqrt((first @ first) * (second @ second)))
    return float(first @ second) / scale if scale > 1e-9 else 0.0


def _named(encoding: Encoding, values: list[int]) -> Labels:
    if encoding.kind in ("instances", "objects"):
        return Labels.of({encoding.written: "object"})
    if encoding.kind == "structures":
        return Labels.of({value: name for name, value in encoding.files.items()})
    if encoding.kind == "colours":
        return Labels.of({value: f"colour_{colour:06x}" for value, colour in enumerate(encoding.colours, 1)})
    if len(values) == 1:
        return Labels.of({values[0]: "foreground"})
    return Labels.of({value: f"label_{value}" for value in values})


def _check_declared(marks: Sequence[Marks], encoding: Encoding, declared: Labels) -> None:
    for one in marks:
        unknown = sorted({encoding.value_of(raw) for raw in one.counts} - set(declared.known_values))
        if unknown:
            raise DataError(
                f"{one.case}: the annotation has {_values(unknown)}, which the declared labels do not name"
                f" (known: {', '.join(map(str, declared.known_values))}). Add them or correct the annotation."
            )


def _missing(found: set[int], declared: Labels) -> list[str]:
    names = [n for n, group in zip(declared.names, declared.values, strict=True) if not found & set(group)]
    return [f"No case has the structure {name!r}; it cannot be learnt or judged." for name in names]


def _lonely(marks: Sequence[Marks], encoding: Encoding, labels: Labels) -> list[str]:
    """A warning of structures that a single case has, which cannot be learnt and judged at once."""
    if len(marks) < 2:
        return []
    present = [{encoding.value_of(raw) for raw in one.counts} for one in marks]
    groups = zip(labels.names, labels.values, strict=True)
    names = [name for name, group in groups if sum(not found.isdisjoint(group) for found in present) == 1]
    return [f"Only one case has {listed(names)}; it cannot be learnt and judged at once."] if names else []


def _outlines(marks: Sequence[Marks]) -> list[str]:
    hollow = [one.case for one in marks if one.hollow]
    words = "fill them first if the inside is what you mean."
    return [f"Masks look like outlines in {_cases(hollow)}; {words}"] if len(hollow) > 0.5 * len(marks) else []


def _void(encoding: Encoding, found: set[int]) -> list[str]:
    """A warning of a greatest number beside classes that count from 1, which is hardly a class."""
    classes = found - {0, 255, 65535}
    voids = sorted(found & {255, 65535})
    if encoding.kind != "values" or not voids or not classes or max(classes) > 2 * len(classes):
        return []
    return [
        f"Value {voids[0]} beside classes that count from 1 usually marks borders or what nobody annotated; name the"
        f" classes in a labels.yaml and write `ignore: {voids[0]}` there, or name it too if it is a structure."
    ]


def _inverted(marks: Sequence[Marks], encoding: Encoding) -> list[str]:
    """A warning of a structure that covers so much that it may be the background."""
    total: Counter[int] = Counter()
    for one in marks:
        for raw, count in one.counts.items():
            total[encoding.value_of(raw)] += count
    value, most = total.most_common(1)[0]
    share = most / sum(total.values())
    if not value or share < 0.6:
        return _some_inverted(marks, encoding)
    what = f"#{encoding.colours[value - 1]:06x}" if encoding.kind == "colours" else f"Value {value}"
    return [
        f"{what} covers {100 * share:.0f} % of all voxels; if it is the background, make it 0 (black) in the masks."
    ]


def _strays(marks: Sequence[Marks], encoding: Encoding) -> list[str]:
    """Warnings of values so rare that they may be slips."""
    if encoding.kind not in ("values", "colours"):
        return []
    total = total_counts(marks)
    labelled = sum(n for v, n in total.items() if v != 0)
    rare = [v for v, n in total.items() if v != 0 and n < min(50, 1e-3 * labelled)]
    return [
        f"Value {v:g} has only {total[v]} voxels in the whole set (such as in"
        f" {next(m.case for m in marks if v in m.counts)}); a slip of the pen?"
        for v in sorted(rare)[:5]
    ]


def _some_inverted(marks: Sequence[Marks], encoding: Encoding) -> list[str]:
    """A warning of a few masks of one structure that cover most of the image where the others cover little of it."""
    shares = [
        sum(n for raw, n in one.counts.items() if encoding.value_of(raw)) / sum(one.counts.values()) for one in marks
    ]
    odd = [one.case for one, share in zip(marks, shares, strict=True) if share > 0.7]
    if not odd or len(odd) > 0.3 * len(marks) or np.median(shares) > 0.3:
        return []
    return [f"The mask covers most of the image in {_cases(odd)}, and little in the others; is it inverted there?"]


def _thin(marks: Sequence[Marks], encoding: Encoding) -> list[str]:
    """A warning of many values most of which form no areas, as shades do; without any area it is no annotation."""
    total = total_counts(marks)
    rest = blends(marks, total) if encoding.kind == "values" else set()
    if len(rest) <= 0.5 * len(total):
        return []
    if len(rest) == len(total):
        raise DataError(
            f"{marks[0].case}: none of {len(total)} values forms an area, so this is a noisy mask or an image; save"
            " masks with one value for each structure."
        )
    return [
        f"{len(rest)} of {len(total)} values form no areas of their own (such as {min(rest):g} and {max(rest):g}); if"
        " they are shades or probabilities, save masks with one value for each structure."
    ]


def _values(values: list[int]) -> str:
    listed = ", ".join(map(str, values[:8])) + (" ..." if len(values) > 8 else "")
    return f"the value {listed}" if len(values) == 1 else f"the values {listed}"


def _cases(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{len(names)} cases such as {names[0]}"
