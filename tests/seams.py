"""Small regimes that use what the loop offers; a module of its own, for other processes to find it."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from hyoid.core.case import Batch
from hyoid.losses.compound import DeepSupervision
from hyoid.losses.loss import Loss
from hyoid.nets.critics import critics
from hyoid.nets.net import Net
from hyoid.tasks.task import Task
from hyoid.training.regime import Regime, Turn
from hyoid.training.settings import OptimiserSettings

Streams = Mapping[str, Batch]


class MeanTeacher(Regime):
    """The net also learns to agree with the average of its past, which predicts."""

    feeds: Mapping[str, int] = {"labelled": 1, "unlabelled": 2}
    predicts = "teacher"

    def __init__(self, net: Net, loss: Loss, decay: float = 0.9, weight: float = 1.0) -> None:
        self.net, self.teacher, self.loss = net, copy.deepcopy(net).requires_grad_(False), DeepSupervision(loss)
        self.decay, self.weight = decay, weight
        self.turns, self.keeps = {"net": Turn(net)}, {"teacher": self.teacher}

    def losses(self, turn: str, batches: Streams, progress: float) -> dict[str, Tensor]:
        labelled, image = batches["labelled"], batches["unlabelled"].image
        with torch.no_grad():
            aim = self.teacher(image)[0].softmax(1)
        answer = self.net(image + 0.1 * torch.randn_like(image))[0].softmax(1)
        self.confident = (aim.amax(1) > 0.9).float().mean()
        consistency = self.weight * progress * functional.mse_loss(answer, aim)
        return {"loss": self.loss(self.net(labelled.image), labelled.target), "consistency": consistency}

    def after_step(self, progress: float) -> None:
        for mine, theirs in zip(self.teacher.parameters(), self.net.parameters(), strict=True):
            mine.data.lerp_(theirs.data, 1 - self.decay)

    def shown(self) -> dict[str, Tensor]:
        return {"confident": self.confident}


class Adversary(Regime):
    """A critic learns to tell answers from annotations, and the net to mislead it."""

    teaches = ("net", "critic")

    def __init__(
        self, net: Net, task: Task, loss: Loss, dims: int, in_channels: int, width: int = 4, weight: float = 0.1
    ) -> None:
        self.net, self.loss, self.weight = net, DeepSupervision(loss), weight
        self.critic = critics.build("pixel", dims=dims, in_channels=in_channels + task.channels, width=width)
        usual = OptimiserSettings(learning_rate=2e-4, betas=(0.5, 0.999), weight_decay=0)
        self.turns = {"net": Turn(net), "critic": Turn(self.critic, usual, every=2)}
        self.right: dict[str, Tensor] = {}

    def judged(self, image: Tensor, answer: Tensor) -> Tensor:
        score: Tensor = self.critic(torch.cat([image, answer], 1)).score
        return score

    def losses(self, turn: str, batches: Streams, progress: float) -> dict[str, Tensor]:
        batch = batches["labelled"]
        assert batch.target is not None
        logits = self.net(batch.image)
        answer = logits[0].softmax(1)
        if turn == "net":
            misled = functional.softplus(-self.judged(batch.image, answer)).mean()
            return {"loss": self.loss(logits, batch.target), "misled": self.weight * misled}
        truth = functional.one_hot(batch.target.clamp(min=0), answer.shape[1]).movedim(-1, 1).float()
        real, made = self.judged(batch.image, truth), self.judged(batch.image, answer.detach())
        self.right = {"critic_right": (torch.cat([real, -made]) > 0).float().mean()}
        return {"critic": functional.softplus(-real).mean() + functional.softplus(made).mean()}

    def shown(self) -> dict[str, Tensor]:
        right, self.right = self.right, {}
        return right


class Bank(nn.Module):
    """The last few features of patches, in a ring."""

    def __init__(self, size: int, width: int) -> None:
        super().__init__()
        self.register_buffer("features", torch.zeros(size, width))
        self.register_buffer("pushed", torch.zeros((), dtype=torch.long))

    def push(self, features: Tensor) -> None:
        places = (self.pushed + torch.arange(len(features), device=features.device)) % len(self.features)
        self.features[places] = features
        self.pushed += len(features)


class Remembering(Regime):
    """The mean foreground of a patch is drawn towards that of patches before it; a bank remembers them."""

    def __init__(self, net: Net, loss: Loss, task: Task, size: int = 3) -> None:
        self.net, self.loss, self.bank = net, DeepSupervision(loss), Bank(size, task.channels)
        self.turns, self.keeps = {"net": Turn(net)}, {"bank": self.bank}

    def losses(self, turn: str, batches: Streams, progress: float) -> dict[str, Tensor]:
        batch = batches["labelled"]
        logits = self.net(batch.image)
        features = logits[0].softmax(1).flatten(2).mean(2)
        drawn = (features - self.bank.features.mean(0)).square().mean()
        self.bank.push(features.detach())
        return {"loss": self.loss(logits, batch.target), "drawn": drawn}


class Pairing(Regime):
    """Both images of a pair get one answer."""

    feeds: Mapping[str, int] = {"labelled": 1, "pairs": 1}

    def __init__(self, net: Net, loss: Loss) -> None:
        self.net, self.loss = net, DeepSupervision(loss)
        self.turns = {"net": Turn(net)}

    def losses(self, turn: str, batches: Streams, progress: float) -> dict[str, Tensor]:
        batch, pair = batches["labelled"], batches["pairs"]
        alike = functional.mse_loss(self.net(pair.image)[0], self.net(pair.other)[0])
        return {"loss": self.loss(self.net(batch.image), batch.target), "alike": alike}


REGIMES: dict[str, Any] = {
    "mean_teacher": MeanTeacher,
    "adversary": Adversary,
    "remembering": Remembering,
    "pairing": Pairing,
}
