"""Samples: the same number always gives the same one; they lie where they should."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hyoid.augmentation.policies import build_policy
from hyoid.core.errors import ConfigError
from hyoid.core.labels import Labels
from hyoid.tasks import task_for
from hyoid.training.data import Feed, encode
from hyoid.training.sampler import OUTSIDE, Sampler, place
from phantoms import make_tiny


def sampler(tiny, patch=(16, 16), policy="none", margin=(0, 0), **options):
    options = {"batch": 4, "seed": 1, **options}
    made = build_policy(policy, patch, (1.0,) * len(patch), (0, 1))
    ids = tuple(tiny.split[0])
    return Sampler(**{"store": tiny.store, "task": tiny.task, "ids": ids, "policy": made, "margin": margin, **options})


def drawn_by(sampler, number, index):
    """A sample of the labelled stream, as arrays."""
    one = Feed(sampler, sampler.policy.frame.dims, 1)._sample("labelled", number, index)
    return one._replace(**{name: one._asdict()[name].numpy() for name in ("image", "target")})


def test_a_sample_depends_on_its_number_alone(tiny):
    one, other = sampler(tiny, policy="strong"), sampler(tiny, policy="strong")
    other.draw(7, 0)
    first, again, different = drawn_by(one, 3, 2), drawn_by(other, 3, 2), drawn_by(one, 3, 1)
    np.testing.assert_array_equal(first.image, again.image)
    np.testing.assert_array_equal(first.target, again.target)
    assert not np.array_equal(first.image, different.image)


def test_threads_do_not_change_batches(tiny):
    single, several = (Feed(sampler(tiny, policy="nnunet"), 2, workers) for workers in (1, 4))
    with_one, with_four = single.batches(0), several.batches(0)
    for _ in range(5):
        one, four = next(with_one)["labelled"], next(with_four)["labelled"]
        assert torch.equal(one.image, four.image) and torch.equal(one.target, four.target)
        assert one.case_ids == four.case_ids
    with_one.close()
    with_four.close()


def test_batches_can_begin_anywhere(tiny):
    feed = Feed(sampler(tiny), 2, 1)
    early, late = feed.batches(0), feed.batches(2)
    batches = [next(early) for _ in range(3)]
    assert torch.equal(batches[2]["labelled"].image, next(late)["labelled"].image)
    early.close()
    late.close()


def test_the_number_of_threads_of_the_net_stays(tiny):
    before = torch.get_num_threads()
    batches = Feed(sampler(tiny), 2, 2).batches(0)
    next(batches)
    assert torch.get_num_threads() == before
    batches.close()
    assert torch.get_num_threads() == before


def test_an_error_in_a_thread_reaches_the_loop(tiny):
    broken = sampler(tiny, voxel_weights="missing")
    batches = Feed(broken, 2, 1).batches(0)
    with pytest.raises(Exception, match="missing"):
        next(batches)


def test_every_case_has_its_turn(tiny):
    drawn = sampler(tiny)
    for turn in range(3):
        assert {drawn.draw(turn, index).case_id for index in range(4)} == set(tiny.split[0])


def test_the_last_samples_of_a_batch_are_centred_on_a_structure(tiny):
    drawn = sampler(tiny, patch=(4, 4), batch=3, foreground=0.34)
    centred = [drawn_by(drawn, number, 2).target[2, 2] for number in range(20)]
    assert all(value == 1 for value in centred)
    anywhere = [drawn_by(drawn, number, 0).target[2, 2] for number in range(40)]
    assert 0 in anywhere


def test_a_single_sample_is_centred_as_often_as_asked(tiny):
    drawn = sampler(tiny, patch=(2, 2), batch=1, foreground=0.4)
    always = sampler(tiny, patch=(2, 2), batch=1, foreground=0.0)
    share = np.mean([drawn_by(drawn, number, 0).target[1, 1] == 1 for number in range(300)])
    base = np.mean([drawn_by(always, number, 0).target[1, 1] == 1 for number in range(300)])
    assert share == pytest.approx(0.4 + 0.6 * base, abs=0.1)


def test_a_patch_is_what_the_store_holds_there(tiny):
    sample = drawn_by(sampler(tiny, patch=(8, 8)), 0, 0)
    whole = np.asarray(tiny.store.image(sample.case_id))[0]
    windows = np.lib.stride_tricks.sliding_window_view(whole, (8, 8))
    assert (np.abs(windows - sample.image[0]).max((2, 3)) < 1e-6).sum() == 1


def test_a_small_image_lies_in_the_middle_and_its_surroundings_are_ignored(tiny):
    sample = drawn_by(sampler(tiny, patch=(32, 32)), 0, 0)
    height = tiny.store.labels(sample.case_id).shape[1]
    inside = np.zeros((32, 32), bool)
    top = (32 - height) // 2
    inside[top : top + height, 4:28] = True
    np.testing.assert_array_equal(sample.target != OUTSIDE, inside)
    assert (sample.image[0][~inside] == 0).all()


def test_a_net_without_padding_sees_a_mirrored_border(tiny):
    drawn = sampler(tiny, patch=(28, 28), margin=(6, 6))
    sample = drawn_by(drawn, 0, 0)
    assert sample.image.shape == (1, 28, 28) and sample.target.shape == (16, 16)
    assert (sample.target != OUTSIDE).all()
    whole = np.pad(np.asarray(tiny.store.image(sample.case_id))[0], 12, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(whole, (28, 28))
    found = np.argwhere(np.abs(windows - sample.image[0]).max((2, 3)) < 1e-6)
    labels = tiny.store.labels(sample.case_id)[0]
    assert any(np.array_equal(labels[a - 6 : a + 10, b - 6 : b + 10], sample.target) for a, b in found)


@pytest.mark.parametrize("focus", [None, np.array([0, 19]), np.array([9, 9])])
def test_patches_lie_inside_the_image(focus):
    rng = np.random.default_rng(0)
    for _ in range(50):
        start = place(rng, (10, 20), (4, 4), focus)
        assert 0 <= start[0] <= 6 and 0 <= start[1] <= 16
    assert place(rng, (3, 20), (8, 20), focus) == (-2, 0)


def test_one_slice_of_a_volume_is_flat_for_a_2d_net(tmp_path):
    tiny = make_tiny(tmp_path, (6, 20, 24), (1, 16, 16))
    policy = build_policy("light", (1, 16, 16), (5.0, 1.0, 1.0), (1, 2))
    drawn = sampler(tiny, (1, 16, 16), margin=(0, 0, 0), batch=2, policy="none")
    drawn = replace(drawn, policy=policy)
    batches = Feed(drawn, 2, 1).batches(0)
    batch = next(batches)["labelled"]
    batches.close()
    assert batch.image.shape == (2, 1, 16, 16) and batch.target.shape == (2, 16, 16)


def test_weights_are_cut_like_labels(tiny):
    for case_id in tiny.store.ids:
        labels = tiny.store.labels(case_id)[0].astype(np.float32)
        np.save(tiny.store.folder / case_id / "extra-weight.npy", 1 + labels)
    sample = drawn_by(sampler(tiny, policy="light", voxel_weights="weight"), 0, 1)
    inside = sample.target != OUTSIDE
    assert np.abs(sample.weight.numpy() - 1 - sample.target)[inside].mean() < 0.1


@pytest.mark.parametrize("labels", [Labels.of({3: "a"}), Labels(names=("a", "b"), values=((3, 4), (4,)))])
def test_voxels_outside_are_ignored_in_the_target(labels):
    target, counts = encode(task_for(labels), torch.tensor([[OUTSIDE, 0, 3]]))
    assert (target[..., 0] == -1).all() and (target[..., 1:] >= 0).all()
    assert counts.tolist() == [[False, True, True]]


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        (torch.zeros(1, 2), "must give a tensor of shape (1, 3), or with channels (1, C, 3); it gave shape (1, 2)."),
        (torch.zeros(1, 3, 2), "it gave shape (1, 3, 2)."),
        (torch.zeros(3), "it gave shape (3,)."),
        (torch.zeros(()), "it gave shape ()."),
        (None, "it gave a NoneType."),
    ],
)
def test_a_target_of_another_size_than_the_patch_is_refused(monkeypatch, given, sentence):
    task = task_for(Labels.of({3: "a"}))
    monkeypatch.setattr(type(task), "encode", lambda *_: given)
    with pytest.raises(ConfigError, match="Task Classes: `encode` must give") as caught:
        encode(task, torch.tensor([[0, 0, 3]]))
    assert sentence in str(caught.value)
