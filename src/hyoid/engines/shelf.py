"""Every engine by its name: importing this file puts them on the shelf."""

from . import compiled, int8, onnx, openvino
from .engine import engines

FILES = (compiled, int8, onnx, openvino)
"""The files that put an engine on the shelf."""

__all__ = ["engines"]
