"""Fast primitives: pure functions on arrays and tensors, each of which names its cost.

Read in this order:

- `resample`: an image onto another grid (`onto`), the way back of every preparation
- `banded`: separable operators along one axis, what resampling is made of
- `sampling`: compiled loops that read labels and oblique grids
- `warp`: one fused resampling for the spatial augmentation of a patch
- `warp_kernels`: its compiled loops
- `loops`: how loops are compiled, also where nothing can be written
- `decoding`: from channels to labels
- `morphology`: components, distances, holes, surfaces
"""
