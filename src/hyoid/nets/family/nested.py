"""Nets whose decoder is a graph: U-Net++ with its pruning, and UNet 3+."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from ...core.errors import ConfigError
from ..net import Net
from ..unet import UNet, UNetSpec, initialise
from ..variants import variant

# Without norms, as counted in the paper; `norm=batch order=CNA` trains more easily. Accurate mode is answer "mean",
# fast mode is "finest". The official code drops half of the elements after each convolution: `order=CAD drop=elements
# dropout=0.5`. Trap: it averages sigmoids, this averages logits, so the two differ a little away from 0 and 1.
variant(
    "unet_plus_plus",
    papers=("zhou2018unetplusplus", "zhou2020unetplusplus"),
    about="U-Net++: a U of every depth, nested, each with logits of its own; can be pruned to any depth.",
    decoder="nested",
    norm="none",
    act="relu",
    order="CA",
    down="max",
    deep_supervision=True,
    answer="mean",
)


class GuidedUNetSpec(UNetSpec):
    """A U that may judge which structures are in the image, and gate its logits by that."""

    kind: Literal["guided_u"] = "guided_u"  # type: ignore[assignment]
    guided: bool = Field(False, description="Whether scores of presence, from the coarsest map, gate all logits.")

    def build(self) -> GuidedUNet:
        """The net, newly initialised."""
        return GuidedUNet(self)


class GuidedUNet(UNet):
    """The net of `GuidedUNetSpec`: the logarithm of the presence of each channel is added to its logits.

    So the loss of the segmentation teaches it. The authors multiply all logits by 0 or 1, whichever scores higher,
    which has no gradient and needs a loss of its own.

    Reference:
        huang2020unet3plus, section 2.3.
    """

    def __init__(self, spec: GuidedUNetSpec) -> None:
        super().__init__(spec)
        self.presence: nn.Module | None = None
        if spec.guided:
            score = spec.style(0).pointwise(int(self.encoder.channels[-1]), spec.out_channels)
            self.presence = nn.Sequential(nn.Dropout(0.5), score)
            initialise(self.presence)

    def last_convolution(self) -> nn.Conv2d | nn.Conv3d | None:
        """None when the logits are gated."""
        return super().last_convolution() if self.presence is None else None

    def decode(self, features: Sequence[Tensor], condition: Tensor | None = None) -> tuple[Tensor, ...]:
        """The logits of the encoder's maps."""
        logits, bottom = super().decode(features, condition), features[-1]
        if self.presence is None:
            return logits
        scores = self.presence(bottom).amax(tuple(range(2, bottom.ndim)), keepdim=True)
        return tuple(each + functional.logsigmoid(scores) for each in logits)


# Trap: public code gives sigmoids, which some losses take for logits.
variant(
    "unet_3plus",
    of=GuidedUNetSpec,
    papers="huang2020unet3plus",
    about="UNet 3+: every level of the decoder sees every level of the encoder and all coarser ones of its own.",
    left_out=(
        "Its module that judges whether a structure is in the image at all is there with guided: true only, and learns "
        "from the segmentation, without the loss of its own that the paper gives it."
    ),
    channels=(64, 128, 256, 512, 1024),
    decoder="full_scale",
    norm="batch",
    act="relu",
    bias=True,
    down="max",
    head={"name": "conv", "kernel": 3},
    deep_supervision=True,
)

_PER_LEVEL = ("channels", "blocks_encoder", "kernels", "strides", "dropout")
_PER_STEP = ("blocks_decoder", "decoder_channels", "up_channels")


def prune(net: Net, depth: int) -> UNet:
    """The part of a U-Net++ that feeds one head, as a net of its own with the same weights and the same logits.

    Args:
        net: A net with a nested decoder, trained with `deep_supervision`.
        depth: Ways down that are kept, from 1 to those of the net.

    Returns:
        A smaller net, which gives the logits of head X[0, depth].

    Raises:
        ConfigError: When the net is not nested, has no head at this depth, or is not so deep.

    Reference:
        zhou2018unetplusplus, section 3.3.
    """
    check_depth(net, depth)
    assert isinstance(net, UNet)
    deepest = len(net.spec.channels) - 1
    fields = net.spec.model_dump() | {"deep_supervision": False, "answer": "finest"}
    cuts = dict.fromkeys(_PER_LEVEL, depth + 1) | dict.fromkeys(_PER_STEP, depth)
    fields |= {name: fields[name][:count] for name, count in cuts.items() if isinstance(fields[name], tuple)}
    pruned = UNetSpec.parse(fields, "prune").build()
    weights = {_in_the_whole(key, deepest - depth): key for key in pruned.state_dict()}
    whole = net.state_dict()
    pruned.load_state_dict({ours: whole[theirs] for theirs, ours in weights.items()})
    return pruned.train(net.training)


def check_depth(net: Net, depth: int) -> None:
    """Refuse a net that cannot be pruned to this depth.

    Raises:
        ConfigError: When the net is not nested, has no head at this depth, or is not so deep.
    """
    if not isinstance(net, UNet) or net.spec.decoder != "nested" or not net.spec.deep_supervision:
        raise ConfigError(
            'Only a net with decoder "nested" and deep_supervision can be pruned, such as unet_plus_plus.'
        )
    deepest = len(net.spec.channels) - 1
    if not all(net.encoder.channels):
        raise ConfigError(
            "Its encoder gives no map on the finest grid, so this net holds no shallower ones and cannot be pruned."
        )
    if not 1 <= depth <= deepest:
        raise ConfigError(f"This net has heads at depths 1 to {deepest}; got {depth}.")


def _in_the_whole(key: str, head: int) -> str:
    """Where a weight of the pruned net lies in the whole one: only the head has another number."""
    return f"heads.{head}." + key.removeprefix("heads.0.") if key.startswith("heads.0.") else key
