"""The published rules, against plans that nnU-Net's own planner made."""

from __future__ import annotations

import math

import pytest

from hyoid.core.labels import Labels
from hyoid.nets.cost import feature_map_size
from hyoid.nets.family.build import build_spec
from hyoid.planning import rules
from hyoid.planning.planner import make_plan
from hyoid.planning.settings import PlanningSettings
from hyoid.tasks import Task, task_for

# spacing; median shape; cases; channels; structures; then patch and batch of: 3D, 2D; M, L, XL in 3D
GOLDEN = {
    "hippocampus": (
        ((1, 1, 1), (36, 50, 35), 260, 1, 2),
        ((40, 56, 40), 9),
        ((56, 40), 366),
        [((40, 56, 40), 58), ((40, 56, 40), 178), ((40, 56, 40), 183)],
    ),
    "heart": (
        ((1.37, 1.25, 1.25), (115, 320, 232), 20, 1, 1),
        ((80, 192, 160), 2),
        ((320, 256), 40),
        [((80, 192, 160), 2), ((112, 288, 224), 2), ((128, 320, 256), 3)],
    ),
    "prostate": (
        ((3.6, 0.62, 0.62), (20, 320, 319), 32, 2, 2),
        ((20, 320, 256), 2),
        ((320, 320), 32),
        [((20, 256, 256), 2), ((20, 320, 320), 5), ((20, 320, 320), 8)],
    ),
    "spleen": (
        ((5, 0.79, 0.79), (90, 512, 512), 41, 1, 1),
        ((32, 224, 224), 2),
        ((512, 512), 12),
        [((32, 224, 192), 2), ((56, 320, 256), 2), ((64, 384, 320), 2)],
    ),
    "liver": (
        ((1, 0.77, 0.77), (432, 512, 512), 131, 1, 2),
        ((128, 128, 128), 2),
        ((512, 512), 12),
        [((128, 128, 128), 2), ((160, 224, 192), 2), ((192, 256, 256), 2)],
    ),
    "brats": (
        ((1, 1, 1), (140, 171, 137), 1251, 4, 3),
        ((128, 128, 128), 2),
        ((192, 160), 105),
        [((128, 128, 128), 2), ((160, 192, 160), 3), ((160, 192, 160), 5)],
    ),
    "acdc": (
        ((10, 1.56, 1.56), (9, 237, 208), 200, 1, 3),
        ((10, 256, 224), 7),
        ((256, 224), 56),
        [((10, 256, 224), 5), ((10, 256, 224), 17), ((10, 256, 224), 29)],
    ),
    "kits": (
        ((0.78, 0.78, 0.78), (526, 512, 512), 489, 1, 3),
        ((128, 128, 128), 2),
        ((512, 512), 12),
        [((128, 128, 128), 2), ((192, 192, 192), 2), ((256, 224, 224), 2)],
    ),
    "amos": (
        ((2, 0.71, 0.71), (237, 582, 582), 360, 1, 15),
        ((64, 192, 160), 2),
        ((640, 640), 8),
        [((64, 160, 160), 2), ((96, 224, 224), 2), ((128, 256, 256), 2)],
    ),
}
LOW_RESOLUTION = {
    "spleen": ((56, 192, 192), (5, 1.34, 1.34)),
    "liver": ((128, 128, 128), (2.43, 1.87, 1.87)),
    "kits": ((128, 128, 128), (2.01, 2.01, 2.01)),
    "amos": ((80, 160, 160), (3.4, 1.72, 1.72)),
}


def task_of(structures: int) -> Task:
    return task_for(Labels.of({value: f"s{value}" for value in range(1, structures + 1)}))


def planned(fingerprint_of, case, **settings):
    spacing, shape, num_cases, channels, structures = case
    fingerprint = fingerprint_of(shape, spacing, num_cases, channels, structures)
    return make_plan(fingerprint, task_of(structures), PlanningSettings(**settings), steps=1000, device="cpu")


@pytest.mark.parametrize("name", GOLDEN)
def test_preset_nnunet_plans_what_nnunet_plans_in_3d(fingerprint_of, name: str) -> None:
    plan = planned(fingerprint_of, GOLDEN[name][0], preset="nnunet")
    assert (plan.patch, plan.batch) == GOLDEN[name][1]
    assert plan.net.deep_supervision


@pytest.mark.parametrize("name", GOLDEN)
def test_preset_nnunet_plans_what_nnunet_plans_in_2d(fingerprint_of, name: str) -> None:
    plan = planned(fingerprint_of, GOLDEN[name][0], preset="nnunet", dims=2)
    assert (plan.patch[1:], plan.batch) == GOLDEN[name][2]
    assert plan.patch[0] == 1 and plan.dims == 2 and plan.preparation.spacing_mm[0] is None


@pytest.mark.parametrize(("size", "column"), [("m", 0), ("l", 1), ("xl", 2)])
@pytest.mark.parametrize("name", GOLDEN)
def test_residual_presets_plan_what_nnunet_plans(fingerprint_of, name: str, size: str, column: int) -> None:
    plan = planned(fingerprint_of, GOLDEN[name][0], preset=f"nnunet_residual_{size}")
    assert (plan.patch, plan.batch) == GOLDEN[name][3][column]


