"""Streams of batches: what each is made of, what counts in it, and that it depends on numbers alone."""

import threading
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.nn.functional import max_pool2d

from hyoid.augmentation.intensity import Brightness
from hyoid.augmentation.policies import build_policy
from hyoid.core.case import Case, Image
from hyoid.core.errors import ConfigError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.preparation.store import Store
from hyoid.tasks import Task, task_for
from hyoid.tasks.regions import Regions
from hyoid.tasks.semantic import Classes
from hyoid.tasks.task import Deciding
from hyoid.training.data import Feed
from hyoid.training.sampler import STREAMS, Sampler
from hyoid.training.validation import case_score
from phantoms import ball_case, make_predictor

IDS, UNLABELLED = ("ball_0", "ball_1", "ball_2"), ("plain_0", "plain_1")
BALL = task_for(Labels.of({1: "ball"}))


class Restoration(Task):
    """The net gives an image; voxels outside have no weight."""

    labels = Labels(names=(), values=())
    structures = ()
    truth = "image"
    decides = Deciding("psnr")
    counts = False
    ignores = "weight"

    def encode(self, truth):
        return 2 * truth


class Rims(Classes):
    """Class 1 where a voxel or a neighbour belongs to the structure."""

    halo = 1

    def encode(self, labels):
        return max_pool2d(super().encode(labels).float()[:, None], 3, 1, 1)[:, 0].long()


class Weighted(Classes):
    """Classes whose ignored voxels have no weight."""

    ignores = "weight"


@pytest.fixture
def store(tmp_path):
    """Three cases with labels and two without, of different sizes."""
    rng = np.random.default_rng(3)
    store = Store(tmp_path, IDS + UNLABELLED)
    for index, case_id in enumerate(store.ids):
        case = ball_case(case_id, (20 + index, 24), rng)
        store.write(replace(case, truth=None) if case_id in UNLABELLED else case)
    return store


def sampler(store, policy="none", patch=(16, 16), task=BALL, spatial=None, intensity=None, **options):
    made = build_policy(policy, patch, (1.0, 1.0), (0, 1))
    made = made if spatial is None else replace(made, spatial=spatial)
    made = made if intensity is None else replace(made, intensity=intensity)
    parts = {"store": store, "task": task, "ids": IDS, "unlabelled": UNLABELLED, "policy": made, "margin": (0, 0)}
    return Sampler(**{**parts, "batch": 4, "seed": 1, **options})


def one(stream, sampler, number=0, **options):
    return Feed(sampler, 2, 1, feeds={stream: 1}, **options).batch(number)[stream]


def windows(store, case_id, size=16):
    return np.lib.stride_tricks.sliding_window_view(np.asarray(store.image(case_id))[0], (size, size))


def places(store, case_id, patch):
    """Where a patch lies in a case, as indices of its first voxel."""
    found = np.abs(windows(store, case_id) - patch[0].numpy()).max((2, 3)) < 1e-6
    return [tuple(place.tolist()) for place in np.argwhere(found)]


def test_other_streams_do_not_change_the_labelled_one(store):
    alone = Feed(sampler(store, "strong"), 2, 1).batch(3)["labelled"]
    among = Feed(sampler(store, "strong"), 2, 1, feeds=dict.fromkeys(STREAMS, 1)).batch(3)["labelled"]
    assert torch.equal(alone.image, among.image) and torch.equal(alone.target, among.target)
    assert (alone.labelled, alone.annotated, alone.other) == (None, None, None)


def test_unlabelled_patches_come_from_all_cases_without_labels_and_have_no_target(store):
    batch = one("unlabelled", sampler(store))
    assert set(batch.case_ids) == set(UNLABELLED)
    assert batch.target is None and batch.labelled.tolist() == [False] * 4
    assert all(len(places(store, *found)) == 1 for found in zip(batch.case_ids, batch.image, strict=True))


def test_a_pair_is_the_same_place_in_two_cases(store):
    rng = np.random.default_rng(0)
    for case_id in store.ids:
        store.write(replace(ball_case(case_id, (20, 24), rng), id=case_id))
    batch = one("pairs", sampler(store))
    for case_id, first, second in zip(batch.case_ids, batch.image, batch.other, strict=True):
        (place,) = places(store, case_id, first)
        others = {other: places(store, other, second) for other in store.ids}
        assert others[case_id] == []
        assert [found for found in others.values() if found] == [[place]]
    assert batch.target.shape == (4, 16, 16)


