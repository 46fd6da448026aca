"""Losses of displacement fields: how far a deformation is from a smooth one.

A field (B, d, *S) holds for each voxel where it goes, in voxels along each of d axes. Spacing is 1 unless it is given.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from ..core.registry import Registry
from .options import Positive


class FieldLoss(Protocol):
    """Judges a displacement field; 0 is perfectly smooth."""

    def __call__(self, field: Tensor) -> Tensor:
        """A scalar with a gradient, of a field (B, d, *S)."""


field_losses: Registry[FieldLoss] = Registry("field loss", checked=True)


def second_derivative(values: Tensor, one: int, other: int, steps: tuple[float, float]) -> Tensor:
    """Central differences of second order along two axes, or twice along one; a voxel shorter at each end of space."""
    near = {axis: values.shape[axis] - 2 for axis in range(2, values.ndim)}

    def at(moves: dict[int, int]) -> Tensor:
        found = values
        for axis, count in near.items():
            found = found.narrow(axis, 1 + moves.get(axis, 0), count)
        return found

    if one == other:
        return (at({one: 1}) - 2 * at({}) + at({one: -1})) / steps[0] ** 2
    corners = [a * b * at({one: a, other: b}) for a in (1, -1) for b in (1, -1)]
    return torch.stack(corners).sum(0) / (4 * steps[0] * steps[1])


@field_losses.register("diffusion", papers="balakrishnan2019voxelmorph")
class Diffusion:
    """Mean squared gradient of the field.

    L = mean |grad u|^2.

    Reference:
        balakrishnan2019voxelmorph, equation 8.
    """

    def __init__(self, spacing: Sequence[Positive] = ()) -> None:
        self.spacing = tuple(spacing)

    def __call__(self, field: Tensor) -> Tensor:
        """The mean over voxels, components and axes; forward differences."""
        steps = self.spacing or (1.0,) * (field.ndim - 2)
        terms = [(field.float().diff(dim=axis) / step).square().mean() for axis, step in enumerate(steps, start=2)]
        return torch.stack(terms).mean()


@field_losses.register("bending_energy", papers="rueckert1999nonrigid")
class BendingEnergy:
    """Mean squared second derivatives of the field.

    L = mean sum_ij (d^2 u / dx_i dx_j)^2.

    Reference:
        rueckert1999nonrigid, equation 6. Mixed derivatives count twice; differences of three voxels along each axis,
        away from the border; 0 for affine deformations.
    """

    def __init__(self, spacing: Sequence[Positive] = ()) -> None:
        self.spacing = tuple(spacing)

    def __call__(self, field: Tensor) -> Tensor:
        """The mean over voxels and components."""
        axes = tuple(range(2, field.ndim))
        steps = dict(zip(axes, self.spacing or (1.0,) * len(axes), strict=True))
        total = torch.zeros((), device=field.device)
        for one in axes:
            for other in axes[one - 2 :]:
                bent = second_derivative(field.float(), one, other, (steps[one], steps[other]))
                total = total + (1 if one == other else 2) * bent.square().mean()
        return total