@pytest.mark.parametrize(
    ("preset", "batch"),
    [("nnunet", 12), ("nnunet_residual_m", 13), ("nnunet_residual_l", 35), ("nnunet_residual_xl", 52)],
)
def test_colour_images_of_512_plan_what_nnunet_plans(fingerprint_of, preset: str, batch: int) -> None:
    fingerprint = fingerprint_of((512, 512), None, 500, 3, modality="rgb")
    plan = make_plan(fingerprint, task_of(1), PlanningSettings(preset=preset), steps=1000, device="cpu")
    assert (plan.patch, plan.batch) == ((512, 512), batch)
    assert plan.preparation.spacing_mm is None


@pytest.mark.parametrize("name", GOLDEN)
def test_low_resolution_stage_is_where_nnunet_puts_it(name: str) -> None:
    spacing, shape, num_cases, channels, structures = GOLDEN[name][0]
    reference = rules.REFERENCES["nnunet"]

    def values(top: rules.Topology) -> float:
        wide = rules.features(top.levels, 3)
        given = {"channels": wide, "kernels": top.kernels, "strides": top.strides, "deep_supervision": False}
        return feature_map_size(build_spec("nnunet_plain", 3, channels, structures + 1, **given), top.patch)

    def fit(target: tuple[float, ...], median: tuple[float, ...]) -> rules.Fitted:
        return rules.fit_patch(target, median, math.prod(median) * num_cases, values, reference, 8)

    found = rules.low_resolution(spacing, shape, fit(spacing, shape).topology.patch, fit)
    if name not in LOW_RESOLUTION:
        assert found is None
        return
    patch, coarse = LOW_RESOLUTION[name]
    assert found[1].topology.patch == patch
    assert found[0] == pytest.approx(coarse, abs=0.006)


def test_feature_maps_of_the_reference_net_are_counted_as_published() -> None:
    top = rules.topology((1, 1, 1), (128, 128, 128), max_levels=6)
    given = {"channels": rules.features(6, 3), "kernels": top.kernels, "strides": top.strides}
    spec = build_spec("nnunet_plain", 3, 1, 2, **given, deep_supervision=False)
    assert feature_map_size(spec, top.patch) == 450_699_264


def test_thick_axis_gets_kernel_one_and_no_stride_until_the_others_caught_up() -> None:
    top = rules.topology((3.6, 0.62, 0.62), (20, 320, 256))
    assert top.kernels[:3] == ((1, 3, 3), (1, 3, 3), (3, 3, 3))
    assert top.strides[:4] == ((1, 1, 1), (1, 2, 2), (1, 2, 2), (2, 2, 2))
    assert top.kernels[-1] == (3, 3, 3)


@pytest.mark.parametrize("shape", [(36, 50, 35), (9, 237, 208), (5, 5, 5), (1000, 17, 64)])
def test_padded_patch_fits_the_strides_and_holds_the_wanted_one(shape: tuple[int, ...]) -> None:
    top = rules.topology((1, 1, 1), shape)
    assert all(n % d == 0 for n, d in zip(top.patch, top.divisor, strict=True))
    assert all(padded >= n for padded, n in zip(top.patch, shape, strict=True))
    assert len(top.kernels) == len(top.strides) == top.levels


def test_a_single_long_axis_needs_twelve_voxels_to_be_halved() -> None:
    assert rules.topology((1, 1), (11, 4)).levels == 1
    assert rules.topology((1, 1), (12, 4)).levels == 2


def test_target_spacing_is_the_median() -> None:
    assert rules.target_spacing([(1, 1, 1), (2, 1, 1), (2, 3, 1)], [(50, 50, 50)] * 3) == (2, 1, 1)


def test_a_thick_axis_takes_the_finer_tenth() -> None:
    spacings = [(float(z), 1.0, 1.0) for z in range(2, 13)]
    assert rules.target_spacing(spacings, [(20, 200, 200)] * 11)[0] == 3.0


def test_a_thick_axis_with_many_voxels_keeps_the_median() -> None:
    spacings = [(float(z), 1.0, 1.0) for z in range(2, 13)]
    assert rules.target_spacing(spacings, [(100, 200, 200)] * 11)[0] == 7.0


def test_a_thick_axis_never_gets_finer_than_the_others() -> None:
    spacings = [(0.5, 1.0, 1.0)] * 3 + [(8.0, 1.0, 1.0)] * 7
    assert rules.target_spacing(spacings, [(20, 200, 200)] * 10)[0] == pytest.approx(1.00001)


def test_coarsest_axis_comes_first_and_others_keep_their_order() -> None:
    assert rules.coarsest_first((1.0, 1.0, 3.0)) == (2, 0, 1)
    assert rules.coarsest_first((1.0, 1.0, 1.0)) == (0, 1, 2)
