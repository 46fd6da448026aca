"""Entry and Found: where cases lie on disk, before anything is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, PlainSerializer

from ..core.errors import DataError
from ..core.files import check_name, readable
from ..core.labels import Labels

TruthFiles = Literal["labels", "image", "field"]
"""What files may annotate cases with: label values, a target image, or a field of displacements."""


def _path(path: object) -> object:
    return Path(path) if isinstance(path, str) else path


FilePath = Annotated[Path, BeforeValidator(_path), PlainSerializer(str)]
"""A path that a run remembers, of any bytes; pydantic alone takes UTF-8 only."""


@dataclass(frozen=True)
class Entry:
    """Where one case lies on disk.

    Attributes:
        id: Unique name within its data set.
        images: One file (or DICOM folder) for each channel, or one with all channels.
        label: The annotation, several files when each holds one object or structure, or None.
        facts: What the tables say of this case.
        target: The image or field that the net should give for this case, or None.
        other: The second image of a pair, in as many files as the image; empty when there is none.

    Raises:
        DataError: When the id could not name a file in a folder of answers.
    """

    id: str
    images: tuple[FilePath, ...]
    label: tuple[FilePath, ...] | FilePath | None = None  # in this order, since any object can be written as text
    facts: Mapping[str, str] = field(default_factory=dict)
    target: FilePath | None = None
    other: tuple[FilePath, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "id", check_name(readable(self.id)))

    @property
    def is_labelled(self) -> bool:
        """Whether the case has anything to learn from."""
        return self.label is not None or self.target is not None

    @property
    def annotated(self) -> tuple[str, ...] | None:
        """Names of the annotated structures, as the fact `annotated` lists them; None when it does not."""
        return annotated_in(self.facts)

    @property
    def first_label(self) -> Path:
        """The annotation file, or the first of several."""
        assert self.label is not None
        return self.label if isinstance(self.label, Path) else self.label[0]


@dataclass(frozen=True)
class Found:
    """What was found below a path, and what tables say of it."""

    layout: str  # how the files are arranged, in words
    entries: Sequence[Entry]
    labels: Labels | None = None
    instances: bool = False  # whether a table says that values number objects
    channel_names: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    truth: TruthFiles = "labels"

    def __post_init__(self) -> None:
        seen: set[str] = set()
        for entry in self.entries:
            if entry.id in seen:
                raise DataError(f"{self.layout}: the case {entry.id!r} occurs twice; every case needs its own name.")
            seen.add(entry.id)


def annotated_in(facts: Mapping[str, str]) -> tuple[str, ...] | None:
    """Names of the structures that a table calls annotated in a case, such as `liver;kidney`; None when it does not."""
    names = tuple(name.strip() for name in facts.get("annotated", "").split(";"))
    return names if any(names) else None


def amount(count: int, one: str, many: str) -> str:
    """A number with its word, such as `1 case` and `2 cases`."""
    return f"{count} {one if count == 1 else many}"


def listed(names: Sequence[str], most: int = 5) -> str:
    """The first names of a list, and how many more there are."""
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
