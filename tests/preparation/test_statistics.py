"""Statistics of a stream that is never held."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hyoid.preparation.statistics import Statistics, mean_and_std

STREAMS = {
    "CT": lambda rng: rng.integers(-1024, 3072, 5000).astype(np.int16),
    "magnetic resonance": lambda rng: rng.gamma(2, 300, 5000).astype(np.float32),
    "around zero": lambda rng: rng.normal(size=5000),
    "bytes": lambda rng: rng.integers(0, 256, (40, 50, 3)).astype(np.uint8),
    "an outlier": lambda rng: np.append(rng.normal(size=5000), 1e20),
    "constant": lambda rng: np.full(100, -3.25),
    "booleans": lambda rng: rng.random(1000) > 0.3,
}


@pytest.mark.parametrize("name", STREAMS)
def test_a_stream_agrees_with_all_at_once(name):
    values = STREAMS[name](np.random.default_rng(0))
    statistics = Statistics()
    for part in np.array_split(values.ravel(), 7):
        statistics.add(part)
    values = values.ravel().astype(float)
    assert statistics.count == values.size
    assert statistics.mean == pytest.approx(values.mean(), rel=1e-9)
    assert statistics.std == pytest.approx(values.std(), rel=1e-9)
    assert (statistics.min, statistics.max) == (values.min(), values.max())
    for q in (0, 0.5, 25, 50, 99.5):
        assert statistics.percentile(q) == pytest.approx(np.percentile(values, q), rel=3e-4, abs=1e-6)


def test_integers_up_to_4096_have_exact_percentiles():
    values = np.random.default_rng(0).integers(-4096, 4097, 9999)
    statistics = Statistics()
    statistics.add(values)
    for q in (0.5, 1, 33.3, 50, 99.5):
        assert statistics.percentile(q) == pytest.approx(np.percentile(values, q), abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.lists(st.floats(-1e6, 1e6, width=32), max_size=30), min_size=1, max_size=5))
def test_merged_parts_equal_the_whole(parts):
    whole, merged = Statistics(), Statistics()
    for part in parts:
        whole.add(np.array(part))
        other = Statistics()
        other.add(np.array(part))
        merged.merge(other)
    assert merged.count == whole.count
    if whole.count:
        assert merged.mean == pytest.approx(whole.mean, abs=1e-6)
        assert merged.std == pytest.approx(whole.std, abs=1e-6)
        assert [merged.percentile(q) for q in (0, 50, 100)] == [whole.percentile(q) for q in (0, 50, 100)]


def test_nothing_has_no_statistics():
    statistics = Statistics()
    statistics.add(np.zeros(0))
    assert statistics.count == 0
    assert all(np.isnan(value) for value in (statistics.mean, statistics.std, statistics.percentile(50)))


def test_deviation_survives_a_large_mean():
    values = 1e6 + np.random.default_rng(0).normal(size=(30, 40, 50))
    assert mean_and_std(values.transpose(2, 0, 1)) == pytest.approx((values.mean(), values.std()), rel=1e-9)
