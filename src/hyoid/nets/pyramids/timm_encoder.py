"""Any model of timm as an encoder of a 2D net."""

from __future__ import annotations

import math
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor, nn

from ...core.errors import ConfigError, HyoidError
from ...core.extras import install_command
from ..encoders import WayDown, encoders
from .catalogue import NON_COMMERCIAL


@encoders.register("timm")
class TimmEncoder(nn.Module):
    """The maps of a model of timm, each at the level whose grid it lies on; levels without one have no skip.

    Widths of the spec count for the decoder only. In a U: `encoder: {name: timm, model: convnext_tiny}`.
    """

    def __init__(self, way: WayDown, model: str = "resnet34") -> None:
        super().__init__()
        levels, in_channels, style = way.levels, way.in_channels, way.levels[0].style
        if style.dims != 2 or style.valid or way.stem is not None:
            raise ConfigError(
                f"Encoder timm ({model}) takes 2D images, is padded and has an entrance of its own; "
                "set planning.dims=2, padding same and no stem."
            )
        self.name, self.in_channels = model, in_channels
        with torch.device("cpu"):  # models compute some of their numbers while they are built
            found = _create(model, in_channels, pretrained=False)
        self.model = found.to(torch.get_default_device())
        steps = list(accumulate((level.stride for level in levels), _times))
        widths: dict[tuple[int, ...], int] = {
            (step, step): width for step, width in zip(_reductions(found), _channels(found), strict=True)
        }
        self.channels = tuple(widths.get(step, 0) for step in steps)
        self.strides = tuple(level.stride for level in levels)
        self.shrinks = ((0, 0),) * len(levels)
        if not self.channels[-1]:
            grids = ", ".join(f"1/{step}" for step in _reductions(found))
            raise ConfigError(
                f"{model} has maps at {grids} of the image but the coarsest of {len(levels)} levels lies at "
                f"1/{'x'.join(map(str, dict.fromkeys(steps[-1])))}; choose as many levels as it has."
            )
        self._places = {step[0]: index for index, step in enumerate(steps) if self.channels[index]}

    def forward(self, x: Tensor) -> list[Tensor]:
        maps = [x] * len(self.channels)
        for step, features in zip(_reductions(self.model), self.model(x), strict=True):
            if step in self._places:
                index = self._places[step]
                # some transformers keep channels last
                maps[index] = features if features.shape[1] == self.channels[index] else features.movedim(-1, 1)
        return maps

    def load_pretrained(self, non_commercial: bool = False) -> str:
        """Take the weights that timm has for the model; gives their licence.

        Args:
            non_commercial: Whether weights are welcome that may not be used commercially.

        Raises:
            ConfigError: When the licence is non-commercial and was not asked for.
            HyoidError: When timm has none or they could not be fetched.
        """
        licence = str((getattr(self.model, "pretrained_cfg", None) or {}).get("license") or "licence not stated")
        if "nc" in licence.lower().split("-") and not non_commercial:
            raise ConfigError(
                f"The weights of {self.name} are under {licence} and may not be used commercially; ask for "
                f"training.encoder_weights={NON_COMMERCIAL}timm when your use is not."
            )
        try:
            given = _create(self.name, self.in_channels, pretrained=True)
        except Exception as error:
            first = str(error).strip().split("\n")[0]
            raise HyoidError(f"timm could not give weights for {self.name} ({first}).") from None
        self.model.load_state_dict(given.state_dict())
        return licence


def _create(model: str, in_channels: int, pretrained: bool) -> Any:
    try:
        import timm
    except ModuleNotFoundError:
        raise ConfigError(f"Encoder timm needs the package timm: {install_command('timm')}.") from None
    except RuntimeError as error:
        # a build of torchvision for GPUs beside a torch for CPUs
        raise ConfigError(
            f"timm could not be imported ({error}); install a torchvision that is built as your torch is."
        ) from None
    try:
        return timm.create_model(model, pretrained=pretrained, features_only=True, in_chans=in_channels)
    except (RuntimeError, AttributeError, NotImplementedError) as error:
        if pretrained:
            raise
        first = str(error).strip().split("\n")[0]
        raise ConfigError(f"timm has no model {model!r} that gives maps ({first}).") from None


def _reductions(model: Any) -> list[int]:
    return list(model.feature_info.reduction())


def _channels(model: Any) -> list[int]:
    return list(model.feature_info.channels())


def _times(before: tuple[int, ...], stride: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(math.prod(pair) for pair in zip(before, stride, strict=True))
