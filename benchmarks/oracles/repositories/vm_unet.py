"""VM-UNet's authors' code, with the scan in plain torch."""

from types import SimpleNamespace
from unittest.mock import patch

import torch
from comparing import Comparison
from standins import selective_scan, stand_in, timm_layers

from hyoid.nets import build_spec

REPOSITORY = "JCruan519/VM-UNet"
COMMIT = "43c495b"
ROWS = ("vm_unet",)


WAYS = (0, 2, 1, 3)
"""Ours scan an axis forwards, then backwards; theirs both axes forwards, then both backwards."""


def ways(ours, theirs):
    """Where the four scans of a block are in the tensors that theirs share."""
    for way, k in enumerate(WAYS):
        yield f"{ours}.scan.ways.{way}.x_proj.weight", (f"{theirs}.x_proj_weight", lambda t, k=k: t[k])
        yield f"{ours}.scan.ways.{way}.dt_proj.weight", (f"{theirs}.dt_projs_weight", lambda t, k=k: t[k])
        yield f"{ours}.scan.ways.{way}.dt_proj.bias", (f"{theirs}.dt_projs_bias", lambda t, k=k: t[k])
        yield f"{ours}.scan.ways.{way}.a_log", (f"{theirs}.A_logs", lambda t, k=k: t.chunk(4)[k])
        yield f"{ours}.scan.ways.{way}.d", (f"{theirs}.Ds", lambda t, k=k: t.chunk(4)[k])


def comparisons(root):
    """The depths of the paper. Their code scans in 32 bits whatever it is given; here its 32 bits are 64."""
    timm_layers()
    stand_in("mamba_ssm.ops.selective_scan_interface", selective_scan_fn=selective_scan, selective_scan_ref=None)
    from models.vmunet import vmamba
    from models.vmunet.vmunet import VMUNet

    vmamba.torch = SimpleNamespace(**{**vars(torch), "float": torch.float64, "float32": torch.float64})

    def answers(net, x):
        with patch.object(torch.Tensor, "float", torch.Tensor.double):
            return net(x)

    def theirs():
        return VMUNet(3, 5, depths=[2, 2, 2, 2], depths_decoder=[2, 2, 2, 1])

    pairs = {}
    for level in range(4):
        for block in range(2):
            there = f"blocks.{block}.self_attention"
            pairs |= dict(ways(f"encoder.{level}.{block}", f"vmunet.layers.{level}.{there}"))
            pairs |= dict(ways(f"decoder.{level}.{block}", f"vmunet.layers_up.{3 - level}.{there}"))
    yield Comparison(
        "vm_unet",
        "VMUNet, depths 2 2 2 2 and 2 2 2 1",
        theirs,
        build_spec("vm_unet", 2, 3, 5).build,
        (1, 3, 64, 96),
        pairs=pairs,
        answers=answers,
    )
