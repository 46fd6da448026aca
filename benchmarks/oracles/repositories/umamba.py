"""U-Mamba's authors' code, with Mamba in plain torch; it stands on nnU-Net's nets, whose checkout it needs too."""

import sys
from importlib import import_module

from comparing import Comparison
from standins import Mamba, stand_in, timm_layers
from torch import nn

from hyoid.nets import build_spec

REPOSITORY = "bowang-lab/U-Mamba"
COMMIT = "28459e3"
ROWS = ("u_mamba", "u_mamba_bot")

WIDTHS = {2: (32, 64, 128, 256, 512, 512, 512, 512), 3: (32, 64, 128, 256, 320, 320)}


def mambas(form, dims):
    """Where the blocks of Mamba are: pairs of ours and theirs."""
    last = len(WIDTHS[dims]) - 1
    levels = range(last, -1, -2 if dims == 2 else -1) if form == "Enc" else (last,)
    for level in levels:
        ours = f"encoder.stages.{level}.block.attention.mamba"
        theirs = f"encoder.mamba_layers.{level}.mamba" if form == "Enc" else "mamba_layer.mamba"
        yield f"{ours}.taps", (f"{theirs}.conv1d.weight", lambda t: t.squeeze(1).mT)
        yield f"{ours}.tap_bias", f"{theirs}.conv1d.bias"
        yield f"{ours}.selection.a_log", f"{theirs}.A_log"
        yield f"{ours}.selection.d", f"{theirs}.D"
        yield f"{ours}.selection.dt_proj", f"{theirs}.dt_proj"


def comparisons(root):
    """Both forms in 2D and 3D, built for images so large that no level scans channels in place of voxels."""
    sys.path[:0] = [str(root / "umamba/nnunetv2/nets"), str(root.parent / "dynamic-network-architectures")]
    timm_layers()
    stand_in("mamba_ssm", Mamba=Mamba)
    stand_in("nnunetv2.utilities.plans_handling.plans_handler", ConfigurationManager=None, PlansManager=None)
    stand_in("nnunetv2.utilities.network_initialization", InitWeights_He=None)

    def theirs(form, dims):
        levels, conv = len(WIDTHS[dims]), (nn.Conv2d, nn.Conv3d)[dims - 2]
        steps = [[1] * dims, *[[2] * dims] * (levels - 1)]
        size = ((4096, 4096), (256, 256, 256))[dims - 2]
        counts = {"n_conv_per_stage": [2] * levels, "n_conv_per_stage_decoder": [2] * (levels - 1)}
        build = getattr(import_module(f"UMamba{form}_{dims}d"), f"UMamba{form}")
        norm = {"norm_op": (nn.InstanceNorm2d, nn.InstanceNorm3d)[dims - 2], "norm_op_kwargs": {"affine": True}}
        act = {"nonlin": nn.LeakyReLU, "nonlin_kwargs": {"inplace": True}}
        given = (*([size] if form == "Enc" else []), 2, levels, WIDTHS[dims], conv, [[3] * dims] * levels, steps)
        return build(*given, num_classes=3, conv_bias=True, deep_supervision=True, **counts, **norm, **act)

    for row, form in zip(ROWS, ("Enc", "Bot"), strict=True):
        for dims in (2, 3):
            yield Comparison(
                row,
                f"UMamba{form}, {dims}D",
                lambda form=form, dims=dims: theirs(form, dims),
                lambda row=row, dims=dims: build_spec(row, dims, 2, 3).build(),
                (1, 2, 128, 256) if dims == 2 else (1, 2, 32, 32, 64),
                pairs=dict(mambas(form, dims)),
            )
