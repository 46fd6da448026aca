"""PlanningSettings: what a person may fix; everything left at none is decided by the planner."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from ..core.settings import Settings

Preset = Literal["auto", "nnunet", "nnunet_residual_m", "nnunet_residual_l", "nnunet_residual_xl"]

Precision = Literal["32-true", "bf16-mixed", "16-mixed"]


class PlanningSettings(Settings):
    """What is fixed before planning."""

    preset: Preset = Field("auto", description="auto fits the time; the others follow published rules.")
    memory_gb: float | None = Field(None, gt=0, description="Memory training may use; none: 70 % of what is free.")
    before: str | None = Field(None, description="A run, or an ensemble of folds, whose answers enter as channels.")
    before_saw: bool = Field(False, description="Whether that run may have learned from the cases that it answers.")
    dims: Literal[2, 3] | None = Field(None, description="Dimensions of the net; 2 on volumes works slice by slice.")
    orientation: str | None = Field(None, description="Where axes point to after preparation, such as SRA.")
    spacing_mm: tuple[float, ...] | None = Field(None, description="Voxel size along each prepared axis.")
    extent: float | None = Field(
        None, ge=0, description="Pixels of the edge of every image, root of its area; 0 keeps pixels or millimetres."
    )
    crop: Literal["content", "none"] | None = Field(None, description="Whether empty borders are cut off.")
    intensity: tuple[str, ...] | None = Field(None, description="Intensity scheme of each channel, or one for all.")
    patch: tuple[int, ...] | None = Field(None, description="Voxels of a training patch along each prepared axis.")
    batch: int | None = Field(None, ge=1, description="Patches in a step.")
    net: str | None = Field(None, description="Name of a net on the shelf.")
    channels: tuple[int, ...] | None = Field(
        None, description="Width of each level, finest first; none: a net's published ones."
    )
    norm: str | None = Field(None, description="Normalisation of features in the net.")
    recompute: bool | None = Field(
        None, description="Whether maps are computed again instead of kept; none: where the memory asks for it."
    )
    deep_supervision: bool | None = Field(None, description="Whether coarser levels are trained too.")
    precision: Precision | None = Field(None, description="Number format in the net.")
    policy: str | None = Field(None, description="Augmentation policy.")
    mirror_axes: tuple[int, ...] | None = Field(None, description="Prepared axes that may be mirrored.")
    foreground_share: float | None = Field(None, ge=0, le=1, description="Share of patches centred on a structure.")
    batch_dice: bool | None = Field(None, description="Whether Dice is taken over the batch or each sample.")
