"""A tiny prepared data set."""

from pathlib import Path

import pytest

from phantoms import Tiny, make_tiny


@pytest.fixture
def tiny(tmp_path: Path) -> Tiny:
    return make_tiny(tmp_path / "store")
