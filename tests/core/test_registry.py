"""Shelves of parts, built by name."""

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
