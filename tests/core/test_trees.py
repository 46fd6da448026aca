"""YAML is read as data, and a key stands for one value."""

import pytest
import yaml

from hyoid.core.trees import load_yaml


def test_plain_values_are_read():
    assert load_yaml("1: liver\n2: {a: [1, 2.5, null, yes]}") == {1: "liver", 2: {"a": [1, 2.5, None, True]}}


@pytest.mark.parametrize("text", ["1: liver\n2: spleen\n1: tumour", "a: {b: 1, b: 2}", "- x: 1\n  x: 1"])
def test_a_key_that_is_there_twice_is_refused_by_name_and_line(text):
    with pytest.raises(yaml.YAMLError, match=r"the key '[1bx]' is there twice[\s\S]*line"):
        load_yaml(text)