def test_a_pair_of_cases_of_different_sizes_lies_inside_both(store):
    batch = one("pairs", sampler(store, batch=12))
    for case_id, second in zip(batch.case_ids, batch.other, strict=True):
        assert sum(len(places(store, other, second)) for other in set(store.ids) - {case_id}) == 1


def test_both_images_of_a_pair_move_alike_and_only_the_first_changes_its_values(store):
    ramp = np.random.default_rng(0).standard_normal((1, 20, 24)).astype(np.float32)
    for case_id in store.ids:
        store.write(Case(case_id, Image(ramp, Grid.plain((20, 24)))))
    still, changed = (one("pairs", sampler(store, "strong", **how)) for how in ({"intensity": ()}, {}))
    assert torch.equal(still.image, still.other)
    assert torch.equal(changed.other, still.other)
    assert not torch.equal(changed.image, still.image)


@pytest.mark.parametrize("computes", [False, True])
@pytest.mark.parametrize("shape", [(20, 24), (12, 20, 24)])
def test_a_second_image_moves_with_its_image_and_keeps_its_values(tmp_path, shape, computes):
    store, policy = Store(tmp_path, IDS), build_policy("strong", (8,) * len(shape), (1.0,) * len(shape), (0, 1))
    for case_id in IDS:
        case = ball_case(case_id, shape, np.random.default_rng(len(case_id)))
        store.write(replace(case, other=case.image.with_array(-2 * case.image.array)) if case_id == IDS[1] else case)
    parts = {"store": store, "task": BALL, "ids": IDS, "margin": (0,) * len(shape), "batch": 4, "seed": 1}
    both = [Sampler(**parts, policy=one) for one in (policy, replace(policy, intensity=()))]
    changed, still = (Feed(one, len(shape), 1, feeds={"pairs": 1}, computes=computes).batch(0)["pairs"] for one in both)
    assert set(still.case_ids) == {IDS[1]} and (still.image != 0).float().mean() > 0.3
    torch.testing.assert_close(still.other, -2 * still.image)
    assert torch.equal(changed.other, still.other) and torch.equal(changed.target, still.target)
    assert not torch.equal(changed.image, still.image)


@pytest.mark.parametrize("policy", ["none", "strong"])
def test_two_views_are_one_patch_moved_once_with_different_values(store, policy):
    brightness = (Brightness(factor=(0.5, 1.5)),)
    plain, batch = (one("views", sampler(store, policy, intensity=how, batch=10)) for how in ((), brightness))
    assert torch.equal(plain.image, plain.other)
    factors = [
        (view / plain.image).nanmedian(-1)[0].nanmedian(-1)[0].nanmedian(-1)[0] for view in (batch.image, batch.other)
    ]
    for view, factor in zip((batch.image, batch.other), factors, strict=True):
        torch.testing.assert_close(view, plain.image * factor.view(-1, 1, 1, 1))
    assert (factors[0] - factors[1]).abs().min() > 1e-3


def test_views_have_targets_where_their_case_is_labelled(store):
    batch = one("views", sampler(store, batch=10))
    expected = [case_id in IDS for case_id in batch.case_ids]
    assert batch.labelled.tolist() == expected and set(expected) == {True, False}
    assert batch.annotated.tolist() == [[known] for known in expected]
    assert [bool((target == -1).all()) for target in batch.target] == [not known for known in expected]


@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize("computes", [False, True])
def test_a_stream_goes_on_bit_for_bit(store, stream, computes):
    drawn = sampler(store, "strong", voxel_weights=None)
    feeds = [Feed(drawn, 2, workers, feeds={stream: 1}, computes=computes) for workers in (1, 3)]
    early, late = feeds[0].batches(0), feeds[1].batches(2)
    whole, rest = [next(early)[stream] for _ in range(4)][2:], [next(late)[stream] for _ in range(2)]
    early.close()
    late.close()
    for before, after in zip(whole, rest, strict=True):
        assert before.case_ids == after.case_ids and before.tensors.keys() == after.tensors.keys()
        assert all(torch.equal(before.tensors[name], after.tensors[name]) for name in before.tensors)
    assert not torch.equal(whole[0].image, whole[1].image)


