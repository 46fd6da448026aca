"""Data sets: folders and manifests become cases with annotations.

Read in this order:

- `dataset`: Dataset and `open_dataset`, what the rest of the house uses
- `entry`: Entry, where a case lies; `layouts`: which files form a case, in any usual arrangement; `per_case`: a folder
  for each; `endings`: what names of files tell; `contents`: the images of a folder
- `declared`: manifests and dataset.json; `tables`: how such files are parsed; `columns`: what their columns are for
- `facts`: which row is about which case; `places`: usual names of folders, and files that a table names
- `splits`: who learns, validates and is kept for a test
- `cases`: `find_images` and `read_case`, images to predict
- `below`: images in a folder and the folders below it, named by where they lie
- `survey`: one quick pass over headers and annotations
- `structures`: those with a file of their own, also where they overlap
- `masks`: how annotations are stored and mapped; `recognise`: which way a set uses
- `agreement`: whether image and annotation lie on one grid
- `groups`: folds that do not leak
- `inspect`: what a file or a data set holds, for people
- `phantoms`: generated data sets for demos and tests
"""
