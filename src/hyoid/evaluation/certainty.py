"""How sure a net was and whether it was right, over all cases: calibration, ranking, detection of lesions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..metrics.lesions import froc, froc_score
from .belief import SUFFIX, Belief, read_beliefs
from .record import plain
from .statistics import Spread, redrawn, spread
from .tally import BINS, CERTAINTY_METRICS, ece


@dataclass(frozen=True)
class Certainty:
    """What the files of all cases say together.

    Attributes:
        beliefs: One for each case and structure, cases in order.
        structures: Names in the order of the labels.
    """

    beliefs: tuple[Belief, ...]
    structures: tuple[str, ...]

    @classmethod
    def read(cls, folder: str | Path, cases: Sequence[str], structures: Sequence[str]) -> Certainty | None:
        """The certainty of these cases; None unless every one was measured."""
        paths = [Path(folder) / f"{case}{SUFFIX}" for case in cases]
        if not paths or not all(path.is_file() for path in paths):
            return None
        return cls(tuple(belief for path in paths for belief in read_beliefs(path)), tuple(structures))

    def of(self, structure: str) -> tuple[Belief, ...]:
        """The cases of one structure whose reference holds it."""
        return tuple(one for one in self.beliefs if one.structure == structure and np.isfinite(one.values["ece"]))

    def pooled(self, structure: str) -> np.ndarray:
        """(BINS, 3) of all cases: voxels, sum of probabilities, voxels of the structure."""
        return np.sum([one.bins for one in self.of(structure)], axis=0) if self.of(structure) else np.zeros((BINS, 3))

    def pooled_ece(self, structure: str, confidence: float, resamples: int, seed: int) -> tuple[float, float, float]:
        """ECE of all voxels together with its interval by patient (percentiles; NaN below two patients)."""
        found = self.of(structure)
        names, index = np.unique([one.group for one in found], return_inverse=True)
        value = ece(self.pooled(structure))
        if len(names) < 2:
            return value, float("nan"), float("nan")
        table = np.zeros((len(names), 3 * BINS))
        np.add.at(table, index, np.array([one.bins for one in found]).reshape(len(found), -1))
        drawn = (redrawn(len(names), resamples, seed) @ table).reshape(-1, BINS, 3)
        errors = np.abs(drawn[:, :, 2] - drawn[:, :, 1]).sum(1) / drawn[:, :, 0].sum(1)
        low, high = np.quantile(errors, [(1 - confidence) / 2, (1 + confidence) / 2])
        return value, float(low), float(high)

    def summary(self, structure: str, metric: str, confidence: float, resamples: int, seed: int) -> Spread:
        """A metric of certainty over the cases whose reference holds the structure, interval by patient."""
        found = self.of(structure)
        groups = [one.group for one in found]
        return spread([one.values[metric] for one in found], groups, confidence, resamples, seed)

    def to_dict(self, margin_mm: float, confidence: float, resamples: int, seed: int) -> dict[str, Any]:
        """What report.json holds of it, with the margin that was measured in; undefined numbers are null."""
        draws = confidence, resamples, seed
        rows = []
        for name in (name for name in self.structures if self.of(name)):
            value, low, high = self.pooled_ece(name, *draws)
            metrics = {metric: asdict(self.summary(name, metric, *draws)) for metric in CERTAINTY_METRICS}
            rows.append(
                {
                    "structure": name,
                    "num_cases": len(self.of(name)),
                    "pooled_ece": value,
                    "pooled_ece_low": low,
                    "pooled_ece_high": high,
                    "reliability": self.pooled(name).tolist(),
                    "metrics": metrics,
                }
            )
        curves = [self._detection(name) for name in self.structures]
        return dict(plain({"margin_mm": margin_mm, "structures": rows, "detection": [*filter(None, curves)]}))

    def _detection(self, structure: str) -> dict[str, Any]:
        """The FROC curve of a structure over all cases; empty when its pieces were not looked for or there are none."""
        found = [one for one in self.beliefs if one.structure == structure and one.lesions is not None]
        sizes = [size for one in found for size, _ in one.lesions or ()]
        if not sizes:
            return {}
        cases = [one.candidates for one in found]
        lesions = list(zip(sizes, [hit for case in cases for hit in case.hits], strict=True))
        return {
            "structure": structure,
            "num_cases": len(cases),
            "num_lesions": len(lesions),
            "score": froc_score(cases),
            "curve": np.stack(froc(cases), 1).tolist(),
            "by_size": [asdict(band) for band in sensitivity_by_size(lesions)],
        }


@dataclass(frozen=True)
class Band:
    """Lesions of about one size.

    Attributes:
        low: Smallest size.
        high: Largest size.
        num_lesions: How many there are.
        num_found: How many of these are matched to a predicted piece with a probability of one half or more.
        sensitivity: Their share.
        wilson_low: Lower end of its Wilson 95 % interval.
        wilson_high: Upper end.
    """

    low: float
    high: float
    num_lesions: int
    num_found: int
    sensitivity: float
    wilson_low: float
    wilson_high: float


def sensitivity_by_size(lesions: Sequence[tuple[float, float]], threshold: float = 0.5, bands: int = 3) -> list[Band]:
    """Share of found lesions in bands of equally many lesions, from small to large; equal sizes stay together.

    Args:
        lesions: Size and score of each.
        threshold: Score from which a lesion is found.
        bands: How many, when sizes differ enough.

    Reference:
        wilson1927probable.
    """
    if not lesions:
        return []
    sizes, scores = np.array(lesions, float).T
    cuts = np.unique(np.quantile(sizes, np.arange(1, bands) / bands, method="inverted_cdf"))
    place = np.searchsorted(cuts, sizes, side="left")
    found = []
    for band in np.unique(place):
        inside = place == band
        number, hits = int(inside.sum()), int((scores[inside] >= threshold).sum())
        low, high = wilson(hits, number)
        ends = float(sizes[inside].min()), float(sizes[inside].max())
        found.append(Band(*ends, number, hits, round(hits / number, 6), round(low, 6), round(high, 6)))
    return found


def wilson(hits: int, number: int, z: float = 1.96) -> tuple[float, float]:
    """Wilson's interval of a share, which stays between 0 and 1 also when all or none were found."""
    share, square = hits / number, z * z / number
    centre = share + square / 2
    reach = z * math.sqrt(share * (1 - share) / number + square / (4 * number))
    return max(0.0, (centre - reach) / (1 + square)), min(1.0, (centre + reach) / (1 + square))
