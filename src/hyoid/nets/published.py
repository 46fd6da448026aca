"""What others published about the size of each net, beside what the nets here have.

An equal count is not an equal net: docs/concepts/oracles.md says whose answers were compared.
"""

from __future__ import annotations

from importlib.resources import files
from typing import Any, Literal

import yaml
from pydantic import Field

from ..core.settings import Settings
from .cost import without_numbers
from .family.build import build_spec


class PublishedCount(Settings):
    """A number of parameters that somebody published for a net."""

    dims: Literal[2, 3] = Field(2, description="Dimensions it was counted for.")
    ends: tuple[int, int] = Field(description="Channels of the image and of the logits.")
    changes: dict[str, Any] = Field(default_factory=dict, description="Fields that differ from the row.")
    figure: int | str = Field(description="The count, or millions as they are printed.")
    source: str = Field(description="Who published it.")
    differs: str | None = Field(None, description="Why the net here has another number; none when it has this one.")

    def ours(self, name: str) -> int:
        """Parameters of the net here, built for the same channels."""
        return count(name, self.dims, self.ends, **self.changes)

    def agrees(self, ours: int) -> bool:
        """Whether a count is the published one, to the digits that were printed."""
        if isinstance(self.figure, int):
            return ours == self.figure
        millions = self.figure.removesuffix(" M")
        return f"{ours / 1e6:.{len(millions.partition('.')[2])}f}" == millions


def published() -> dict[str, tuple[PublishedCount, ...] | str]:
    """The published counts of each net, or why there is none."""
    text = (files(__package__) / "family" / "published.yaml").read_text(encoding="utf-8")
    return {
        name: found
        if isinstance(found, str)
        else tuple(PublishedCount.parse(one, f"published.yaml: {name}") for one in found)
        for name, found in yaml.safe_load(text).items()
    }


def count(name: str, dims: int, ends: tuple[int, int], **changes: Any) -> int:
    """Trained numbers of a net on the shelf."""
    return sum(one.numel() for one in without_numbers(build_spec(name, dims, *ends, **changes)).parameters())
