"""File formats: files become images, answers become files.

Read in this order:

- `formats`: the shelf of formats; `read_image`, `read_header`, `write_image` by suffix
- `header`: Header, what is known of a file before its voxels are read; Format, who can read it
- `blocks`: images that stay in their file; `canvas`: labels larger than memory, until they are written
- `nifti`, `itk`, `dicom` (with `series`, where its slices lie), `raster`, `tiff` (with `tiff_tiles`, tile by tile),
  `ome_zarr`: one format family each
- `units`: millimetres in the units that headers name
- `colours`: the colour of each structure in files that have room for it
- `order`: turning arrays into memory order; `sniff`: what a file that cannot be read really is; `strays`: what systems
  leave among images
"""
