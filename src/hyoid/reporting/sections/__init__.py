"""The sections of the report page: a function says what one tells, NAME.html how it looks.

Each function `NAME(report, facts)` gives what NAME.html names, or None when there is nothing to tell; the page then
leaves the section out. Beside that every template knows `report`, `facts`, `primary` (name of the first metric),
`num_groups` (independent groups of cases), `percent` (confidence of intervals, as text), `name_of` and `between`.
`page.SECTIONS` has them in the order of the page. Read in this order:

- `scores`: `result` (verdict, mean, a bar for each structure), `summary` (tables by structure), `baselines` (what
  classical methods reach), `distributions` (each case of each structure as a dot)
- `findings`: `agreement` of volumes, `confusion` of structures, `certainty` (whether probabilities mean what they say),
  `detection` of single pieces, `subgroups` (gaps between kinds of cases)
- `cases`: `gallery` (pictures of the worst, median and best cases), `cases` (a table of every case, worst first)
- `data`: `data`, the data sheet, and whether the parts of the split share patients
- `making`: `training` (learning curves), `plan`, `cost` (time, energy and memory), `rules` (how it was measured),
  `card` (what the net is, its limitations, items of CLAIM), `environment` (what is needed to repeat it)
"""
