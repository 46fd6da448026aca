"""All parts of a U on their shelves: importing this module registers every block, skip, way up and down, and graph."""

from . import decoders, encoders, gates, graphs, heads, resample, skips
from .blocks import attention, conv, dense, inception, recurrent, residual

__all__ = [
    "attention",
    "conv",
    "decoders",
    "dense",
    "encoders",
    "gates",
    "graphs",
    "heads",
    "inception",
    "recurrent",
    "resample",
    "residual",
    "skips",
]
