"""Engines: what computes a net for tiles of one shape, other than torch as it is.

An engine is built for a net and an example of its tiles and gives the same finest logits. Its library is an extra and
is imported when it is asked for. What an engine can keep on disk, it builds from there the next time.
"""

from __future__ import annotations

import contextlib
import io
import logging
from copy import deepcopy
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from ..core.errors import ConfigError
from ..core.extras import install_command
from ..core.files import atomic_path
from ..core.registry import Registry
from ..nets.layers import InstanceNorm
from .signals import signal_stack_kept


class Engine(Protocol):
    """Computes a net for tiles of the shape it was built for."""

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits (B, K, *S) of tiles (B, C, *S), float32."""


class Builder(Protocol):
    """Makes an engine."""

    def __call__(self, net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Engine:
        """An engine for tiles like the example.

        Args:
            net: In evaluation mode.
            example: Tiles (B, C, *S).
            half: Whether the engine may compute in bfloat16.
            kept: File without suffix to keep the program in, and to take it from when it is there; None keeps nothing.

        Raises:
            ConfigError: When its library is not installed.
        """


engines: Registry[Builder] = Registry("engine")


class Finest(nn.Module):
    """A net that gives its finest logits alone."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
        finest: Tensor = self.net(tiles)[0]
        return finest


LIBRARIES = {
    "onnx": ("onnx", ("onnxruntime", "onnxscript")),
    "openvino": ("openvino", ("openvino",)),
    "openvino_int8": ("int8", ("openvino", "nncf")),
}
"""The extra that an engine needs, and what must be importable once it is installed."""


def check_installed(name: str) -> None:
    """Refuse an engine whose libraries are not installed, before anything is read.

    Raises:
        ConfigError: With the command that installs them.
    """
    extra, libraries = LIBRARIES.get(name, ("", ()))
    for library in libraries:
        if find_spec(library) is None:
            raise ConfigError(f"The engine {name} needs {library}; install it with `{install_command(extra)}`.")


def _library(name: str, extra: str) -> Any:
    """A library, imported now."""
    from importlib import import_module

    try:
        return import_module(name)
    except ImportError:
        raise ConfigError(f"The engine needs {name}; install it with `{install_command(extra)}`.") from None


def exported(net: nn.Module, example: Tensor) -> torch.export.ExportedProgram:
    """The net as a program of plain operations for tiles like the example."""
    with torch.no_grad():
        return torch.export.export(Finest(net), (example,))


class Compiled:
    """torch.compile: the same operations, fused for this machine by its C++ compiler."""

    def __init__(self, net: nn.Module, half: bool) -> None:
        self.net = torch.compile(Finest(net))
        self.half = half

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
        old = tiles.device.type == "cuda" and not torch.cuda.is_bf16_supported(False)
        with (
            torch.no_grad(),
            torch.autocast(tiles.device.type, torch.half if old else torch.bfloat16, enabled=self.half),
        ):
            logits: Tensor = self.net(tiles)
        return logits.float()


@engines.register("compile")
def compiled() -> Builder:
    """torch.compile; needs a C++ compiler on this machine, and a minute before the first answer."""
    return lambda net, example, half, kept: Compiled(net, half)


class OnnxRuntime:
    """A session of ONNX Runtime on the processor."""

    def __init__(self, model: bytes) -> None:
        library = _library("onnxruntime", "onnx")
        options = library.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session = library.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
        (logits,) = self.session.run(None, {self.name: tiles.numpy()})
        return torch.from_numpy(logits)


def onnx_model(net: nn.Module, example: Tensor) -> bytes:
    """The net as an ONNX model for tiles like the example."""
    _library("onnxscript", "onnx")
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of operators of packages that are not here
    with contextlib.redirect_stdout(io.StringIO()):
        made = torch.onnx.export(exported(net, example), dynamo=True, verbose=False)
    assert made is not None
    return bytes(made.model_proto.SerializeToString())


@engines.register("onnx")
def onnx() -> Builder:
    """ONNX Runtime, in 32 bits; with the extra `onnx`."""

    def build(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Engine:
        _library("onnxruntime", "onnx")
        file = None if kept is None else kept.with_suffix(".onnx")
        if file is not None and file.is_file():
            return OnnxRuntime(file.read_bytes())
        model = onnx_model(net, example)
        if file is not None:
            with atomic_path(file) as path:
                path.write_bytes(model)
        return OnnxRuntime(model)

    return build


class OpenVino:
    """A compiled model of OpenVINO on the processor."""

    def __init__(self, model: Any, half: bool) -> None:
        library = _library("openvino", "openvino")
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if half else "f32",  # it takes bf16 of itself where the processor has it
            "INFERENCE_NUM_THREADS": torch.get_num_threads(),
            "PERFORMANCE_HINT": "LATENCY",
        }
        with signal_stack_kept():
            self.request = library.Core().compile_model(model, "CPU", settings).create_infer_request()

    def __call__(self, tiles: Tensor) -> Tensor:
        """The finest logits."""
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
    shared: dict[int, Any] = {id(weight): weight for weight in (*net.parameters(), *net.buffers())}
    copied = deepcopy(net, shared)
    for owner in list(copied.modules()):
        for name, part in owner.named_children():
            if isinstance(part, InstanceNorm):
                setattr(owner, name, SpelledOutNorm(part))
    return copied


def openvino_model(net: nn.Module, example: Tensor) -> Any:
    """The net as a model of OpenVINO for tiles like the example."""
    library = _library("openvino", "openvino")
    return library.convert_model(exported(spelled_out(net), example))


@engines.register("openvino")
def openvino() -> Builder:
    """OpenVINO, in the precision of the plan; with the extra `openvino`."""

    def build(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Engine:
        library = _library("openvino", "openvino")
        file = None if kept is None else kept.with_suffix(".xml")
        if file is not None and file.is_file():
            return OpenVino(library.Core().read_model(file), half)
        model = openvino_model(net, example)
        if file is not None:
            save_model(model, file)
        return OpenVino(model, half)

    return build


FLOATING = ("ConvolutionBackpropData", "Concat", "Divide", "Multiply", "Add", "MVN")
"""Operations that stay as they are: they cost little, and OpenVINO has not all of them in 8 bits beside bfloat16."""


@engines.register("openvino_int8", papers="jacob2018quantization")
def openvino_int8(calibration: Tensor) -> Builder:
    """OpenVINO, inner convolutions in 8 bits with the ranges of calibration tiles (n, C, *S); with the extra `int8`."""

    def build(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> Engine:
        library = _library("openvino", "int8")
        nncf = _library("nncf", "int8")
        file = None if kept is None else kept.with_suffix(".xml")
        if file is not None and file.is_file():
            return OpenVino(library.Core().read_model(file), half)
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


def save_model(model: Any, file: Path) -> None:
    """Keep a model of OpenVINO as FILE.xml and FILE.bin; the first is renamed last, so that it is never there alone."""
    library = _library("openvino", "openvino")
    file.parent.mkdir(parents=True, exist_ok=True)
    making = file.with_name(f"{file.stem}.making.xml")
    library.save_model(model, making, compress_to_fp16=False)
    making.with_suffix(".bin").replace(file.with_suffix(".bin"))
    making.replace(file)
