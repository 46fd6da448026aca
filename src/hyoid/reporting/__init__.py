"""The page that shows what a run found: one self-contained report.html.

Read in this order:

- `data_sheet`: DataSheet, what the data set is and whether its split leaks
- `facts`: RunFacts, all that the page can tell beside the Report; every part is optional
- `figures`: learning curves and distributions as SVG that follows the colours of the page
- `overlays`: which cases and slices to show, and pictures of where prediction and reference differ
- `views`: cases small enough to travel in the page, for slices to scroll through
- `data_figures`: sizes, intensities and structures of a data set
- `certainty_figures`: reliability diagrams and detection of lesions
- `small_figures`: forests, paired dots, agreement of sizes and confusion of structures as small SVG
- `verdict`: the light, and the sentences behind it
- `claim`: what a paper should tell, and what of it a run knows
- `card`: `write_card`, the model card as Markdown
- `wording`: how a page writes numbers
- `sections`: what each section of the page tells, and how it looks
- `page`: `write_page`, which puts the sections into `page.html` with `page.css`,
  `page.js` (tables) and `viewer.js` (cases in full)
- `comparison_page`: `write_comparison`, which puts a comparison into `comparison.html`
"""

from .card import write_card
from .data_sheet import DataSheet
from .facts import Overlay, RunFacts, Stage
from .page import write_page

__all__ = ["DataSheet", "Overlay", "RunFacts", "Stage", "write_card", "write_page"]
