"""Parts of your own, without changing hyoid: a net and a loss in a file that the settings name.

hyoid run DATA --into RUN --set extensions=[examples/my_extension.py] \
    --set planning.net=grouped_unet --set training.loss=poly
"""

from torch import Tensor
from torch.nn import functional

from hyoid.losses.loss import Loss, counted, has_regions, losses
from hyoid.nets import variant

# A net is a row: what differs from the defaults of UNetSpec. The planner chooses its widths.
variant("grouped_unet", block="residual", blocks_encoder=1, norm={"name": "group", "groups": 4})


# A loss is a function of its options that gives a function of logits and target.
@losses.register("poly")
def poly(epsilon: float = 1.0) -> Loss:
    """Cross-entropy that trusts unsure voxels less: the mean of -log p + epsilon (1 - p)."""

    def loss(logits: Tensor, target: Tensor, weight: Tensor | None = None) -> Tensor:
        counts = counted(target, weight)  # 0 where the target is -1: nobody annotated these voxels
        if has_regions(logits, target):
            masks = target.clamp(min=0)
            terms = functional.binary_cross_entropy_with_logits(logits.float(), masks, reduction="none")
        else:
            terms = functional.cross_entropy(logits.float(), target, ignore_index=-1, reduction="none")
        doubt = 1 - (-terms).exp()
        return ((terms + epsilon * doubt) * counts).sum() / counts.sum().clamp(min=1e-8)

    return loss