def test_streams_draw_from_generators_of_their_own(store):
    drawn = sampler(store, ids=IDS + UNLABELLED, unlabelled=())
    for case_id in UNLABELLED:
        store.write(ball_case(case_id, (20, 24), np.random.default_rng(0)))
    first = [one(stream, drawn).image for stream in ("labelled", "pairs", "views")]
    assert not any(torch.equal(first[a], first[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


def test_several_batches_of_a_stream_are_joined(store):
    drawn = sampler(store, "strong")
    joined = Feed(drawn, 2, 1, feeds={"labelled": 2, "unlabelled": 3}).batch(2)
    for stream, count in (("labelled", 2), ("unlabelled", 3)):
        single = [one(stream, drawn, 2 * count + n) for n in range(count)]
        assert torch.equal(joined[stream].image, torch.cat([batch.image for batch in single]))


@pytest.mark.parametrize(
    ("stream", "cases", "message"),
    [
        ("unlabelled", {"unlabelled": ()}, "'unlabelled', which needs 1 or more cases without labels; training has 0"),
        ("pairs", {"ids": IDS[:1], "unlabelled": ()}, "'pairs', which needs 2 or more cases; training has 1"),
        ("labelled", {"ids": ()}, "'labelled', which needs 1 or more cases with labels; training has 0"),
        ("triples", {}, "no stream of batches 'triples'; known are labelled, unlabelled, pairs, views"),
    ],
)
def test_a_stream_without_cases_is_refused(store, stream, cases, message):
    with pytest.raises(ConfigError, match=message):
        Feed(sampler(store, **cases), 2, 1, feeds={stream: 1})


def with_targets(store, make):
    """Each labelled case with what `make` gives of its image instead of labels."""
    for case_id in IDS:
        image = Image(np.asarray(store.image(case_id)), store.grid(case_id))
        store.write(Case(case_id, image, image.with_array(make(image.array))))


@pytest.mark.parametrize("computes", [False, True])
def test_a_target_image_moves_with_its_image_and_keeps_its_values(store, computes):
    with_targets(store, lambda image: image)
    drawn, still = (sampler(store, "strong", task=Restoration(), **how) for how in ({}, {"intensity": ()}))
    batch, plain = (one("labelled", each, computes=computes) for each in (drawn, still))
    assert torch.equal(batch.target, 2 * plain.image) and torch.equal(plain.target, 2 * plain.image)
    assert not torch.equal(batch.image, plain.image)


def test_a_target_image_has_no_weight_outside_the_image(store):
    with_targets(store, np.ones_like)
    drawn = sampler(store, patch=(32, 32), task=Restoration())
    batch = one("labelled", drawn)
    assert set(batch.weight.unique().tolist()) == {0, 1}
    assert torch.equal(batch.target[:, 0] == 2, batch.weight == 1)
    views = one("views", replace(drawn, batch=10))
    assert (views.weight[~views.labelled] == 0).all() and (views.target[~views.labelled] == 0).all()


def test_a_field_is_not_warped_without_turning_its_vectors(store):
    class Field(Restoration):
        truth = "field"

    with pytest.raises(ConfigError, match=r"vectors the augmentation 'light' would not turn .* planning.policy=none"):
        sampler(store, "light", task=Field())
    assert sampler(store, "none", task=Field()).policy.spatial == ()


@pytest.mark.parametrize("computes", [False, True])
def test_ignored_voxels_have_no_weight_where_the_task_reads_weights(store, computes):
    labels = Labels.of({1: "ball"}, ignore=9)
    for case_id in IDS:
        marked = store.labels(case_id).copy()
        marked[:, :, 12] = 9
        np.save(store.folder / case_id / "labels.npy", marked)
        np.save(store.folder / case_id / "extra-weight.npy", np.full(marked.shape[1:], 3.0, np.float32))
    plain, weighted = (
        one("labelled", sampler(store, patch=(32, 32), task=kind(labels), voxel_weights=name), computes=computes)
        for kind, name in ((Classes, None), (Weighted, "weight"))
    )
    assert plain.weight is None
    assert torch.equal(plain.target == -1, weighted.weight == 0)
    assert torch.equal(weighted.weight == 3, weighted.weight > 0) and (plain.target == -1)[:, 16, 16].all()


def two_structures(store, annotated):
    """Balls of which the middle column is a second structure."""
    for case_id in IDS:
        case = ball_case(case_id, (20, 24), np.random.default_rng(0))
        marked = case.truth.array.copy()
        marked[:, :, 12] = 2
        store.write(replace(case, truth=case.truth.with_array(marked), annotated=annotated))


@pytest.mark.parametrize("computes", [False, True])
def test_in_a_partly_labelled_case_background_is_unknown_to_classes(store, computes):
    labels = Labels.of({1: "ball", 2: "rod", 3: "cone"})
    drawn = sampler(store, task=Classes(labels), ids=IDS)
    two_structures(store, None)
    whole = one("labelled", drawn, computes=computes)
    two_structures(store, ("ball", "rod"))
    partly = one("labelled", drawn, computes=computes)
    kept = one("labelled", drawn, computes=computes, unannotated="kept")
    assert whole.annotated is None and partly.annotated.tolist() == [[True, True, False]] * 4
    assert torch.equal(partly.target, whole.target.masked_fill(whole.target == 0, -1))
    assert torch.equal(kept.target, whole.target) and torch.equal(kept.annotated, partly.annotated)
    weighted = one("labelled", replace(drawn, task=Weighted(labels)), computes=computes)
    assert torch.equal(weighted.weight, (whole.target > 0).float())


@pytest.mark.parametrize("computes", [False, True])
def test_in_a_partly_labelled_case_regions_that_were_not_annotated_are_unknown(store, computes):
    drawn = sampler(store, task=Regions(Labels(names=("both", "rod"), values=((1, 2), (2,)))))
    two_structures(store, None)
    whole = one("labelled", drawn, computes=computes).target
    two_structures(store, ("rod",))
    partly = one("labelled", drawn, computes=computes).target
    assert torch.equal(partly[:, 1], whole[:, 1]) and (partly[:, 0] == -1).all()


@pytest.mark.parametrize("computes", [False, True])
@pytest.mark.parametrize("margin", [(0, 0), (3, 3)])
def test_a_halo_gives_the_target_of_the_whole_image_cropped(store, computes, margin):
    labels = Labels.of({1: "ball"})
    drawn = sampler(store, task=Rims(labels), margin=margin)
    plain = sampler(store, task=Classes(labels), margin=margin)
    batch, without = one("labelled", drawn, computes=computes), one("labelled", plain, computes=computes)
    assert torch.equal(batch.image, without.image) and not torch.equal(batch.target, without.target)
    begin = margin[0]
    for case_id, image, target in zip(batch.case_ids, batch.image, batch.target, strict=True):
        whole = np.asarray(store.image(case_id))[0]
        rims = Rims(labels).encode(torch.tensor(store.labels(case_id)))[0].numpy()
        both = [np.pad(array, 16, "reflect") if begin else array for array in (whole, rims)]
        seen = np.lib.stride_tricks.sliding_window_view(both[0], (16, 16))
        found = np.argwhere(np.abs(seen - image[0].numpy()).max((2, 3)) < 1e-6)
        size = 16 - 2 * begin
        assert any(
            np.array_equal(both[1][a + begin : a + begin + size, b + begin : b + begin + size], target.numpy())
            for a, b in found
        )


def test_a_halo_is_moved_with_the_patch_by_every_policy(store):
    labels = Labels.of({1: "ball"})
    for name in ("light", "strong", "unet2015"):
        batch = one("labelled", sampler(store, name, task=Rims(labels), intensity=()))
        bright = max_pool2d((batch.image > 1).float(), 3, 1, 1)[:, 0]
        assert batch.image.shape == (4, 1, 16, 16) and batch.target.shape == (4, 16, 16)
        assert ((bright == batch.target) | (batch.target == -1)).float().mean() > 0.85


def test_threads_encode(store):
    names = []

    class Noted(Classes):
        def encode(self, labels):
            names.append(threading.current_thread().name)
            return super().encode(labels)

    batches = Feed(sampler(store, task=Noted(Labels.of({1: "ball"}))), 2, 2).batches(0)
    next(batches)
    batches.close()
    assert len(names) >= 4 and all(name.startswith("patches") for name in names)


def test_structures_that_were_not_annotated_have_no_score(store):
    predictor = make_predictor((16, 16))
    two_structures(store, None)
    everything = case_score(predictor, store, "ball_0")
    two_structures(store, ("spleen",))
    partly = case_score(predictor, store, "ball_0")
    assert everything["dice:liver"] >= 0 and np.isnan(partly["dice:liver"])
    assert set(everything) == {"dice:liver", "dice:spleen"}
