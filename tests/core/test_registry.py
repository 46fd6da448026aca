"""Shelves of parts, built by name."""

from __future__ import annotations

import pytest

from hyoid.core.errors import ConfigError
from hyoid.core.registry import Registry


@pytest.fixture
def shelf() -> Registry[int]:
    shelf: Registry[int] = Registry("number")

    @shelf.register("dice", papers="dice1945measures")
    def dice(smooth: int = 1) -> int:
        """A number.

        More about it.
        """
        return smooth

    return shelf


def test_a_part_is_built_by_name(shelf):
    assert shelf.build("dice") == 1
    assert shelf.build("dice", smooth=3) == 3
    assert shelf["dice"].papers == ("dice1945measures",)
    assert shelf["dice"].summary == "A number."
    assert list(shelf) == ["dice"] and len(shelf) == 1 and "dice" in shelf


def test_an_unknown_name_gives_the_closest(shelf):
    with pytest.raises(ConfigError, match="Did you mean 'dice'"):
        shelf.build("dise")


def test_an_unknown_option_gives_the_closest(shelf):
    with pytest.raises(ConfigError, match="Did you mean 'smooth'"):
        shelf.build("dice", smoth=3)


def test_a_name_is_taken_once(shelf):
    with pytest.raises(ConfigError, match="already"):
        shelf.register("dice")(lambda: 2)


def test_annotations_that_cannot_be_read_are_told():
    shelf: Registry[int] = Registry("number", checked=True)

    def build(weight: Lost = 1) -> int:  # noqa: F821
        return 1

    shelf.register("lost")(build)
    with pytest.raises(ConfigError, match=r"options of build cannot be checked.* name Lost, which is not imported"):
        shelf.build("lost", weight=2)
