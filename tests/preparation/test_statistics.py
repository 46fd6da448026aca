"""Mean and standard deviation, a chunk at a time."""

import numpy as np
import pytest

from hyoid.preparation.statistics import mean_and_std


@pytest.mark.parametrize("kind", [np.uint8, np.int16, np.float32, np.float64])
def test_chunks_agree_with_all_at_once(kind):
    values = np.random.default_rng(0).integers(0, 256, (3, 500, 700)).astype(kind)  # more than two chunks
    assert mean_and_std(values) == pytest.approx((values.mean(), values.std()), rel=1e-9)


def test_deviation_survives_a_large_mean():
    values = 1e6 + np.random.default_rng(0).normal(size=(30, 40, 50))
    assert mean_and_std(values.transpose(2, 0, 1)) == pytest.approx((values.mean(), values.std()), rel=1e-9)
