"""PSPNet, DeepLab, the net of large kernels and TransUNet as wholes, each written out again in plain torch."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from hyoid.nets import build_spec
from oracles import assert_equal_nets

WIDTHS, UNITS = (4, 4, 8, 12, 16, 24), (1, 2, 2, 2)
RESNET = {"channels": WIDTHS, "blocks": (1, 1, *UNITS)}


def unit(before: int, after: int, kernel: int = 1, stride: int = 1, spread: int = 1) -> nn.Sequential:
    conv = nn.Conv2d(before, after, kernel, stride, spread * (kernel // 2), spread, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(after), nn.ReLU())


def separable(before: int, after: int, spread: int = 1) -> nn.Sequential:
    depthwise = nn.Conv2d(before, before, 3, 1, spread, spread, before, bias=False)
    return nn.Sequential(depthwise, nn.Conv2d(before, after, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU())


def enlarged(x: Tensor, like: Tensor) -> Tensor:
    return functional.interpolate(x, like.shape[2:], mode="bilinear", align_corners=False)


class Bottleneck(nn.Module):
    def __init__(self, before: int, after: int, stride: int, spread: int) -> None:
        super().__init__()
        narrow = after // 4
        self.body = nn.Sequential(
            unit(before, narrow), unit(narrow, narrow, 3, stride, spread), unit(narrow, after)[:2]
        )
        self.shortcut = unit(before, after, 1, stride)[:2] if stride > 1 or before != after else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return (self.body(x) + self.shortcut(x)).relu()


class ResNet(nn.Module):
    def __init__(self, dilated: int) -> None:
        super().__init__()
        self.entrance, self.stages, width, spread = unit(1, WIDTHS[1], 7, 2), nn.ModuleList(), WIDTHS[1], 1
        for number, (wide, count) in enumerate(zip(WIDTHS[2:], UNITS, strict=True)):
            kept, first = number >= len(UNITS) - dilated, spread
            stride = 1 if kept or not number else 2
            spread *= 2 if kept else 1
            further = [Bottleneck(wide, wide, 1, spread) for _ in range(count - 1)]
            self.stages.append(nn.Sequential(Bottleneck(width, wide, stride, first), *further))
            width = wide

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x, self.entrance(x)]
        y = functional.max_pool2d(maps[1], 3, 2, 1)
        for stage in self.stages:
            y = stage(y)
            maps.append(y)
        return maps


class Pooled(nn.Module):
    def __init__(self, after: int, parts: int) -> None:
        super().__init__()
        self.parts, self.unit = parts, unit(WIDTHS[-1], after)

    def forward(self, x: Tensor) -> Tensor:
        return enlarged(self.unit(functional.adaptive_avg_pool2d(x, self.parts)), x)


class PSPNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resnet, self.parts = ResNet(2), nn.ModuleList(Pooled(6, parts) for parts in (1, 2, 3, 6))
        self.head = nn.Sequential(unit(48, 16, 3), nn.Conv2d(16, 2, 1))
        self.auxiliary = nn.Sequential(unit(16, 4, 3), nn.Conv2d(4, 2, 1))  # for training only

    def forward(self, x: Tensor) -> Tensor:
        y = self.resnet(x)[-1]
        return enlarged(self.head(torch.cat([y, *[part(y) for part in self.parts]], 1)), x)


class DeepLabV2(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet(2)
        self.scores = nn.ModuleList(nn.Conv2d(24, 2, 3, padding=r, dilation=r) for r in (6, 12, 18, 24))

    def forward(self, x: Tensor) -> Tensor:
        y = self.resnet(x)[-1]
        return enlarged(sum(score(y) for score in self.scores), x)


class DeepLabV3(nn.Module):
    def __init__(self, plus: bool) -> None:
        super().__init__()
        spread = separable if plus else lambda before, after, rate=1: unit(before, after, 3, 1, rate)
        self.resnet = ResNet(1)
        self.branches = nn.ModuleList([unit(24, 16), *[spread(24, 16, rate) for rate in (6, 12, 18)], Pooled(16, 1)])
        self.mix = nn.Sequential(unit(80, 16), spread(16, 16))
        self.finer, self.join = (unit(8, 5), separable(21, 16)) if plus else (None, None)
        self.head = nn.Conv2d(16, 2, 1)

    def forward(self, x: Tensor) -> Tensor:
        maps = self.resnet(x)
        y = self.mix(torch.cat([branch(maps[-1]) for branch in self.branches], 1))
        if self.finer is not None:
            finer = self.finer(maps[2])
            y = self.join(torch.cat([enlarged(y, finer), finer], 1))
        return enlarged(self.head(y), x)


class Refined(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv2d(2, 2, 3, padding=1), nn.Conv2d(2, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(self.first(x).relu())


class LargeKernel(nn.Module):
    def __init__(self, before: int) -> None:
        super().__init__()
        tall, flat = ((7, 1), (3, 0)), ((1, 7), (0, 3))
        self.ways = nn.ModuleList(
            nn.Sequential(nn.Conv2d(before, 2, a[0], padding=a[1]), nn.Conv2d(2, 2, b[0], padding=b[1]))
            for a, b in ((tall, flat), (flat, tall))
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.ways[0](x) + self.ways[1](x)


class LargeKernelNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.resnet = ResNet(0)
        self.scores = nn.ModuleList(nn.Sequential(LargeKernel(width), Refined()) for width in WIDTHS[2:])
        self.refined = nn.ModuleList(Refined() for _ in range(5))

    def forward(self, x: Tensor) -> Tensor:
        maps = self.resnet(x)
        *finer, y = [score(m) for score, m in zip(self.scores, maps[2:], strict=True)]
        for refine, score in zip(self.refined, finer[::-1], strict=False):
            y = refine(enlarged(y, score) + score)
        return self.refined[4](enlarged(self.refined[3](enlarged(y, maps[1])), x))


class Standardised(nn.Conv2d):
    def forward(self, x: Tensor) -> Tensor:
        variance, mean = torch.var_mean(self.weight, (1, 2, 3), keepdim=True, correction=0)
        kernel = (self.weight - mean) / torch.sqrt(variance + 1e-5)
        return functional.conv2d(x, kernel, None, self.stride, self.padding)


class GroupedBottleneck(nn.Module):
    def __init__(self, before: int, after: int, stride: int) -> None:
        super().__init__()
        narrow, self.shortcut = after // 4, nn.Identity()
        if stride > 1 or before != after:
            conv = Standardised(before, after, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.GroupNorm(after, after))
        ends = ((before, narrow, 1, 1), (narrow, narrow, 3, stride), (narrow, after, 1, 1))
        self.convs = nn.ModuleList(Standardised(a, b, k, s, k // 2, bias=False) for a, b, k, s in ends)
        self.norms = nn.ModuleList(nn.GroupNorm(32, b, 1e-6) for _, b, _, _ in ends)

    def forward(self, x: Tensor) -> Tensor:
        shortcut, y = self.shortcut(x), x
        for number, (conv, norm) in enumerate(zip(self.convs, self.norms, strict=True)):
            y = norm(conv(y))
            y = (y + shortcut if number == 2 else y).relu()
        return y


class Layer(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.qkv, self.out = nn.LayerNorm(width, 1e-6), nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.norm2, self.widen = nn.LayerNorm(width, 1e-6), nn.Linear(width, 4 * width)
        self.narrow = nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        parts = self.qkv(self.norm1(x)).chunk(3, -1)
        q, k, v = (part.unflatten(-1, (self.heads, -1)).transpose(1, 2) for part in parts)
        seen = (q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])).softmax(-1) @ v
        x = x + self.out(seen.transpose(1, 2).flatten(2))
        return x + self.narrow(functional.gelu(self.widen(self.norm2(x))))


class TransUNet(nn.Module):
    def __init__(self, positions: Tensor) -> None:
        super().__init__()
        root = Standardised(1, 128, 7, 2, 3, bias=False)
        self.root = nn.Sequential(root, nn.GroupNorm(32, 128, 1e-6), nn.ReLU())
        stages = (((128, 128, 1), (128, 128, 1)), ((128, 256, 2), (256, 256, 1)), ((256, 384, 2), (384, 384, 1)))
        self.stages = nn.ModuleList(nn.Sequential(*[GroupedBottleneck(*ends) for ends in stage]) for stage in stages)
        self.embed, self.positions = nn.Conv2d(384, 24, 1), nn.Parameter(positions)
        self.layers = nn.Sequential(Layer(24, 3), Layer(24, 3), nn.LayerNorm(24, 1e-6))
        widths, joined = (20, 16, 12, 8, 4), (256, 128, 128, 0)
        self.enter = unit(24, widths[0], 3)
        self.decoder = nn.ModuleList(
            nn.Sequential(unit(a + skip, b, 3), unit(b, b, 3))
            for (a, b), skip in zip(pairwise(widths), joined, strict=True)
        )
        self.head = nn.Conv2d(4, 2, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        skips = [self.root(x)]
        y = functional.max_pool2d(skips[0], 3, 2)
        for steps, stage in ((4, self.stages[0]), (8, self.stages[1])):
            y = stage(y)
            skips.append(torch.zeros(*y.shape[:2], *[size // steps for size in x.shape[2:]]))
            skips[-1][..., : y.shape[2], : y.shape[3]] = y
        y = self.embed(self.stages[2](y)) + self.positions
        y = self.enter(self.layers(y.flatten(2).transpose(1, 2)).transpose(1, 2).reshape(y.shape))
        for block in self.decoder:
            y = functional.interpolate(y, scale_factor=2, mode="bilinear", align_corners=True)
            y = block(torch.cat((y, skips.pop()), 1) if skips else y)
        return self.head(y)


@pytest.mark.parametrize(
    ("name", "theirs", "changes", "size"),
    [
        ("pspnet", PSPNet, {"width": 16, "align_corners": False}, 64),
        ("deeplab_v2", DeepLabV2, {}, 224),
        ("deeplab_v3", lambda: DeepLabV3(False), {"width": 16}, 352),
        ("deeplab_v3_plus", lambda: DeepLabV3(True), {"width": 16, "low_level": 5, "align_corners": False}, 352),
        ("ssnet", LargeKernelNet, {}, 64),
    ],
    ids=["pspnet", "deeplab_v2", "deeplab_v3", "deeplab_v3_plus", "ssnet"],
)
def test_equals_its_structure_written_out(name, theirs, changes, size):
    """Images are so large that the taps of the widest kernels still lie on the map."""
    ours = build_spec(name, 2, 1, 2, **RESNET, **changes).build()
    assert_equal_nets(theirs(), ours, torch.randn(1, 1, size, size, generator=torch.Generator().manual_seed(0)))


def test_transunet_equals_its_structure_written_out():
    fields = {"hidden": 24, "heads": 3, "layers": 2, "image": 64, "decoder": (20, 16, 12, 8, 4)}
    ours = build_spec("transunet", 2, 1, 2, channels=(128, 128, 256, 384), units=(2,), **fields).build()
    positions = torch.randn(1, 24, 4, 4, generator=torch.Generator().manual_seed(0))
    ours.positions.weight.data = positions
    assert_equal_nets(TransUNet(positions), ours, torch.randn(1, 1, 64, 64, generator=torch.Generator().manual_seed(1)))
