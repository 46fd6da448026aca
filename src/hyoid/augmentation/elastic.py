"""Smooth random deformations: a spline through random nodes, or filtered noise.

Both give spline coefficients on a coarse grid in the frame of the patch. Amounts are in voxels of the finest moving
axis, so that tissue bends by the same millimetres along every axis; a thick axis is not bent.
"""

from __future__ import annotations

import numpy as np
from pydantic import Field

from ..ops.warp import spline_control
from .transform import Frame, Motion, SpatialTransform, transforms


@transforms.register("elastic_grid", papers="ronneberger2015unet")
class ElasticGrid(SpatialTransform):
    """Random displacements of a coarse grid of nodes, joined by cubic splines.

    Reference:
        ronneberger2015unet, section 3.1: "random displacement vectors on a coarse 3 by 3 grid ... Gaussian
        distribution with 10 pixels standard deviation ... bicubic interpolation", for patches of about 512 pixels.
    """

    nodes: int = Field(3, ge=2, description="Nodes along each moving axis, from face to face of the patch.")
    sigma_voxels: float = Field(10.0, ge=0, description="Standard deviation of each component at the nodes.")
    largest_share: float = Field(0.1, gt=0, description="Limit of sigma as a share of the node distance.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion:
        nodes = [self.nodes if axis in frame.moving else 1 for axis in range(frame.dims)]
        edge_mm = min((frame.shape[a] - 1) * frame.spacing_mm[a] / (self.nodes - 1) for a in frame.moving)
        sigma_mm = self.strength * min(self.sigma_voxels * frame.finest_mm, self.largest_share * edge_mm)
        values = np.zeros((frame.dims, *nodes))
        for axis in frame.moving:
            values[axis] = rng.normal(0, sigma_mm / frame.spacing_mm[axis], nodes)
        return Motion(control=spline_control(values))


@transforms.register("elastic_noise", papers="simard2003best")
class ElasticNoise(SpatialTransform):
    """Noise between -1 and 1 at every voxel, smoothed by a Gaussian of `sigma` and multiplied by `amplitude`.

    The smoothed noise has nothing finer than sigma, so it is drawn on a grid of that distance, with the variance
    and the correlation that the dense field would have: standard deviation A / (2 sigma sqrt(3 pi)) in a plane. A
    volume takes the same deviation (smoothing along a third axis would otherwise take most of it away).

    Reference:
        simard2003best, section 2.
    """

    amplitude: float = Field(720.0, ge=0, description="Factor A on the smoothed noise, in voxels.")
    sigma_voxels: float = Field(24.0, gt=0, description="Standard deviation of the Gaussian.")

    def motion(self, rng: np.random.Generator, frame: Frame) -> Motion:
        sigma_mm = self.sigma_voxels * frame.finest_mm
        deviation_mm = self.amplitude * frame.finest_mm / (2 * self.sigma_voxels * np.sqrt(3 * np.pi))
        nodes, widths = [], []
        for axis in range(frame.dims):
            extent = (frame.shape[axis] - 1) * frame.spacing_mm[axis] if axis in frame.moving else 0.0
            nodes.append(int(np.ceil(extent / sigma_mm)) + 1 if extent else 1)
            widths.append(sigma_mm * (nodes[-1] - 1) / extent if extent else 0.0)
        values = np.zeros((frame.dims, *nodes))
        for axis in frame.moving:
            smooth = _smooth_noise(rng, nodes, widths)
            values[axis] = self.strength * deviation_mm / frame.spacing_mm[axis] * smooth
        return Motion(control=spline_control(values))


def _smooth_noise(rng: np.random.Generator, shape: list[int], widths: list[float]) -> np.ndarray:
    """White noise of unit deviation filtered by a Gaussian, with unit deviation again; width 0 leaves an axis."""
    reach = [int(np.ceil(4 * width)) for width in widths]
    noise = rng.standard_normal([n + 2 * r for n, r in zip(shape, reach, strict=True)])
    for axis, (n, r, width) in enumerate(zip(shape, reach, widths, strict=True)):
        if r:
            taps = np.exp(-0.5 * (np.arange(-r, r + 1) / width) ** 2)
            taps /= np.sqrt((taps**2).sum())
            window = np.lib.stride_tricks.sliding_window_view(noise, 2 * r + 1, axis)
            noise = window @ taps
            assert noise.shape[axis] == n
    return noise
