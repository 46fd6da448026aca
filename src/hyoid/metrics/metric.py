"""Metric: one number for one comparison, what it means, and what happens when one side is empty."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import Field

from ..core.lengths import Lengths
from ..core.registry import Registry
from ..core.settings import Settings
from .finding import Compared
from .pair import Pair

Score = Callable[..., float]

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, Field(gt=0, le=1)]
Percent = Annotated[float, Field(ge=0, le=100)]
Bins = Annotated[int, Field(ge=1)]

DEFAULT_METRICS = ("dice", "iou", "precision", "recall", "hd95", "assd", "nsd", "volume_error")
"""What an evaluation measures when nothing else is asked for."""


class Rules(Settings):
    """What a metric gives when a mask is empty; the defaults never let a missed structure improve an average."""

    both_empty: Literal["perfect", "exclude"] = Field(
        "perfect", description="Neither mask holds the structure: the best value, or left out of averages (NaN)."
    )
    one_empty: Literal["worst", "exclude"] = Field(
        "worst", description="Missed or made up: overlap 0 and distances the image diagonal, or left out (NaN)."
    )

    def sentences(self) -> tuple[str, ...]:
        """The rules in words, for reports."""
        both = {
            "perfect": "A structure that is in neither mask counts as perfect: overlap 1, distance and error 0.",
            "exclude": "A structure that is in neither mask is left out of the averages of that structure.",
        }
        one = {
            "worst": (
                "A structure that is missed or made up counts as the worst there is: overlap 0, distances the "
                "diagonal of the image, so that finding less never improves an average."
            ),
            "exclude": (
                "A structure that is missed or made up is left out of the averages; read them together with the "
                "number of missed structures, since finding less can improve them."
            ),
        }
        return both[self.both_empty], one[self.one_empty]


@dataclass(frozen=True)
class Metric:
    """A way to compare a prediction with a reference.

    Attributes:
        name: As on the shelf.
        score: What is compared to number, options already filled in.
        best: Value of a perfect answer.
        worst: Value of the worst answer; infinity where that depends on the image, such as the length of its diagonal.
        unit: "" for shares, "mm" for distances, "ml" for volumes.
        defined_for_empty: Whether the formula itself holds when one side is empty, so that no rule is needed.
        dims: Numbers of axes it makes sense for.
        meaning: One sentence for readers of a report.
        convention: Which of several definitions in use this is, in a few words; "" where there is only one.
        compares: What it looks at, a class with `of(prediction, reference, ...)`.
    """

    name: str
    score: Score
    best: float
    worst: float
    unit: str = ""
    defined_for_empty: bool = False
    dims: tuple[int, ...] = (2, 3)
    meaning: str = ""
    convention: str = ""
    compares: type[Any] = Pair

    @property
    def higher_is_better(self) -> bool:
        """Whether a larger value means a better answer."""
        return self.best > self.worst

    @property
    def range(self) -> tuple[float, float]:
        """Smallest and largest possible value."""
        return min(self.best, self.worst), max(self.best, self.worst)

    def scale(self, lengths: Lengths) -> float:
        """Millimetres, the unit of its distances, in that of some lengths; 1 for what is no distance."""
        return lengths.mm if self.unit == "mm" else 1.0

    @property
    def on_empty(self) -> str:
        """What it gives when both sides are empty, and when only one is, by the usual rules."""
        one = "by its formula" if self.defined_for_empty else f"{self.worst:g}"
        if not self.defined_for_empty and np.isinf(self.worst):
            one = "image diagonal" if self.unit == "mm" else "the most there can be"
        return f"{self.best:g}; {one}"

    def __call__(
        self,
        prediction: Any,
        reference: Any,
        spacing_mm: Sequence[float] | None = None,
        rules: Rules | None = None,
    ) -> float:
        """The value for a prediction and a reference.

        Args:
            prediction: What `compares` takes: a boolean mask (*S), object numbers (*S), probabilities, an image, ...
            reference: The truth beside it.
            spacing_mm: Voxel size along each axis; 1 when not given.
            rules: What happens when one side is empty.
        """
        return self.of(self.compares.of(prediction, reference, spacing_mm), rules)

    def of(self, compared: Compared, rules: Rules | None = None) -> float:
        """The value for what is compared; NaN only where the rules exclude it."""
        rules = rules or Rules()
        finding = compared.finding
        if finding == "absent":
            return self.best if rules.both_empty == "perfect" else float("nan")
        if finding != "found" and not self.defined_for_empty:
            if rules.one_empty == "exclude":
                return float("nan")
            return compared.worst(self.unit) if np.isinf(self.worst) else self.worst
        return float(self.score(compared))


metrics: Registry[Metric] = Registry("metric", checked=True)


def metric(
    name: str, papers: str | tuple[str, ...] = (), shelf: Registry[Metric] | None = None, **facts: Any
) -> Callable[[Score], Score]:
    """A decorator that puts a function `(compared, **options) -> float` on a shelf of metrics.

    Args:
        name: What the metric is called.
        papers: Keys of references.bib.
        shelf: Where it goes; the shelf of metrics of masks by default.
        facts: Fields of Metric: best, worst, unit, defined_for_empty, dims, convention, compares.
    """

    def shelve(score: Score) -> Score:
        signature = inspect.signature(score)
        meaning = (inspect.getdoc(score) or "").split("\n")[0]
        options = list(signature.parameters.values())[1:]

        @wraps(score)
        def build(**chosen: Any) -> Metric:
            return Metric(name, lambda compared: score(compared, **chosen), meaning=meaning, **facts)

        build.__signature__ = signature.replace(parameters=options)  # type: ignore[attr-defined]
        (metrics if shelf is None else shelf).register(name, papers)(build)
        return score

    return shelve


def measure(
    prediction: np.ndarray,
    reference: np.ndarray,
    spacing_mm: Sequence[float] | None = None,
    names: Sequence[str] = DEFAULT_METRICS,
    rules: Rules | None = None,
) -> dict[str, float]:
    """Several metrics of one structure; counts and distances are computed once for all of them.

    Args:
        prediction: Boolean array (*S).
        reference: Boolean array of the same shape.
        spacing_mm: Voxel size along each axis; 1 when not given.
        names: Metrics to compute.
        rules: What happens when a mask is empty.
    """
    pair = Pair.of(prediction, reference, spacing_mm)
    return {name: metrics.build(name).of(pair, rules) for name in names}
