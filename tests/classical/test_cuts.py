"""The smallest cut against another maximum flow, and graph cuts against trying every labelling."""

from itertools import product

import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import maximum_flow

from hyoid.classical.graph_cut import UNITS, least_energy
from hyoid.classical.max_flow import smallest_cut
from hyoid.classical.neighbours import likeness
from hyoid.core.case import Image
from hyoid.core.grid import Grid


def image(shape: tuple[int, ...], seed: int = 0) -> Image:
    array = np.random.default_rng(seed).standard_normal((1, *shape)).astype(np.float32)
    return Image(array, Grid.plain(shape, tuple(range(1, len(shape) + 1))))


def edges(shape: tuple[int, ...]):
    """Voxel, axis, next voxel."""
    number = np.arange(np.prod(shape)).reshape(shape)
    for axis in range(len(shape)):
        first = np.moveaxis(number, axis, 0)
        yield axis, first[:-1].ravel(), first[1:].ravel()


def energy_of(classes: np.ndarray, picture: Image, energies: np.ndarray, smoothness: float) -> float:
    weights = likeness(picture)
    total = np.take_along_axis(energies, classes[None], 0).sum()
    flat = classes.ravel()
    for axis, one, other in edges(classes.shape):
        total += smoothness * (weights[axis].ravel()[one] * (flat[one] != flat[other])).sum()
    return float(total)


@pytest.mark.parametrize("shape", [(1, 7, 9), (5, 6, 7), (1, 1, 30), (2, 2, 2)])
@pytest.mark.parametrize("seed", range(4))
def test_the_cut_is_as_small_as_the_flow_is_large(shape, seed):
    rng = np.random.default_rng(seed)
    terminal = rng.integers(-40, 40, shape).astype(np.int32)
    forward, backward = rng.integers(0, 20, (2, 3, *shape)).astype(np.int32)
    for axis in range(3):
        end = tuple(-1 if axis == other else slice(None) for other in range(3))
        forward[(axis, *end)] = backward[(axis, *end)] = 0
    stays, flow = smallest_cut(terminal, forward, backward)
    size, flat = terminal.size, terminal.ravel()
    rows, columns, capacities = [], [], []
    for axis, one, other in edges(shape):
        rows += [one, other]
        columns += [other, one]
        capacities += [forward[axis].ravel()[one], backward[axis].ravel()[one]]
    cut = sum(c[stays.ravel()[r] & ~stays.ravel()[k]].sum() for r, k, c in zip(rows, columns, capacities, strict=True))
    cut += flat[(flat > 0) & ~stays.ravel()].sum() - flat[(flat < 0) & stays.ravel()].sum()
    rows += [np.full(size, size), np.arange(size)]
    columns += [np.arange(size), np.full(size, size + 1)]
    capacities += [flat.clip(0), (-flat).clip(0)]
    triplets = [np.concatenate(parts) for parts in (capacities, rows, columns)]
    graph = coo_array((triplets[0].astype(np.int32), (triplets[1], triplets[2])), (size + 2, size + 2)).tocsr()
    assert flow == maximum_flow(graph, size, size + 1).flow_value == cut


@pytest.mark.parametrize("shape", [(3, 4), (2, 2, 3)])
@pytest.mark.parametrize("smoothness", [0.8, 2.0])
def test_no_labelling_of_two_classes_has_less_energy(shape, smoothness):
    picture = image(shape)
    energies = np.random.default_rng(5).uniform(0, 2, (2, *shape)).astype(np.float32)
    found = energy_of(least_energy(picture, energies, smoothness), picture, energies, smoothness)
    tried = (np.array(one).reshape(shape) for one in product((0, 1), repeat=int(np.prod(shape))))
    least = min(energy_of(one, picture, energies, smoothness) for one in tried)
    assert found == pytest.approx(least, abs=50 / UNITS)
    assert found < energy_of(energies.argmin(0), picture, energies, smoothness)


def test_expansion_moves_come_near_the_least_energy_of_three_classes():
    shape = (2, 4)
    picture = image(shape, 3)
    energies = np.random.default_rng(2).uniform(0, 2, (3, *shape)).astype(np.float32)
    found = energy_of(least_energy(picture, energies, 1.0), picture, energies, 1.0)
    tried = (np.array(one).reshape(shape) for one in product(range(3), repeat=8))
    assert found <= min(energy_of(one, picture, energies, 1.0) for one in tried) * 1.02 + 50 / UNITS


def test_without_a_price_for_boundaries_each_voxel_is_by_itself():
    energies = np.random.default_rng(2).uniform(0, 2, (4, 6, 7)).astype(np.float32)
    assert np.array_equal(least_energy(image((6, 7)), energies, 0.0), energies.argmin(0))


def test_weights_fall_with_differences_and_with_distance():
    array = np.zeros((1, 2, 3), np.float32)
    array[0, :, 2] = 5
    down, right = likeness(Image(array, Grid.plain((2, 3), (1.0, 2.0))))
    assert down.tolist() == [[1, 1, 1], [0, 0, 0]]
    # squares: 3 + 2 zeros down and right, 2 of 25, over 7 pairs
    assert right[0] == pytest.approx([0.5, 0.5 * np.exp(-25 / (2 * 50 / 7)), 0])
