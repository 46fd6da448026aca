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
- `neighbours`: the largest and smallest of a voxel and its neighbours, with light gradients
- `nearest`: distances between the voxels of two surfaces, without a whole distance transform
- `surface_elements`: the surface between voxels in pieces with an area
- `skeleton`: centre lines, Betti numbers, and changes that tear nothing
- `confusion`: all structures of a label map at once, from one joint histogram
- `boxes`: boxes of arrays, which may reach outside of them and be scaled as they are read
- `scan`: boxes and counts of all values of label maps in one pass
"""
