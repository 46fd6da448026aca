"""Policies: named rows of transforms, and the augmented patches they give.

Amounts of intensity transforms are in units of the normalised image, whose values have a standard deviation of
about one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..core.errors import ConfigError
from ..core.registry import Registry
from ..ops.warp import Warp, clipped, source_box, warp_array, warp_labels, warp_tensor
from .artefacts import Blur, LowResolution, Noise
from .elastic import ElasticGrid, ElasticNoise
from .intensity import Brightness, BrightnessShift, Contrast, Gamma
from .spatial import Flip, Rotation, Scaling, Shear, Shift, compose
from .transform import Frame, IntensityTransform, SpatialTransform, Transform

if TYPE_CHECKING:
    import torch

Read = Callable[[tuple[int, ...], tuple[int, ...]], np.ndarray]

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

    def apply_intensity(self, rng: np.random.Generator, image: np.ndarray | torch.Tensor) -> None:
        """Change values in place.

        Args:
            rng: Gives every number.
            image: float32, (C, *S) or, with each sample on its own, (B, C, *S); an array or a tensor on any device.
        """
        import torch

        values = torch.from_numpy(image) if isinstance(image, np.ndarray) else image
        samples = values if values.ndim == self.frame.dims + 2 else values[None]
        with torch.no_grad():
            for sample in samples:
                for transform in self.intensity:
                    amounts = transform.draw(rng, self.frame, len(sample))
                    if amounts is not None:
                        transform.apply(sample, amounts)


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


def augmented_patch(
    read: Read,
    read_labels: Read | None,
    image_shape: Sequence[int],
    centre: Sequence[int],
    policy: Policy,
    rng: np.random.Generator,
    fill: float | None = 0.0,
    fill_label: int | None = 0,
    read_weight: Read | None = None,
    fill_weight: float | None = 0.0,
) -> tuple[np.ndarray, Any, Any]:
    """One training sample, made from the part of the source that it needs.

    Args:
        read: Gives the intensities (C, *shape) of a box (start, shape) that lies inside the image.
        read_labels: The same for labels (1, *shape); None when the case has none.
        image_shape: Voxels of the whole image.
        centre: Index of the voxel the patch is centred on.
        policy: What to draw from.
        rng: Gives every number of this sample.
        fill: Value outside the image; None continues its outermost voxels.
        fill_label: Label outside the image; None continues its outermost voxels.
        read_weight: The same as `read` for a map of loss weights, resampled but not otherwise changed.
        fill_weight: Weight outside the image; None continues its outermost voxels.

    Returns:
        Image (C, *patch) float32, labels (1, *patch) or None, weight (1, *patch) float32 or None.
    """
    warp = policy.draw_warp(rng, [c - n // 2 for c, n in zip(centre, policy.frame.shape, strict=True)])
    start, shape = clipped(*source_box(warp), image_shape)
    image = warp_array(read(start, shape), start, warp, 1, fill)
    policy.apply_intensity(rng, image)
    labels = None if read_labels is None else warp_labels(read_labels(start, shape), start, warp, 1, fill_label)
    weight = None if read_weight is None else warp_array(read_weight(start, shape), start, warp, 1, fill_weight)
    return image, labels, weight


def augmented_batch(
    images: torch.Tensor,
    labels: torch.Tensor | None,
    policy: Policy,
    rngs: Sequence[np.random.Generator],
    fill: float | None = 0.0,
    fill_label: int | None = 0,
) -> tuple[torch.Tensor, torch.Tensor | None]:
    """Patches from the middle of every sample of a batch, on the device the batch is on.

    Args:
        images: (B, C, *S) float32, as large as the patch or larger (then less of what is moved in is `fill`).
        labels: (B, 1, *S) integers, or None.
        policy: What to draw from.
        rngs: One generator for each sample; it draws what it would draw for `augmented_patch`.
        fill: Value outside the images; None continues their outermost voxels.
        fill_label: Label outside them; None continues their outermost voxels.

    Returns:
        Images (B, C, *patch) and labels (B, 1, *patch) or None.
    """
    patch, size = policy.frame.shape, images.shape[2:]
    start = [n // 2 - p // 2 for n, p in zip(size, patch, strict=True)]
    warps = [policy.draw_warp(rng, start) for rng in rngs]
    corner = [(0,) * len(patch)] * len(warps)
    moved = warp_tensor(images, corner, warps, 1, fill)
    for rng, sample in zip(rngs, moved, strict=True):
        policy.apply_intensity(rng, sample)
    return moved, None if labels is None else warp_tensor(labels, corner, warps, 1, fill_label)
