"""Every loss and every metric is told of in the table of what it was checked against, and the named test does so."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hyoid.losses import feature_losses, field_losses, games, image_losses, losses
from hyoid.metrics import SHELVES

ROOT = Path(__file__).parents[2]
LIBRARIES = {
    "MONAI": "monai",
    "SciPy": "scipy",
    "SimpleITK": "SimpleITK",
    "scikit-image": "skimage",
    "scikit-learn": "sklearn",
    "surface-distance": "surface_distance",
}
ON_NO_SHELF = {
    "losses": {"perceptual", "soft_normalised_cut", "consistency", "gaussian_divergence"},
    "metrics": {"froc"},
}
ON_SHELVES = {
    "losses": {name for shelf in (losses, image_losses, field_losses, games, feature_losses) for name in shelf},
    "metrics": {name for shelf in SHELVES.values() for name in shelf},
}
topics = pytest.mark.parametrize("topic", ["losses", "metrics"])


def rows(topic: str) -> list[tuple[set[str], str, str]]:
    """Names, what they were compared with, and the text of the test, of each row of the table."""
    page = (ROOT / "docs" / "concepts" / f"{topic}.md").read_text("utf-8")
    table = page.split("## Checked against\n")[1].split("\n## ")[0]
    found = []
    for line in table.splitlines():
        if line.startswith("| `"):
            names, oracle, test = line.strip("| ").split(" | ")
            text = (ROOT / "tests" / topic / f"{test.strip('`')}.py").read_text("utf-8")
            found.append((set(re.findall(r"`(\w+)`", names)), oracle, text))
    return found


@topics
def test_every_name_has_a_row(topic):
    told = [name for names, *_ in rows(topic) for name in names]
    assert len(told) == len(set(told))
    assert set(told) == ON_SHELVES[topic] | ON_NO_SHELF[topic]


@topics
def test_the_named_test_speaks_of_it_and_asks_the_library(topic):
    for names, oracle, text in rows(topic):
        for name in names - ON_NO_SHELF[topic]:
            assert f'"{name}"' in text, name
        for library, module in LIBRARIES.items():
            if library in oracle:
                assert re.search(rf"(import|from) {module}\b", text), (names, library)
