"""What a page says of kinds of cases in words."""

from __future__ import annotations

import pytest

from hyoid.evaluation.subgroups import Subgroup
from hyoid.reporting.sections.findings import gap_found


@pytest.mark.parametrize(("patients", "words"), [(2, "too few cases"), (5, "B lies 0.200 lower")])
def test_a_gap_of_a_few_patients_is_no_headline(patients, words):
    kind = Subgroup("B", patients, patients, 0.7, 0.65, 0.75, -0.2, -0.3, -0.1)
    assert words in gap_found("site", [kind]).replace("\u2212", "-")
