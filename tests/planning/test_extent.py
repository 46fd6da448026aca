"""Whether images without a pixel size get a common extent, by the sizes of structures in them."""

from __future__ import annotations

import numpy as np
import pytest

from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.planning.extent import Extent, find_extent
from hyoid.planning.measure import CaseFacts, Objects
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.tasks import task_for

EIGHTFOLD = 2 ** np.linspace(6, 9, 20)
FOUND = Extent(edges=0.6, relative=0.1, absolute=0.6, chance=1e-9, num_cases=20)


def measured(edges, thickness, spacing_mm=None, noise=0.15, dims=2):
    """What is found in cases of these edges with a structure of this thickness, in units of the files."""
    rng = np.random.default_rng(0)
    sizes = np.asarray(thickness) * np.exp(noise * rng.standard_normal(len(edges)))
    known = [None] * len(edges) if spacing_mm is None else spacing_mm
    facts = [
        CaseFacts(
            id="a",
            shape=(shape := (round(edge * 1.2), round(edge / 1.2), 9)[:dims]),
            content_shape=shape,
            spacing_mm=(mm or 1.0,) * dims,
            calibrated=mm is not None,
        )
        for edge, mm in zip(edges, known, strict=True)
    ]
    # A second structure that is seldom there and much thicker says nothing else.
    rows = [
        [Objects((1,), 1, 1, size), Objects((1,), 1, 1, 9 * size) if n % 3 == 0 else None]
        for n, size in enumerate(sizes)
    ]
    return find_extent(facts, rows)


@pytest.mark.parametrize(
    ("edges", "thickness", "options", "common"),
    [
        (EIGHTFOLD, EIGHTFOLD / 4, {}, True),  # photographs of one thing
        (EIGHTFOLD, EIGHTFOLD / 4, {"noise": 0.4}, True),  # lesions of many sizes
        (EIGHTFOLD, np.full(20, 15), {}, False),  # tiles of a microscope
        (EIGHTFOLD, np.full(20, 15), {"noise": 0.0}, False),
        (EIGHTFOLD[::5], EIGHTFOLD[::5] / 4, {}, False),  # four cases may be so by chance
        (np.full(20, 256), np.full(20, 64), {}, False),
        (np.linspace(250, 270, 20), np.linspace(250, 270, 20) / 4, {"noise": 0.01}, False),  # not worth a blur
        ([256] * 17 + [1024] * 3, np.array([256] * 17 + [1024] * 3) / 4, {}, True),
        (EIGHTFOLD, np.append(EIGHTFOLD[:-1] / 4, 2), {}, True),  # one speck for a structure
        # Half of the files know their pixel size: lengths mix mm with pixels, shares of the image do not.
        (np.full(20, 500), np.tile([100, 20.0], 10), {"spacing_mm": [None, 0.2] * 10}, True),
        (np.tile([1000, 500], 10), np.tile([200, 10.0], 10), {"spacing_mm": [None, 0.1] * 10}, True),
    ],
)
def test_a_common_extent_follows_from_sizes(edges, thickness, options, common) -> None:
    assert measured(edges, thickness, **options).common is common


def test_images_of_known_pixel_size_and_volumes_are_not_looked_at() -> None:
    assert measured(EIGHTFOLD, EIGHTFOLD / 4, spacing_mm=[0.3] * 20) is None
    assert measured(EIGHTFOLD, EIGHTFOLD / 4, dims=3) is None


def test_cases_without_structures_are_no_evidence() -> None:
    case = CaseFacts(id="a", shape=(9, 9), content_shape=(9, 9), spacing_mm=(1, 1), calibrated=False)
    assert find_extent([case] * 3, [[], [None], []]) is None


def planned(fingerprint_of, found=FOUND, **settings):
    cases = [
        CaseFacts(id=f"{n}", shape=(4 * n, 3 * n), content_shape=(4 * n, 3 * n), spacing_mm=(1, 1), calibrated=False)
        for n in (40, 80, 160)
    ]
    fingerprint = fingerprint_of((320, 240), extent=found, width_mm=80, cases=cases)
    settings = PlanningSettings(**{"memory_gb": 4, "channels": (8, 16), "batch": 2, **settings})
    return make_plan(fingerprint, task_for(Labels.of({1: "s0"})), settings, steps=20, device="cpu")


def test_the_plan_gives_images_the_extent_of_the_median_one_or_a_part_of_it(fingerprint_of) -> None:
    plan = planned(fingerprint_of)
    factor = plan.candidates[0].spacing_mm[0]
    assert plan.preparation.extent == round((320 * 240) ** 0.5 / factor, 1) and plan.spacing_mm is None
    assert f"{plan.preparation.extent:g} pixels" in plan.describe()[1]
    assert any("vary by 0.10 relative to the image and by 0.60" in reason for reason in plan.reasons)


@pytest.mark.parametrize(
    ("found", "settings", "expected"),
    [
        (None, {"extent": 120}, 120),
        (FOUND, {"extent": 0}, None),
        (FOUND, {"spacing_mm": (2.0, 2.0)}, None),
        (FOUND, {"preset": "nnunet"}, None),
        (FOUND.model_copy(update={"chance": 0.3}), {}, None),
    ],
)
def test_settings_decide_before_the_data(fingerprint_of, found, settings, expected) -> None:
    assert planned(fingerprint_of, found, **settings).preparation.extent == expected


def test_what_cannot_be_is_refused(fingerprint_of) -> None:
    task, wanted = task_for(Labels.of({1: "s0"})), PlanningSettings(extent=64)
    with pytest.raises(ConfigError, match="exclude each other"):
        planned(fingerprint_of, extent=64, spacing_mm=(1.0, 1.0))
    with pytest.raises(ConfigError, match="for 2D images"):
        make_plan(fingerprint_of((32, 32, 32), (1.0, 1.0, 1.0)), task, wanted, steps=9, device="cpu")
    with pytest.raises(ConfigError, match="fewer pixels"):
        make_plan(fingerprint_of((32, 32)), task, PlanningSettings(extent=5000), steps=9, device="cpu")
