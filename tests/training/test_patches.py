"""Voxels of training patches are counted as a table of answers and targets would have it."""

import pytest
import torch

from hyoid.training.patches import count_voxels


@pytest.mark.parametrize("shape", [(5, 6), (4, 5, 6)])
def test_classes_are_counted_where_annotated(shape):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(2, 4, *shape, generator=generator)
    target = torch.randint(-1, 4, (2, *shape), generator=generator)
    answer, known = logits.argmax(1), target >= 0
    expected = [
        [((answer == c) & (target == c)).sum(), ((answer == c) & known).sum(), (target == c).sum()] for c in (1, 2, 3)
    ]
    assert torch.equal(count_voxels(logits, target), torch.tensor(expected).T)


def test_regions_are_counted_one_by_one():
    logits = torch.tensor([[[1.0, 1, -1, 1]], [[1.0, -1, -1, 1]]]).transpose(0, 1)
    target = torch.tensor([[[1.0, 0, 1, -1]], [[1.0, 1, 0, 0]]]).transpose(0, 1)
    assert count_voxels(logits, target).tolist() == [[1, 1], [2, 2], [2, 2]]


def test_a_coarser_answer_is_compared_on_its_grid():
    target = torch.tensor([[1, 1, 0, 0]])
    logits = torch.tensor([[[0.0, 1], [1, 0]]])
    assert count_voxels(logits, target).flatten().tolist() == [1, 1, 1]
