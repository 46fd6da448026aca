"""V-Net as its authors wrote it for Caffe: the prototxt, layer by layer in torch."""

import re

import torch
from comparing import Comparison
from torch import nn

from hyoid.nets import build_spec

REPOSITORY = "faustomilletari/VNet"
COMMIT = "584c150"
ROWS = ("vnet",)


class Prototxt(nn.Module):
    """The layers of a prototxt one after the other."""

    def __init__(self, text):
        super().__init__()
        self.order, self.layers, widths = [], nn.ModuleDict(), {"data": 1}
        for layer in re.findall(r"layer\s*\{(.*?)\n\}", text, re.DOTALL):
            values = dict(reversed(re.findall(r'(\w+):\s*"?([^"\s]+)', layer)))  # the first of each name
            given, made = (re.findall(rf'{end}:\s*"([^"]+)"', layer) for end in ("bottom", "top"))
            name, kind, width = values["name"], values["type"], sum(widths.get(one, 0) for one in given)
            if kind in ("Convolution", "Deconvolution"):
                sizes = (
                    int(values.get(key, default)) for key, default in (("kernel_size", 1), ("stride", 1), ("pad", 0))
                )
                build = nn.Conv3d if kind == "Convolution" else nn.ConvTranspose3d
                self.layers[name] = build(width, int(values["num_output"]), *sizes)
                width = int(values["num_output"])
            elif kind == "PReLU":
                self.layers[name] = nn.PReLU(width)
            elif kind == "Eltwise":
                width = widths[given[0]]
            elif kind not in ("Concat", "Split"):
                continue  # the data, the softmax and the loss
            widths |= dict.fromkeys(made, width)
            self.order.append((name, kind, given, made))

    def forward(self, x):
        maps = {"data": x}
        for name, kind, given, made in self.order:
            values = [maps[one] for one in given]
            if name in self.layers:
                y = self.layers[name](*values)
            else:
                y = {"Concat": lambda v: torch.cat(v, 1), "Eltwise": sum, "Split": lambda v: v[0]}[kind](values)
            maps |= dict.fromkeys(made, y)
        return y


def comparisons(root):
    """With the stages of the file, which are fewer than in the figure of the paper."""
    text = (root / "Prototxt" / "test_noPooling_ResNet_cinque.prototxt").read_text()
    stages = {"blocks_encoder": (0, 1, 2, 3, 3), "blocks_decoder": (1, 1, 2, 3), "head": "vnet"}
    ours = build_spec("vnet", 3, 1, 2, **stages).build
    yield Comparison(
        "vnet", "the authors' prototxt, its stages and head", lambda: Prototxt(text), ours, (1, 1, 16, 32, 16)
    )
