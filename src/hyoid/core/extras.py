"""Libraries that only some need, and how to get them."""

from __future__ import annotations

import re
from importlib.metadata import requires


def install_command(extra: str) -> str:
    """What installs the libraries of an extra, such as "pip install 'onnx>=1.18' 'onnxruntime>=1.22'"."""
    belongs = re.compile(rf"extra == ['\"]{extra}['\"]")
    wanted = [line.split(";")[0].strip() for line in requires("hyoid") or () if belongs.search(line)]
    return " ".join(["pip install", *(f"'{one}'" for one in wanted)])
