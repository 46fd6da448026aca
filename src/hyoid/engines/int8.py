"""OpenVINO in 8 bits: inner convolutions, with the ranges of calibration tiles."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

from torch import Tensor, nn

from .engine import Builder, Program, engines, library
from .openvino import OpenVino, openvino_model, save_model

FLOATING = ("ConvolutionBackpropData", "Concat", "Divide", "Multiply", "Add", "MVN")
"""Operations that stay as they are: they cost little, and OpenVINO has not all of them in 8 bits beside bfloat16."""


@engines.register("openvino_int8", papers="jacob2018quantization")
def openvino_int8(calibration: Tensor) -> Builder:
    """OpenVINO, inner convolutions in 8 bits with the ranges of calibration tiles (n, C, *S); with the extra `int8`."""

    def build(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Program:
        runtime = library("openvino", "int8")
        nncf = library("nncf", "int8")
        file = None if kept is None else kept.with_suffix(".xml")
        if file is not None and file.is_file():
            return OpenVino(runtime.Core().read_model(file), half)
        batches = [tiles.numpy() for tiles in calibration.split(len(example)) if len(tiles) == len(example)]
        logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function would silence the handlers of others
        model = openvino_model(net, example)
        layers = [one.get_friendly_name() for one in model.get_ordered_ops() if one.get_type_name() == "Convolution"]
        # the first sees the image and the last decides: both lose most by rounding and cost little
        kept_as_they_are = nncf.IgnoredScope(types=list(FLOATING), names=[layers[0], layers[-1]], validate=False)
        with contextlib.redirect_stdout(io.StringIO()):  # it draws bars of its own
            model = nncf.quantize(
                model,
                nncf.Dataset(batches),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(batches),
                ignored_scope=kept_as_they_are,
            )
        if file is not None:
            save_model(model, file)
        return OpenVino(model, half)

    return build
