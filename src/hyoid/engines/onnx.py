"""ONNX Runtime, on the processor in 32 bits."""

from __future__ import annotations

import contextlib
import io
import logging
from pathlib import Path

import torch
from torch import Tensor, nn

from ..core.files import atomic_path
from .engine import engines, keeping
from .torch import exported


class OnnxRuntime:
    """A session of ONNX Runtime on the processor."""

    def __init__(self, model: bytes) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        self.session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.name = self.session.get_inputs()[0].name

    def __call__(self, tiles: Tensor) -> Tensor:
        (logits,) = self.session.run(None, {self.name: tiles.numpy()})
        return torch.from_numpy(logits)


def onnx_model(net: nn.Module, example: Tensor) -> bytes:
    """The net as an ONNX model for tiles like the example."""
    logging.getLogger("torch.onnx").setLevel(logging.ERROR)  # it tells of operators of packages that are not here
    with contextlib.redirect_stdout(io.StringIO()):
        made = torch.onnx.export(exported(net, example), dynamo=True, verbose=False)
    assert made is not None
    return bytes(made.model_proto.SerializeToString())


@engines.register("onnx")
def onnx(net: nn.Module, example: Tensor, half: bool, kept: Path | None) -> OnnxRuntime:
    """ONNX Runtime, in 32 bits; with the extra `onnx`."""
    file = None if kept is None else kept.with_suffix(".onnx")
    if file is not None and file.is_file():
        return OnnxRuntime(file.read_bytes())
    model = onnx_model(net, example)
    if file is not None:
        with keeping(file), atomic_path(file) as path:
            path.write_bytes(model)
    return OnnxRuntime(model)
