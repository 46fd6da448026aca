"""Nets compared with published counts and with independent implementations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from hyoid.nets import build_spec
from hyoid.nets.blocks.conv import blocks
from hyoid.nets.blocks.tokens import Positions
from hyoid.nets.layers import Style, build_part


def count(name: str, dims: int, in_channels: int, out_channels: int, **changes) -> int:
    """Trained numbers of a net on the shelf."""
    with torch.device("meta"):
        net = build_spec(name, dims, in_channels, out_channels, **changes).build()
    return sum(parameter.numel() for parameter in net.parameters())


def build_block(part, style: Style, in_channels: int, out_channels: int, depth: int = 1, stride: int = 1) -> nn.Module:
    """A block with kernels of 3."""
    given = {"kernel": (3,) * style.dims, "stride": (stride,) * style.dims, "depth": depth}
    return build_part(blocks, part, style=style, in_channels=in_channels, out_channels=out_channels, **given)


def in_order(net: nn.Module, x: Tensor) -> list[nn.Module]:
    """The layers with weights in the order in which they are used."""
    used: list[nn.Module] = []
    handles = [
        module.register_forward_hook(lambda module, *_: used.append(module))
        for module in net.modules()
        if not list(module.children())
        and list(module.parameters(recurse=False))
        and not isinstance(module, Positions)  # others keep these as a parameter of a larger module
    ]
    with torch.no_grad():
        net(x)
    for handle in handles:
        handle.remove()
    return used


def copy_weights(source: nn.Module, target: nn.Module, x: Tensor) -> None:
    """Random weights in `source`, the same in `target`, layer by layer in the order of use."""
    generator = torch.Generator().manual_seed(3)
    pairs = list(zip(in_order(source, x), in_order(target, x), strict=True))
    for one, other in pairs:
        tensors = {**dict(one.named_parameters()), **dict(one.named_buffers())}
        for key, value in tensors.items():
            if value.is_floating_point():
                value.data = drawn(key, value, generator)
        other.load_state_dict(one.state_dict())
    assert sum(p.numel() for p in source.parameters()) == sum(p.numel() for p in target.parameters())


def drawn(key: str, like: Tensor, generator: torch.Generator) -> Tensor:
    """Weights under which maps keep their size from layer to layer.

    Trap: with small ones all that reaches the logits is biases, and nets that differ look equal.
    """
    if "var" in key or (key == "weight" and like.ndim == 1):
        return 0.5 + torch.rand(like.shape, generator=generator)
    normal = torch.randn(like.shape, generator=generator)
    return normal * (2 / like[0].numel()) ** 0.5 if like.ndim > 1 else 0.1 * normal


def assert_equal_nets(theirs: nn.Module, ours: nn.Module, x: Tensor) -> None:
    """Equal logits after theirs and ours got the same weights."""
    theirs.eval(), ours.eval()
    copy_weights(theirs, ours, x)
    with torch.no_grad():
        expected, (logits,) = theirs(x), ours(x)
    assert expected.std() > 1e-3 * expected.abs().mean()  # a constant would prove nothing
    assert (logits - expected).abs().max() < 1e-4 * expected.abs().max()
