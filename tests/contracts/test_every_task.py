"""What every task on the shelf keeps to."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hyoid.core.citations import cite
from hyoid.core.errors import DataError, HyoidError
from hyoid.core.grid import Grid
from hyoid.core.labels import Labels
from hyoid.tasks import tasks

PLAIN = {
    "plain": Labels.of({1: "anterior", 2: "posterior"}),
    "gaps": Labels.of({4: "liver", 300: "tumour"}, ignore=255),
    "negative": Labels.of({1: "vessel"}, ignore=-1),
}
REGIONS = {
    # whole tumour, its core and the enhancing part, as BraTS numbers them
    "tumour": Labels(names=("whole", "core", "enhancing"), values=((1, 2, 4), (1, 4), (4,)), paint=(2, 1, 4)),
    "ignored": Labels(names=("whole", "core"), values=((1, 2), (2,)), paint=(1, 2), ignore=9),
}
EVERY_CASE = [
    (task, name)
    for task in tasks
    for name in (PLAIN if task == "classes" else REGIONS if task == "regions" else PLAIN | REGIONS)
] + [("regions", name) for name in PLAIN]
every_task = pytest.mark.parametrize(("task", "labels"), EVERY_CASE, ids=["-".join(case) for case in EVERY_CASE])


def made(task: str, labels: str):
    return tasks.build(task, labels=(PLAIN | REGIONS)[labels])


def example(task, shape=(2, 6, 5)) -> np.ndarray:
    values = np.random.default_rng(0).choice(task.labels.known_values, shape)
    return values.astype(np.int16)


def certain(task, target: torch.Tensor) -> torch.Tensor:
    """Probabilities of the first sample that are sure of the target."""
    logits = torch.zeros(1, task.channels, *target.shape[-2:])
    if target.ndim == 3:
        logits.scatter_(1, target[:1].clamp(min=0).unsqueeze(1), 50.0)
    else:
        logits = 100.0 * (target[:1].clamp(min=0) - 0.5)
    return task.activate(logits)[0]


@every_task
@pytest.mark.parametrize("kind", ["numpy", "torch"])
def test_decoding_what_was_encoded_gives_the_labels_back(task, labels, kind):
    task = made(task, labels)
    values = example(task)
    probabilities = certain(task, task.encode(torch.from_numpy(values)))
    decoded = task.decode(probabilities.numpy() if kind == "numpy" else probabilities)
    assert isinstance(decoded, np.ndarray if kind == "numpy" else torch.Tensor)
    annotated = values[0] != task.labels.ignore
    assert np.array_equal(np.asarray(decoded)[annotated], values[0][annotated])


@every_task
def test_ignored_voxels_are_minus_one_in_the_target(task, labels):
    task = made(task, labels)
    values = example(task)
    target = task.encode(torch.from_numpy(values))
    ignored = torch.from_numpy(values == task.labels.ignore)
    if target.ndim > ignored.ndim:
        ignored = ignored.unsqueeze(1).expand_as(target)
    assert torch.equal(target == -1, ignored)


@every_task
def test_probabilities_have_a_channel_for_each_output_and_lie_between_0_and_1(task, labels):
    task = made(task, labels)
    probabilities = task.activate(30 * torch.randn(2, task.channels, 4, 5, dtype=torch.bfloat16))
    assert probabilities.shape == (2, task.channels, 4, 5)
    assert probabilities.dtype == torch.float32
    assert probabilities.min() >= 0 and probabilities.max() <= 1


@every_task
def test_slabs_may_be_decoded_alone(task, labels):
    task = made(task, labels)
    probabilities = task.activate(torch.randn(1, task.channels, 6, 5))[0].numpy()
    slabs = [task.decode(probabilities[:, i : i + 2]) for i in range(0, 6, 2)]
    assert np.array_equal(np.concatenate(slabs), task.decode(probabilities))


@every_task
def test_numpy_and_torch_decode_alike(task, labels):
    task = made(task, labels)
    probabilities = task.activate(torch.randn(1, task.channels, 6, 5))[0]
    decoded = task.decode(probabilities)
    assert np.array_equal(decoded.numpy(), task.decode(probabilities.numpy()))
    assert set(np.unique(decoded)) <= {0, *task.labels.written}


@every_task
@pytest.mark.parametrize("stranger", [-7, 3, 77, 30000])
def test_an_undeclared_value_is_named_with_what_is_known(task, labels, stranger):
    task = made(task, labels)
    values = torch.tensor([[[0, stranger]]])
    with pytest.raises(DataError) as error:
        task.encode(values)
    assert f"The labels contain {stranger}, but known are background 0, {task.labels.names[0]}" in str(error.value)


@every_task
def test_every_map_has_a_name_and_what_can_be_answered_is_a_structure(task, labels):
    task = made(task, labels)
    maps = task.activate(torch.zeros(1, task.channels, 4, 5))
    assert len(task.outputs) == len(set(task.outputs)) == maps.shape[1]
    assert task.structures == task.labels.names
    assert task.probable


@every_task
def test_a_batch_is_encoded_like_its_samples(task, labels):
    task = made(task, labels)
    values = torch.from_numpy(example(task))
    assert torch.equal(task.encode(values), torch.cat([task.encode(one[None]) for one in values]))


@every_task
def test_answers_have_the_type_that_the_task_says(task, labels):
    task = made(task, labels)
    maps = task.activate(torch.randn(1, task.channels, 4, 5))[0]
    assert task.decode(maps.numpy()).dtype == task.dtype
    assert task.decode(maps).numpy().dtype == task.dtype


@every_task
@pytest.mark.parametrize("axes", [(0,), (1,), (0, 1)])
def test_mirrored_maps_are_the_maps_of_mirrored_logits_and_mirroring_twice_changes_nothing(task, labels, axes):
    task = made(task, labels)
    logits = torch.randn(2, task.channels, 4, 5)
    maps = task.activate(logits)
    flipped = task.mirrored(maps, axes)
    assert torch.equal(task.mirrored(flipped, axes), maps)
    # the last digit depends on where a voxel lies in memory
    torch.testing.assert_close(flipped, task.activate(logits.flip([axis + 2 for axis in axes])), atol=1e-6, rtol=0)
    assert torch.equal(task.decode(flipped[0]), task.decode(maps[0]).flip(axes))


@every_task
def test_no_answer_scores_better_than_the_truth(task, labels):
    task = made(task, labels)
    truth = example(task, (1, 12, 10))[0]
    grid, rng = Grid.plain(truth.shape), np.random.default_rng(1)
    perfect = task.decides.of(task.score(truth, truth, grid))
    annotated = truth != task.labels.ignore
    for share in (0.1, 0.5, 1.0):
        worse = np.where((rng.random(truth.shape) < share) & annotated, 0, truth)
        assert task.decides.of(task.score(worse, truth, grid)) < perfect
    assert perfect == 1


@every_task
def test_scores_are_named_after_the_score_that_decides_and_the_structures(task, labels):
    task = made(task, labels)
    truth = example(task)[0]
    scores = task.score(truth, truth, Grid.plain(truth.shape))
    assert set(scores) == {f"{task.decides.name}:{name}" for name in task.structures}


@every_task
def test_what_is_decoded_voxel_by_voxel_needs_no_assembling(task, labels):
    task = made(task, labels)
    assert not task.assembles
    with pytest.raises(HyoidError, match="answered voxel by voxel"):
        task.assemble(np.zeros((task.channels, 4, 5), np.float32), Grid.plain((4, 5)))


@pytest.mark.parametrize("name", tasks)
def test_summary_and_papers_are_known(name):
    assert tasks[name].summary
    cite(tasks[name].papers)
