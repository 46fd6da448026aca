"""Options of metrics are held to their ranges."""

from __future__ import annotations

import pytest

from hyoid.core.errors import ConfigError
from hyoid.metrics import metrics


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("nsd", {"tolerance_mm": -1}),
        ("hausdorff", {"percentile": 150}),
        ("f_beta", {"beta": "a"}),
        ("boundary_iou", {"depth_mm": 0}),
    ],
)
def test_options_have_a_range(name, options):
    with pytest.raises(ConfigError, match=f"{name}.*{next(iter(options))}"):
        metrics.build(name, **options)
