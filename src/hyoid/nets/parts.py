"""All parts of a U on their shelves: importing this module registers every block, skip, way up and down, and graph."""

from . import decoders, encoders, gates, graphs, heads, parallel, resample, skips
from .blocks import attention, conditioned, conv, dense, inception, recurrent, residual, separable
from .pyramids import densenet, efficientnet, mobilenet, resnet, timm_encoder, vgg

__all__ = [
    "attention",
    "conditioned",
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
    "parallel",
    "recurrent",
    "resample",
    "residual",
    "resnet",
    "separable",
    "skips",
    "timm_encoder",
    "vgg",
]
