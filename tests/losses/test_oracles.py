"""Every loss is named in the table of what it was checked against."""

from __future__ import annotations

import re
from pathlib import Path

from hyoid.losses import feature_losses, field_losses, games, image_losses, losses

PAGE = Path(__file__).parents[2] / "docs" / "concepts" / "losses.md"


def test_every_loss_has_an_oracle():
    table = PAGE.read_text(encoding="utf-8").split("## Checked against")[1]
    told = {name for row in table.splitlines() if row.startswith("|") for name in re.findall(r"`(\w+)`", row)}
    known = {name for shelf in (losses, image_losses, field_losses, games, feature_losses) for name in shelf}
    assert known <= told, known - told
    apart = {"perceptual", "soft_normalised_cut", "consistency", "gaussian_divergence"}
    assert told <= known | apart, told - known
