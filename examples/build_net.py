"""Nets as data: a row from the shelf, changed, measured without computing anything, written down, and run.

python examples/build_net.py
"""

import torch

import hyoid
from hyoid.nets import build_spec
from hyoid.nets.cost import cost


def main() -> tuple[torch.Tensor, ...]:
    """Give the logits of a small net with deep supervision."""
    original = build_spec("unet_original", dims=2, in_channels=1, out_channels=2)
    parameters = cost(original, (572, 572)).parameters
    print(f"U-Net of 2015: 572x572 -> {original.build().output_shape((572, 572))}, {parameters:,} parameters")

    spec = build_spec("nnunet_plain", dims=3, in_channels=1, out_channels=3, channels=(16, 32, 64))
    spec = spec.changed({"strides": [[1, 1, 1], [1, 2, 2], [2, 2, 2]], "kernels": [[1, 3, 3], [3, 3, 3], [3, 3, 3]]})
    costs = cost(spec, (16, 64, 64))
    print(f"{costs.parameters:,} parameters, {costs.flops / 1e9:.1f} GFLOP, sees {costs.receptive_field} voxels")
    print(spec.to_yaml())

    same = hyoid.UNetSpec.parse(spec.model_dump(mode="json")).build().train()
    logits = same(torch.randn(2, 1, 16, 64, 64))
    for level in logits:
        print(tuple(level.shape))
    return logits


if __name__ == "__main__":
    main()
