"""The ground floor: the words everybody uses, and what they need to be said well.

Read in this order:

- `errors`: HyoidError and its kinds; messages a person can act on
- `lengths`: Lengths, the unit that images are shown in, and what tolerances follow
- `grid`: Grid, where voxels lie in the body
- `labels`: Labels, what annotation values mean
- `case`: Image, Case, Batch, the things that flow
- `boxes`: what stands in for an array that stays on disk
- `trees`: YAML as data
- `settings`: Settings, frozen strict trees that read and write YAML
- `registry`: Registry, a named shelf of parts
- `digest`: whether bytes are still those that were written
- `sources`: whether the files of a case are still those that were seen
- `files`: atomic writing
- `lock`: a file that one program holds at a time
- `stopping`: Stop, how work is asked to end early
- `progress`: how long work tells what it is doing
- `result`: how results are shown, and what they are as JSON
- `duration`: lengths of time in words
- `energy`: joules that work takes, counted or estimated
- `extras`: how to get libraries that only some need
- `memory`: the most memory that this process has needed
- `machine`: what a computer is, in words
- `citations`: the papers behind a part (references.bib)
"""
