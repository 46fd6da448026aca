"""Preparation makes cases alike: orientation, content, intensities, spacing; and keeps them on disk.

Each step gives an image on a new Grid, so the way back is `ops.resample.onto(result, case.image.grid)` and nothing else
has to be remembered. Read in this order:

- `spatial`: orient, crop to the content, resample to a spacing
- `voxel_size`: a voxel size that can only be mistaken is refused
- `intensity`: schemes that make intensities comparable (z-score, CT window, percentiles, RGB, none)
- `pipeline`: PreparationSettings and `prepare`, the steps in their order
- `streamed`: the same steps for an image that stays on disk, box by box
- `statistics`: mean, standard deviation and percentiles, a chunk at a time
- `packing`: how arrays lie on disk
- `store`: prepared cases on disk, read patch by patch; `prepare_all` fills it
"""
