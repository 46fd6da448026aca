"""Augmentation: training patches that differ each time and still mean the same.

Every transform first draws its numbers from a NumPy generator and then applies them, so a sample is known by its seed.
Whatever moves voxels (flip, rotation, scaling, shear, shift, elastic) is composed into one Warp and resampled once,
from the box of the source that is needed; whatever changes values works in place on tensors (C, *S) on
any device. 2D and 3D are one code. Read in this order:

- `transform`: what a transform is, the shelf `transforms`, amounts drawn about a neutral value
- `spatial`: flip, rotation, scaling, shear, shift, and their composition into a Warp
- `elastic`: smooth random deformations, from a coarse grid or from filtered noise
- `intensity`: brightness, contrast, gamma
- `artefacts`: noise, blur, low resolution
- `policies`: named rows of transforms, and Policy, which draws from them
- `patches`: samples that are drawn and read, and computed by the processor
- `device`: the same samples computed on a GPU
"""
