"""YAML as data."""

from __future__ import annotations

from typing import Any

import yaml


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


def load_yaml(text: str) -> Any:
    """What a YAML text holds.

    Raises:
        yaml.YAMLError: When it cannot be read, or a mapping has a key twice.
    """
    return yaml.load(text, _OneValueEach)
