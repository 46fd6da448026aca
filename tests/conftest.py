"""Fixtures for all tests."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("same examples each time", derandomize=True)
settings.load_profile("same examples each time")


@pytest.fixture(scope="session", autouse=True)
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The user's configuration folder: an empty one, also for processes that tests start."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("configuration")
        patch.setenv("XDG_CONFIG_HOME", str(folder))
        yield folder


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real annotated images; tests that need it skip with one reason when it is absent."""
    folder = Path(os.environ.get("HYOID_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("the folder of real images is not here (set HYOID_DATA to it)")
    return folder
