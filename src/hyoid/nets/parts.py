"""All parts of a U on their shelves: importing this module registers every block, skip, way up and down, and graph."""

from . import decoders, encoders, gates, heads, resample, skips
from .blocks import attention, conv

__all__ = ["attention", "conv", "decoders", "encoders", "gates", "heads", "resample", "skips"]
