"""What a page can tell beside the numbers: every part is optional, and what is not known is not shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import reduce
from operator import add
from pathlib import Path
from typing import Any

import numpy as np

from ..core.energy import Energy
from ..core.grid import Grid
from ..core.labels import Labels
from .data_sheet import DataSheet


@dataclass(frozen=True)
class Overlay:
    """What is needed to draw one case.

    Attributes:
        case: Case id.
        image: Intensities (C, *S); None when they are not known.
        reference: Label values (*S).
        prediction: Label values (*S).
        grid: Where the voxels lie.
        labels: Which values are which structure; each value is its own when None.
    """

    case: str
    image: np.ndarray | None
    reference: np.ndarray
    prediction: np.ndarray
    grid: Grid
    labels: Labels | None = None


@dataclass(frozen=True)
class Stage:
    """One stage of a run and how long it took.

    Attributes:
        name: Such as "train".
        seconds: Measured.
        expected_seconds: What was estimated before, None when nothing was.
        note: A short remark, such as what was reused.
        energy: What it took, when that was measured or estimated.
    """

    name: str
    seconds: float
    expected_seconds: float | None = None
    note: str = ""
    energy: Energy | None = None


@dataclass(frozen=True)
class RunFacts:
    """Where a report comes from.

    Attributes:
        title: Heading of the page.
        what: One sentence on what was judged, such as "Validation cases of fold 0, never seen in training".
        data: Name of the data set.
        date: When, as text.
        seconds: How long the whole run took.
        command: The command line.
        curves: curves.csv of the training: progress, step, seconds, loss, learning_rate, <score>:<structure>,
            patch_dice:<structure>, ...
        score: The score that judged the net while it learned.
        data_sheet: What the data set is.
        plan: What was decided, as lines.
        candidates: The table the plan was chosen from: one mapping per row with the same keys.
        chosen: Index of the chosen candidate.
        stages: How long each stage took.
        costs: Other pairs of expected and measured, such as {"memory": ("3.1 GB", "2.9 GB")}.
        environment: Versions, device, seeds.
        settings: All settings as YAML text.
        model: What the net is and how it was trained, as lines.
        refined: What corrected the answers after their probabilities were measured, such as "dense_crf".
        split_rule: How cases were dealt into training and validation, as a sentence.
        thin: Structures that are typically thinner than three voxels.
        scattered: Structures that are several objects in most cases.
        doubts: What else may make the numbers worth less, in sentences.
        remedy: What would help a net that is not worth using yet, in sentences.
        overlay: Gives what is needed to draw a case; one case is held at a time.
    """

    title: str = "Evaluation"
    what: str = ""
    data: str = ""
    date: str = ""
    seconds: float | None = None
    command: str = ""
    curves: Path | None = None
    score: str = "dice"
    data_sheet: DataSheet | None = None
    plan: Mapping[str, str] = field(default_factory=dict)
    candidates: Sequence[Mapping[str, object]] = ()
    chosen: int | None = None
    stages: Sequence[Stage] = ()
    costs: Mapping[str, tuple[str, str]] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    settings: str = ""
    model: Mapping[str, str] = field(default_factory=dict)
    refined: str = ""
    split_rule: str = ""
    thin: Collection[str] = ()
    scattered: Collection[str] = ()
    doubts: Sequence[str] = ()
    remedy: str = ""
    overlay: Callable[[str], Overlay] | None = None

    @property
    def energy(self) -> Energy | None:
        """Energy of all stages together; None when it is not known of any."""
        known = [stage.energy for stage in self.stages if stage.energy]
        return reduce(add, known) if known else None

    def to_dict(self) -> dict[str, Any]:
        """What report.json holds of the run."""
        return {
            **{name: getattr(self, name) for name in ("title", "what", "data", "date", "seconds", "command")},
            "data_sheet": None if self.data_sheet is None else self.data_sheet.to_dict(),
            "model": dict(self.model),
            "split_rule": self.split_rule,
            "plan": dict(self.plan),
            "stages": [asdict(stage) for stage in self.stages],
            "energy": None if self.energy is None else {**asdict(self.energy), "total": round(self.energy.total, 1)},
            "costs": {name: {"expected": old, "measured": new} for name, (old, new) in self.costs.items()},
            "environment": dict(self.environment),
        }
