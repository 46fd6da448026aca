"""OpenVINO, on the processor in the precision of the plan, or in 8 bits."""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..nets.layers import InstanceNorm
from .engine import engines, keeping
from .evidence import exchanged
from .torch import exported


class _Stack(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


@contextlib.contextmanager
def signal_stack_kept() -> Iterator[None]:
    """After the block this thread handles signals on the stack it did before; does nothing outside Linux.

    OpenVINO gives the thread that compiles a model a stack of its own for signals, and takes back the one before when
    the model goes. Two models that go in the order in which they came leave a stack that is no longer there, and the
    next Ctrl-C ends the program with a fault.
    """
    if sys.platform != "linux":
        yield
        return
    change = ctypes.CDLL(None).sigaltstack
    before = _Stack()
    change(None, ctypes.byref(before))
    try:
        yield
    finally:
        change(ctypes.byref(before), None)


class OpenVino:
    """A compiled model of OpenVINO on the processor."""

    def __init__(self, model: Any, half: bool) -> None:
        import openvino

        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",  # it takes bf16 of itself where the processor has it
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        with signal_stack_kept():
            self.request = openvino.Core().compile_model(model, "CPU", settings).create_infer_request()

    def __call__(self, tiles: Tensor) -> Tensor:
        return torch.from_numpy(np.array(self.request.infer([tiles.numpy()])[0]))


class SpelledOutNorm(nn.Module):
    """Instance norm in means and differences.

    OpenVINO computes these in one pass in whatever layout its convolutions like; of torch's own instance norm it makes
    a batch norm between two changes of layout, which took a third of the time of a 3D net.
    """

    def __init__(self, norm: InstanceNorm) -> None:
        super().__init__()
        self.eps, self.weight, self.bias = norm.eps, norm.weight, norm.bias

    def forward(self, x: Tensor) -> Tensor:
        """Each channel of each sample to mean 0 and variance 1, then scaled and shifted."""
        axes = tuple(range(2, x.ndim))
        from_mean = x - x.mean(axes, keepdim=True)
        normed = from_mean / (from_mean.square().mean(axes, keepdim=True) + self.eps).sqrt()
        if self.weight is None or self.bias is None:
            return normed
        shape = (-1, *(1 for _ in axes))
        return normed * self.weight.view(shape) + self.bias.view(shape)


def spelled_out(net: nn.Module) -> nn.Module:
    """The net with its norms spelled out; a copy that shares the weights."""
    return exchanged(net, {part: SpelledOutNorm(part) for part in net.modules() if isinstance(part, InstanceNorm)})


def openvino_model(net: nn.Module, example: Tensor) -> Any:
    """The net as a model of OpenVINO for tiles like the example."""
    import openvino

    return openvino.convert_model(exported(spelled_out(net), example))


def _kept_or(make: Callable[[], Any], half: bool, kept: Path | None) -> OpenVino:
    """The model that is kept as FILE.xml and FILE.bin; one that is made now, and kept, when there is none."""
    import openvino

    file = None if kept is None else kept.with_suffix(".xml")
    if file is not None and file.is_file():
        return OpenVino(openvino.Core().read_model(file), half)
    model = make()
    if file is not None:
        with keeping(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            making = file.with_name(f"{file.stem}_{os.getpid()}.xml")  # others may make it too
            openvino.save_model(model, making, compress_to_fp16=False)
            making.with_suffix(".bin").replace(file.with_suffix(".bin"))
            making.replace(file)  # last, so that it is never there alone
    return OpenVino(model, half)


@engines.register("openvino")
def openvino(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> OpenVino:
    """OpenVINO, in the precision of the plan; with the extra `openvino`."""
    return _kept_or(lambda: openvino_model(net, example), half, kept)


FLOATING = ("ConvolutionBackpropData", "Concat", "Divide", "Multiply", "Add", "MVN")
"""Operations that stay as they are: they cost little, and OpenVINO has not all of them in 8 bits beside bfloat16."""


@engines.register("openvino_int8", papers="jacob2018quantization")
def openvino_int8(
    net: nn.Module, example: Tensor, half: bool, kept: Path | None, calibration: Callable[[], Tensor]
) -> OpenVino:
    """OpenVINO, inner convolutions in 8 bits with the ranges of calibration tiles; with the extra `int8`."""

    def rounded() -> Any:
        import nncf

        batches = [tiles.numpy() for tiles in calibration().split(len(example)) if len(tiles) == len(example)]
        logging.getLogger("nncf").setLevel(logging.ERROR)  # its own function would silence the handlers of others
        model = openvino_model(net, example)
        layers = [op.get_friendly_name() for op in model.get_ordered_ops() if op.get_type_name() == "Convolution"]
        # the first sees the image and the last decides: both lose most by rounding and cost little
        kept_as_they_are = nncf.IgnoredScope(types=list(FLOATING), names=[layers[0], layers[-1]], validate=False)
        with contextlib.redirect_stdout(io.StringIO()):  # it draws bars of its own
            return nncf.quantize(
                model,
                nncf.Dataset(batches),
                preset=nncf.QuantizationPreset.MIXED,
                subset_size=len(batches),
                ignored_scope=kept_as_they_are,
            )

    return _kept_or(rounded, half, kept)
