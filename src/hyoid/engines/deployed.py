"""A deployed net: a program from a file and its facts, without the net."""

from __future__ import annotations

import torch
from torch import Tensor

from ..core.errors import ConfigError
from ..tasks.task import Task
from .engine import Program, filled
from .evidence import Evidence
from .facts import NetFacts


class Deployed:
    """An engine of one program, on the processor.

    Args:
        program: Gives the finest logits of tiles.
        facts: Of the net it was made of, `tiles` included.
        task: What the channels mean.

    Raises:
        ConfigError: When the facts do not name the tiles, or the task has other channels.
    """

    answered = "the deployed program answered."
    device = torch.device("cpu")

    def __init__(self, program: Program, facts: NetFacts, task: Task) -> None:
        if facts.tiles is None:
            raise ConfigError("A program takes tiles of one shape; name it in its facts, as `tiles`.")
        if facts.out_channels != task.channels:
            raise ConfigError(f"The program gives {facts.out_channels} channels and the task has {task.channels}.")
        self.program, self.facts, self.batch = program, facts, facts.tiles[0]
        self.evidence = Evidence(task.channels, None, task)

    def __call__(self, tiles: Tensor) -> Tensor:
        """The logits (B, K, *S) of tiles (B, C, *S)."""
        return filled(self.program, tiles, self.batch)
