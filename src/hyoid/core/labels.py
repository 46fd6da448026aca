"""Labels: what the values of an annotation mean."""

from __future__ import annotations

import re
from typing import Annotated, Any, NamedTuple

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from .files import name_problem
from .settings import Settings

_SIDES = (("left", "right"), ("l", "r"), ("lt", "rt"), ("lh", "rh"), ("sin", "dex"))

_LONGEST = (16, 64, 64)


class Code(NamedTuple):
    """What a terminology calls a structure, as DICOM has it: `Code("SCT", "10200004", "Liver")`."""

    scheme: str
    value: str
    meaning: str


def _code(given: Any) -> Code | None:
    """A code of which every part fits into DICOM and into the tags of 3D Slicer, whose separators are `~ ^ |`."""
    if given is None:
        return None
    several = given if isinstance(given, list | tuple) else ()
    parts = [str(part).strip() if type(part) in (str, int) else "" for part in several]
    fits = [0 < len(part) <= most and part.isprintable() for part, most in zip(parts, _LONGEST, strict=False)]
    if len(parts) != 3 or not all(fits) or set("".join(parts)) & set("~^|\\"):
        raise ValueError(
            "a code is a scheme, a value and a meaning, such as [SCT, 10200004, Liver], of up to 16, 64 and 64 letters"
            " and without ~ ^ | \\"
        )
    return Code(*parts)


class Labels(Settings):
    """Structure names and the file values they are made of; 0 is always background.

    A structure made of several values is a region; regions may overlap (whole tumour contains core).
    Prediction writes the value that exactly the structures of a voxel share. Where there is none it paints structures
    in the order they are listed, so a later one covers an earlier one. A task without structures, such as restoration,
    has labels without names.

    Annotations may number objects, such as nuclei (`objects: true`): there is one structure then, and any positive
    value is an object of it. Objects of several kinds need several annotations, one structure in each.
    """

    names: tuple[str, ...] = Field(description="Structure names, background not among them.")
    values: tuple[tuple[int, ...], ...] = Field(description="For each structure the file values that belong to it.")
    ignore: int | None = Field(None, description="Value of voxels that were not annotated; never trained or judged.")
    paint: tuple[int, ...] = Field((), description="Value written for each structure; its first value when empty.")
    objects: bool = Field(False, description="Whether positive values number objects of the one structure.")
    codes: tuple[Annotated[Code | None, BeforeValidator(_code)], ...] = Field(
        (), description="For each structure its code [scheme, value, meaning], such as [SCT, 10200004, Liver], or none."
    )

    @model_validator(mode="after")
    def _check(self) -> Labels:
        if len(self.names) != len(self.values):
            raise ValueError("labels need one name and at least one value for each structure")
        if problems := list(filter(None, map(name_problem, self.names))):
            raise ValueError(f"names: {problems[0]}")
        if len(set(self.names)) != len(self.names):
            raise ValueError(f"structure names repeat: {', '.join(self.names)}")
        if any(not group or 0 in group for group in self.values):
            raise ValueError("a structure needs at least one value, and 0 is background")
        if self.paint and len(self.paint) != len(self.names):
            raise ValueError("`paint` needs one value for each structure")
        if self.codes and len(self.codes) != len(self.names):
            raise ValueError("`codes` needs one code or null for each structure")
        if self.ignore is not None and any(self.ignore in group for group in self.values):
            raise ValueError(f"value {self.ignore} is both a structure and ignored")
        if self.objects and self.values != ((1,),):
            raise ValueError("`objects` needs exactly one structure, with the value 1, whose objects are numbered")
        if self.objects and self.ignore is not None and self.ignore > 0:
            raise ValueError(f"with `objects` every positive value is an object, so `ignore` cannot be {self.ignore}")
        return self

    @classmethod
    def of(cls, names: dict[int, str], ignore: int | None = None) -> Labels:
        """One structure for each value: `Labels.of({1: "anterior", 2: "posterior"})`."""
        return cls(names=tuple(names.values()), values=tuple((value,) for value in names), ignore=ignore)

    @property
    def overlapping(self) -> bool:
        """Whether structures are regions, that is, made of several values or sharing one."""
        flat = [value for group in self.values for value in group]
        return len(set(flat)) != len(flat) or any(len(group) > 1 for group in self.values)

    @property
    def written(self) -> tuple[int, ...]:
        """The value a prediction writes for each structure."""
        return self.paint or tuple(group[0] for group in self.values)

    @property
    def coded(self) -> tuple[Code | None, ...]:
        """The code of each structure, or None."""
        return self.codes or (None,) * len(self.names)

    @property
    def shared(self) -> dict[int, tuple[str, ...]]:
        """Values of voxels whose structures painting would not tell, with the names of these; none with `paint`."""
        pairs = list(zip(self.names, self.values, strict=True))
        inside = {value: tuple(name for name, group in pairs if value in group) for value in self.known_values}
        painted = dict(zip(self.names, self.written, strict=True))
        found: dict[tuple[str, ...], int] = {}
        for value, names in inside.items():
            if names and inside.get(painted[names[-1]]) != names:
                found.setdefault(names, value)
        return {} if self.paint else {value: names for names, value in found.items()}

    @property
    def named(self) -> list[tuple[str, int, Code | None]]:
        """Name, value and code of all that a prediction writes; a value that structures share is named after them."""
        shared = ((" and ".join(names), value, None) for value, names in self.shared.items())
        rows = zip(self.names, self.written, self.coded, strict=True)
        return [*rows, *(row for row in shared if row[1] not in self.written)]

    @property
    def known_values(self) -> tuple[int, ...]:
        """Every value that may occur in an annotation, background and ignored value included; of objects the first."""
        values = {0, *(value for group in self.values for value in group)}
        return tuple(sorted(values | ({self.ignore} if self.ignore is not None else set())))

    def classed(self, values: np.ndarray) -> np.ndarray:
        """The values with the numbers of objects replaced by 1, the value of their structure; others stay."""
        return np.minimum(values, 1) if self.objects else values

    def pairs(self) -> list[tuple[int, int]]:
        """Indices of structures whose names differ only in left and right."""
        words = [tuple(re.split(r"[^a-z0-9]+", re.sub(r"([a-z])([A-Z])", r"\1_\2", n).lower())) for n in self.names]
        found = []
        for i, one in enumerate(words):
            for left, right in _SIDES:
                mirrored = tuple(right if word == left else word for word in one)
                if mirrored != one and mirrored in words:
                    found.append((i, words.index(mirrored)))
        return found
