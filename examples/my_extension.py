"""Parts of your own, without changing hyoid: a net and a loss in a file that the settings name.

hyoid run DATA --into RUN --set extensions=[examples/my_extension.py] \
    --set planning.net=grouped_unet --set training.loss=focal
"""

from torch import Tensor

from hyoid.losses.loss import Loss, as_masks, counted, has_regions, losses
from hyoid.nets import variant

# A net is a row: what differs from the defaults of UNetSpec. The planner chooses its widths.
variant("grouped_unet", block="residual", blocks_encoder=1, norm={"name": "group", "groups": 4})


# A loss is a function of its options that gives a function of logits and target.
@losses.register("focal")
def focal(gamma: float = 2.0) -> Loss:
    """Cross-entropy that counts easy voxels less: the mean of -(1 - p)^gamma log p."""

    def loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        counts, masks, logits = counted(target, weight), as_masks(logits, target), logits.float()
        if has_regions(logits, target):
            probability = (logits * (2 * masks - 1)).sigmoid()
        else:
            probability = (logits.softmax(1) * masks).sum(1)
        terms = -((1 - probability) ** gamma) * probability.clamp(min=1e-7).log()
        return (terms * counts).sum() / counts.sum().clamp(min=1e-8)

    return loss
