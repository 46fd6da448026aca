"""YAML and JSON as data, from whoever wrote them."""

from __future__ import annotations

import json
from typing import Any

import yaml

MOST_VALUES = 5_000_000
"""Values that a text may hold once all aliases (`*name`) are written out."""


class _OneValueEach(yaml.SafeLoader):
    """Reads plain values, and refuses a key that is there twice, of which YAML would keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key in (key for key, _ in node.value if isinstance(key, yaml.ScalarNode)):
            if key.value in seen:
                text = f"the key {key.value!r} is there twice"
                raise yaml.constructor.ConstructorError(None, None, text, key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)

    def get_single_node(self) -> yaml.Node | None:
        node: yaml.Node | None = super().get_single_node()
        if node is not None and _size(node, {}) > MOST_VALUES:
            raise yaml.YAMLError(f"its aliases stand for more than {MOST_VALUES} values")
        return node


def _size(node: yaml.Node, known: dict[int, int]) -> int:
    """Values below a node with its aliases written out; more than are allowed when it holds itself."""
    if id(node) not in known:
        known[id(node)] = MOST_VALUES + 1  # until its end is reached
        inner = node.value if isinstance(node, yaml.CollectionNode) else ()
        parts = [part for one in inner for part in (one if isinstance(one, tuple) else (one,))]
        known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return known[id(node)]


def load_yaml(text: str) -> Any:
    """What a YAML text holds.

    Raises:
        yaml.YAMLError: When it cannot be read, has a key twice, is nested too deeply or stands for far more than it is.
    """
    try:
        return yaml.load(text, _OneValueEach)
    except RecursionError:
        raise yaml.YAMLError("it is nested too deeply") from None


def load_json(text: str) -> Any:
    """What a JSON text holds.

    Raises:
        ValueError: When it cannot be read, or is nested too deeply.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
