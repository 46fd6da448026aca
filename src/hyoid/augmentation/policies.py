"""Policies: named rows of transforms, and what is drawn from them for a patch.

Amounts of intensity transforms are in units of the normalised image, whose values have a standard deviation of
about one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ..core.errors import ConfigError
from ..core.registry import Registry
from ..ops.warp import Warp
from .artefacts import Blur, LowResolution, Noise
from .elastic import ElasticGrid, ElasticNoise
from .intensity import Brightness, BrightnessShift, Contrast, Gamma
from .spatial import Flip, Rotation, Scaling, Shear, Shift, compose
from .transform import Changes, Frame, IntensityTransform, SpatialTransform, Transform

Row = tuple[Transform, ...]
policies: Registry[Row] = Registry("policy")


@policies.register("none")
def none() -> Row:
    """Patches as they are."""
    return ()


@policies.register("light")
def light() -> Row:
    """For trainings of minutes: little to learn, little to compute."""
    return (
        Flip(axis_probability=0.5),
        Rotation(probability=0.3, degrees=15, planar_degrees=30),
        Scaling(probability=0.3, factor=(0.85, 1.2)),
        Noise(probability=0.1, std=(0, 0.05)),
        Brightness(probability=0.15, factor=(0.85, 1.15)),
        Gamma(probability=0.15, exponent=(0.8, 1.25)),
    )


@policies.register("nnunet", papers="isensee2021nnunet")
def nnunet() -> Row:
    """The default of nnU-Net's second version: its order, its probabilities, its ranges."""
    return (
        Rotation(probability=0.2, degrees=30, planar_degrees=180, oblong_degrees=15),
        Scaling(probability=0.2, factor=(0.7, 1.4)),
        Noise(probability=0.1, std=(0, 0.1)),
        Blur(probability=0.2, sigma_voxels=(0.5, 1.0), channel_probability=0.5),
        Brightness(probability=0.15, factor=(0.75, 1.25)),
        Contrast(probability=0.15, factor=(0.75, 1.25)),
        LowResolution(probability=0.25, scale=(0.5, 1.0), channel_probability=0.5),
        Gamma(probability=0.1, exponent=(0.7, 1.5), inverted=True),
        Gamma(probability=0.3, exponent=(0.7, 1.5)),
        Flip(axis_probability=0.5),
    )


@policies.register("strong", papers="isensee2021nnunet")
def strong() -> Row:
    """For long trainings on few cases: wider ranges than nnU-Net's default, and shear and elastic deformation."""
    return (
        Flip(axis_probability=0.5),
        Rotation(probability=0.4, degrees=30, planar_degrees=180),
        Scaling(probability=0.4, factor=(0.7, 1.4), each_axis=True),
        Shear(probability=0.2, largest=0.15),
        ElasticGrid(probability=0.3, nodes=4, sigma_voxels=10),
        Noise(probability=0.2, std=(0, 0.15)),
        Blur(probability=0.2, sigma_voxels=(0.3, 1.5)),
        BrightnessShift(probability=0.1, std=0.5),
        Brightness(probability=0.2, factor=(0.7, 1.3)),
        Contrast(probability=0.2, factor=(0.5, 2.0)),
        LowResolution(probability=0.25, scale=(0.25, 1.0)),
        Gamma(probability=0.2, exponent=(0.7, 1.5), inverted=True),
        Gamma(probability=0.3, exponent=(0.7, 1.5)),
    )


@policies.register("unet2015", papers="ronneberger2015unet")
def unet2015() -> Row:
    """The first U-Net's: elastic deformation above all.

    The elastic numbers are those of section 3.1; the paper names shift, rotation and grey value variations, too,
    but not their ranges, so these are ours.
    """
    return (
        Flip(axis_probability=0.5),
        Rotation(degrees=15, planar_degrees=180, oblong_degrees=180),
        Shift(largest=0.1),
        ElasticGrid(nodes=3, sigma_voxels=10),
        Brightness(probability=0.5, factor=(0.8, 1.2)),
        Contrast(probability=0.5, factor=(0.8, 1.2)),
    )


