"""The sections of the report page: NAME.py says what it tells, NAME.html how it looks.

Each module has one function `NAME(report, facts)` that gives what NAME.html names, or None when there is nothing to
tell; the page then leaves the section out. Beside that every template knows `report`, `facts`, `primary` (name of the
first metric), `num_groups` (independent groups of cases), `percent` (confidence of intervals, as text), `name_of` and
`between`.
`page.SECTIONS` has them in the order of the page:

- `result`: the mean, a bar for each structure
- `summary`: each structure by the first metric, then by all metrics
- `baselines`: what classical methods reach on the same cases
- `training`: learning curves
- `distributions`: each case of each structure as a dot
- `agreement`: bias and limits of agreement of volumes
- `confusion`: which structure is taken for which
- `certainty`: whether probabilities mean what they say
- `detection`: single pieces found, at which price, and of which size
- `subgroups`: gaps between kinds of cases
- `gallery`: pictures of the worst, median and best cases
- `cases`: a table of every case, worst first
- `data`: the data sheet, and whether the parts of the split share patients
- `plan`: what was decided, and what it was chosen from
- `cost`: time, energy and memory, expected and measured
- `rules`: how it was measured
- `card`: what the net is, its limitations, and the items of CLAIM
- `environment`: what is needed to repeat it
"""
