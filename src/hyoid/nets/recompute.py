"""Less memory in training: what a level keeps for the backward pass is computed again instead.

Reference:
    chen2016sublinear.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint


class Recomputed(nn.Module):
    """A module that says what it does in `compute`; with `recompute` it keeps its inputs alone.

    Gradients are the same: random draws are repeated, and running statistics are updated once.
    """

    recompute = False

    def compute(self, *inputs: Any) -> Tensor:
        """The answer to the inputs."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Tensor:
        if not (self.recompute and self.training and torch.is_grad_enabled()):
            return self.compute(*inputs)
        # a compiler lets running statistics alone by itself, and takes no contexts that Python has to enter
        own: dict[str, Any] = {} if torch.compiler.is_compiling() else {"context_fn": partial(_contexts, self)}
        found: Tensor = checkpoint(self.compute, *inputs, use_reentrant=False, **own)
        return found


def _contexts(module: nn.Module) -> tuple[AbstractContextManager[Any], AbstractContextManager[Any]]:
    """Around the first computation, and around the second one."""
    return nullcontext(), _statistics_stay(module)


@contextmanager
def _statistics_stay(module: nn.Module) -> Iterator[None]:
    kept = [
        (norm, norm.momentum, norm.num_batches_tracked) for norm in module.modules() if isinstance(norm, _BatchNorm)
    ]
    for norm, *_ in kept:
        norm.momentum, norm.num_batches_tracked = 0.0, None
    try:
        yield
    finally:
        for norm, momentum, count in kept:
            norm.momentum, norm.num_batches_tracked = momentum, count
