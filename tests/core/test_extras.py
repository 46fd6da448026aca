"""How to get what is not installed."""

import re

import pytest

from hyoid.core.extras import install_command


@pytest.mark.parametrize(
    ("extra", "libraries"), [("timm", ["timm"]), ("openvino", ["openvino"]), ("int8", ["openvino", "nncf"])]
)
def test_the_command_names_the_libraries_of_the_extra(extra, libraries):
    command = install_command(extra)
    assert command.startswith("pip install '")
    assert re.findall(r"'(\w+)>=[\d.]+'", command) == libraries
