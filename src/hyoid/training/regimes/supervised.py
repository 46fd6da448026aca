"""Supervised learning: every patch is labelled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ...core.case import Batch
from ...core.errors import DataError
from ...losses.compound import DeepSupervision
from ...losses.loss import Loss
from ...tasks.task import Task
from ..patches import count_voxels
from ..regime import Regime, Turn, regimes


@regimes.register("supervised")
class Supervised(Regime):
    """The net learns to give each voxel the answer of its annotation.

    Args:
        net: Gives logits as a tuple, finest first.
        task: What the channels mean; the loss already knows.
        loss: Compares logits with the target.
        head_weights: What each of the net's logits counts; the net's own when None, else less from level to level.
    """

    def __init__(self, net: nn.Module, task: Task, loss: Loss, head_weights: Sequence[float] | None = None) -> None:
        self.net, self.task = net, task
        self.turns = {"net": Turn(net)}
        if head_weights is None and task.heads is None:
            head_weights = getattr(net, "head_weights", None)
        self.loss = DeepSupervision(loss, head_weights)
        self._counts: Tensor | None = None

    def losses(self, turn: str, batches: Mapping[str, Batch], progress: float) -> dict[str, Tensor]:
        """The loss of a labelled batch."""
        batch = batches["labelled"]
        if batch.target is None:
            raise DataError(f"Supervised training needs labels, but {', '.join(batch.case_ids)} has none.")
        logits = self.net(batch.image)[: self.task.heads]
        if self.task.counts:
            counts = count_voxels(logits[0], batch.target)
            self._counts = counts if self._counts is None else self._counts + counts
        self.loss.at(progress)  # for terms that grow
        return {"loss": self.loss(logits, batch.target, batch.weight)}

    def counted(self) -> Tensor | None:
        """Voxels of the patches since the last call; None without any."""
        counts, self._counts = self._counts, None
        return counts
