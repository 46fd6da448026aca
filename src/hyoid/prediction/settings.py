"""PredictionSettings: how a trained net is applied to whole images."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from ..classical.random_field import FieldSettings
from ..core.errors import ConfigError
from ..core.settings import Settings
from ..engines.choice import BackendName
from ..files.formats import check_suffix

Precision = Literal["auto", "32-true", "bf16-mixed", "16-mixed"]


class PredictionSettings(Settings):
    """How a trained net is applied to whole images."""

    overlap: float = Field(0.5, ge=0, lt=1, description="Share of a patch that neighbouring tiles both cover.")
    mirror: bool | None = Field(
        None,
        description="Average the answers to mirrored tiles, along the axes of the plan; null: with 2D nets.",
    )
    precision: Precision = Field("auto", description="Number format in the net; auto: the plan's, full for images.")
    batch: int | None = Field(None, ge=1, description="Tiles that go through the net together; the plan's when none.")
    whole: float = Field(
        2.0,
        ge=0,
        description="Largest tile, in patches: smaller images are not cut, and tiles grow where that saves work.",
    )
    memory_gb: float = Field(1.5, gt=0, description="Memory for the maps that are being blended.")
    depth: int | None = Field(
        None, ge=1, description="Ways down that are kept of a net of every depth, such as unet_plus_plus; null: all."
    )
    backend: BackendName = Field(
        "torch", description="What computes the net; auto: torch until another engine pays and agrees with it."
    )
    refine: Literal["dense_crf"] | None = Field(
        None, description="What corrects probabilities by the image before they become labels: dense_crf."
    )
    dense_crf: FieldSettings = Field(FieldSettings(), description="The random field that `refine: dense_crf` uses.")
    largest_component: tuple[str, ...] = Field((), description="Structures of which only the largest piece is kept.")
    format: str | None = Field(
        None,
        description="File format of answers: nii.gz, seg.nrrd, tif, png, ome.zarr, ...; null: that of the image.",
    )

    @field_validator("format")
    @classmethod
    def _check_format(cls, wanted: str | None) -> str | None:
        try:
            return None if wanted is None else check_suffix(wanted)[1:]
        except ConfigError as error:
            raise ValueError(str(error).split(": ", 1)[1]) from None
