"""From channels to labels."""

import numpy as np
import pytest
import torch

from hyoid.ops.decoding import winner, winner_of


@pytest.mark.parametrize("shape", [(2, 5), (61, 30, 40, 7), (300, 3, 4), (1, 3, 3)])
def test_the_winner_is_the_first_largest_channel(shape):
    values = np.random.default_rng(0).integers(0, 4 * shape[0], shape).astype(np.float32)
    np.testing.assert_array_equal(winner(values), values.argmax(0))
    np.testing.assert_array_equal(winner(values.astype(np.float16)[:, ::-1]), values[:, ::-1].argmax(0))


@pytest.mark.parametrize("shape", [(2, 5), (61, 30, 40, 7), (300, 3, 4), (255, 2, 3), (1, 3, 3), (3, 0, 4)])
@pytest.mark.parametrize("together", [1, 2**20])
def test_the_winner_of_a_tensor_is_the_first_largest_channel(monkeypatch, shape, together):
    monkeypatch.setattr("hyoid.ops.decoding._TOGETHER", together)
    values = torch.from_numpy(np.random.default_rng(0).integers(0, 4 * shape[0], shape).astype(np.float32))
    for some in (values, values.half().transpose(1, -1)):
        np.testing.assert_array_equal(winner_of(some), some.numpy().argmax(0))


def test_a_voxel_that_is_not_a_number_is_background():
    values = torch.rand(3, 4, 4)
    values[1, 2] = torch.nan
    assert not winner_of(values)[2].any() and not winner_of(torch.full((3, 2, 2), torch.nan)).any()