@policies.register("panneerselvam2023", papers=("panneerselvam2023", "dong2017automatic", "simard2003best"))
def panneerselvam2023() -> Row:
    """The ranges of a brain tumour study, table 1; each with the 50 % that are given for flips."""
    return (
        Flip(axis_probability=0.5),
        Rotation(probability=0.5, degrees=20, planar_degrees=20, oblong_degrees=20),
        Shift(probability=0.5, largest=0.1),
        Shear(probability=0.5, largest=0.2),
        Scaling(probability=0.5, factor=(0.9, 1.1)),
        ElasticNoise(probability=0.5, amplitude=720, sigma_voxels=24),
        Gamma(probability=0.5, exponent=(0.8, 1.2), keep_statistics=False),
    )


@dataclass(frozen=True)
class Policy:
    """A row of transforms for patches of one shape and spacing.

    Attributes:
        name: What the row is called.
        frame: The patch: shape, spacing, the axes that may be mirrored and moved.
        spatial: Transforms that move voxels, composed in this order.
        intensity: Transforms that change values, applied in this order.
    """

    name: str
    frame: Frame
    spatial: tuple[SpatialTransform, ...]
    intensity: tuple[IntensityTransform, ...]

    def draw_warp(self, rng: np.random.Generator, start: Sequence[int]) -> Warp:
        """Where the voxels of a patch come from; `start` is the source index of its first voxel when nothing moves.

        The Warp is an exact copy when only flips and whole shifts were drawn.
        """
        drawn = [transform.draw(rng, self.frame) for transform in self.spatial]
        return compose([motion for motion in drawn if motion is not None], self.frame, start)

    def draw(self, rng: np.random.Generator, centre: Sequence[int], channels: int) -> tuple[Warp, Changes]:
        """Everything for a patch that is centred on a voxel, of an image with `channels` channels."""
        warp = self.draw_warp(rng, [c - n // 2 for c, n in zip(centre, self.frame.shape, strict=True)])
        return warp, self.draw_intensity(rng, channels)

    def draw_intensity(self, rng: np.random.Generator, channels: int) -> Changes:
        """What happens to the values of an image of so many channels, in order."""
        drawn = [(transform, transform.draw(rng, self.frame, channels)) for transform in self.intensity]
        return tuple((transform, amounts) for transform, amounts in drawn if amounts is not None)

    def grown(self, halo: int) -> Policy:
        """The same for patches with `halo` more voxels at each end of every axis that has more than one."""
        shape = tuple(n + 2 * halo if n > 1 else n for n in self.frame.shape)
        return replace(self, frame=replace(self.frame, shape=shape))


def build_policy(
    name: str,
    patch: Sequence[int],
    spacing_mm: Sequence[float] | None = None,
    mirror_axes: Sequence[int] = (),
    thick_axis: int | None = None,
) -> Policy:
    """The policy of this name for these patches.

    Args:
        name: One on the shelf `policies`.
        patch: Voxels along each axis; (1, h, w) for a 2D net on volumes.
        spacing_mm: Voxel size along each axis; ones when unknown.
        mirror_axes: Axes along which anatomy may be mirrored.
        thick_axis: Axis along which voxels are only mirrored and shifted; by default one whose spacing is over
            three times the smallest.

    Raises:
        ConfigError: When no policy has this name, or an axis does not exist.
    """
    row = policies.build(name)
    shape = tuple(int(n) for n in patch)
    spacing = tuple(float(s) for s in spacing_mm) if spacing_mm is not None else (1.0,) * len(shape)
    axes = [*mirror_axes, *([] if thick_axis is None else [thick_axis])]
    if len(spacing) != len(shape) or any(not 0 <= axis < len(shape) for axis in axes):
        raise ConfigError(f"A patch of shape {shape} does not fit spacing {spacing} mm and axes {axes}.")
    if thick_axis is None and len(shape) == 3 and max(spacing) > 3 * min(spacing):
        thick_axis = int(np.argmax(spacing))
    moving = tuple(axis for axis, n in enumerate(shape) if n > 1 and axis != thick_axis)
    frame = Frame(shape, spacing, tuple(mirror_axes), moving)
    return Policy(
        name,
        frame,
        tuple(t for t in row if isinstance(t, SpatialTransform)),
        tuple(t for t in row if isinstance(t, IntensityTransform)),
    )
