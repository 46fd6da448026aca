"""From labels to channels and back."""

import numpy as np
import pytest
import torch

from hyoid.ops.encoding import one_hot, paint, sigmoid, softmax, winner


def test_one_hot_has_a_channel_for_each_class():
    labels = torch.tensor([[[0, 1], [2, -1]]])
    expected = [[[1, 0], [0, 0]], [[0, 1], [0, 0]], [[0, 0], [1, 0]]]
    assert one_hot(labels, 3).tolist() == [expected]


def test_probabilities_of_half_precision_are_full_precision():
    logits = torch.randn(2, 5, 4, 4, dtype=torch.bfloat16)
    assert softmax(logits).dtype == torch.float32
    torch.testing.assert_close(softmax(logits).sum(1), torch.ones(2, 4, 4))
    torch.testing.assert_close(sigmoid(logits), torch.sigmoid(logits.float()))


@pytest.mark.parametrize("shape", [(2, 5), (61, 30, 40, 7), (300, 3, 4), (1, 3, 3)])
def test_the_winner_is_the_first_largest_channel(shape):
    values = np.random.default_rng(0).integers(0, 4 * shape[0], shape).astype(np.float32)
    np.testing.assert_array_equal(winner(values), values.argmax(0))
    np.testing.assert_array_equal(winner(values.astype(np.float16)[:, ::-1]), values[:, ::-1].argmax(0))


def test_later_regions_cover_earlier_ones():
    masks = np.array([[1, 1, 1, 0], [0, 1, 1, 0], [0, 0, 1, 0]], bool)
    assert paint(masks, (1, 300, 2)).tolist() == [1, 300, 2, 0]
    assert paint(masks, (1, 2, 4)).dtype == np.uint8
