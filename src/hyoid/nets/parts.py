"""All parts of a U on their shelves: importing this module registers every block, skip, way up and down, and graph."""

from . import decoders, encoders, gates, graphs, heads, resample, skips
from .blocks import attention, conv, dense, inception, recurrent, residual, separable
from .pyramids import densenet, efficientnet, mobilenet, resnet, vgg

__all__ = [
    "attention",
    "conv",
    "decoders",
    "dense",
    "densenet",
    "efficientnet",
    "encoders",
    "gates",
    "graphs",
    "heads",
    "inception",
    "mobilenet",
    "recurrent",
    "resample",
    "residual",
    "resnet",
    "separable",
    "skips",
    "vgg",
]
