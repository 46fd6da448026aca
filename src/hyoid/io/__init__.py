"""Data in and out: files become images, folders become data sets, answers become files.

Read in this order:

- `formats`: the shelf of formats; `read_image`, `read_header`, `write_image` by suffix
- `blocks`: images that stay in their file; `canvas`: labels larger than memory, until they are written
- `header`: Header, what is known of a file before its voxels are read; Format, who can read it
- `nifti`, `itk`, `dicom` (with `series`, where its slices lie), `raster`, `tiff` (with `tiff_tiles`, tile by tile),
  `ome_zarr`: one format family each
- `order`: turning arrays into memory order; `sniff`: what a file that cannot be read really is
- `dataset`: Dataset and `open_dataset`, what the rest of the house uses
- `below`: images in a folder and the folders below it, named by where they lie
- `cases`: `find_images` and `read_case`, images to predict
- `entry`: Entry, where a case lies; `layouts`: which files form a case, in any usual arrangement
- `declared`: manifests and dataset.json; `tables`: how such files are parsed
- `survey`: one quick pass over headers and annotations
- `masks`: how annotations are stored and mapped; `recognise`: which way a set uses
- `agreement`: whether image and annotation lie on one grid
- `groups`: folds that do not leak
- `inspect`: what a file or a data set holds, for people
- `phantoms`: generated data sets for demos and tests
"""
