"""Lengths of time in words."""

import pytest

from hyoid.core.duration import duration


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.2, "0 s"), (59.4, "59 s"), (59.6, "1:00 min"), (185, "3:05 min"), (7800, "2:10 h")]
)
def test_seconds_are_told_as_people_say_them(seconds, text):
    assert duration(seconds) == text
