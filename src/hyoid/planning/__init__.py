"""Planning: from what the data are, and the time and memory there is, to every number training needs.

Read in this order:

- `settings`: PlanningSettings, what a person may fix
- `check`: whether what is fixed can fit any data, told before they are measured
- `sides`: structures that only their side tells apart
- `content`: by what an image is known again, and how bright it is
- `measure`: one case, measured
- `extent`: whether images without a pixel size show one thing in different resolution
- `fingerprint`: Fingerprint, what a data set is; `measure_dataset` reads every case once
- `likeness`: whether a case is like those that a net learned from
- `rules`: the published rules for spacing, patch, topology and batch, as arithmetic
- `learning`: Candidate, and the rule that says which one is expected to learn most in the time
- `container`: memory of the container that the process runs in
- `budget`: time and memory of training steps, measured or by a nominal speed
- `frame`: the prepared axes and which of them may be mirrored
- `intensity`: the intensity scheme of each channel
- `candidates`: what the preset `auto` chooses from
- `choice`: its choice
- `published`: the one candidate of the published presets
- `plan`: Plan, everything that was decided
- `planner`: `make_plan`
"""
