"""All parts of a U on their shelves: importing this module registers every block, skip, way up and down, and graph."""

from . import decoders, encoders, gates, graphs, heads, parallel, resample, skips  # noqa: F401
from .blocks import attention, conditioned, conv, dense, inception, recurrent, residual, separable, sequence  # noqa: F401
from .pyramids import densenet, efficientnet, mobilenet, resnet, timm_encoder, vgg, xception  # noqa: F401
