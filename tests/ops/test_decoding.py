"""From channels to labels."""

import numpy as np
import pytest

from hyoid.ops.decoding import winner


@pytest.mark.parametrize("shape", [(2, 5), (61, 30, 40, 7), (300, 3, 4), (1, 3, 3)])
def test_the_winner_is_the_first_largest_channel(shape):
    values = np.random.default_rng(0).integers(0, 4 * shape[0], shape).astype(np.float32)
    np.testing.assert_array_equal(winner(values), values.argmax(0))
    np.testing.assert_array_equal(winner(values.astype(np.float16)[:, ::-1]), values[:, ::-1].argmax(0))
