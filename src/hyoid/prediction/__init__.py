"""From a case to an answer on the same grid.

A net sees tiles; this folder cuts them, blends what the net says, and brings it back to the voxels of the file
without ever holding all probabilities of all structures at once.

Read in this order:

- `tiles`: where tiles lie, how they are read beyond the border, and how overlapping answers are blended
- `slabs`: from probabilities on the prepared grid, slab by slab, to an answer on the grid of the case
- `whole`: the maps of a whole image, where an answer needs them all
- `memory`: cases for which the memory does not suffice
- `settings`: how a net is applied
- `answering`: Answering, from the maps of a case to its answer
- `predictor`: Predictor, case in, answer on the same grid out
- `ensemble`: Ensemble, several runs as one; nets of one plan as one net
- `united`: predictors of different plans that answer as one
- `cascade`: the answer of an earlier run as channels
- `batches`: many cases: the next is read and the last is written while one is predicted
- `postprocess`: cleaning an answer by what is known of the structures
"""
