"""Arrays come into C order with the same numbers."""

from itertools import permutations

import numpy as np
import pytest

from hyoid.files.order import in_c_order


@pytest.mark.parametrize("axes", list(permutations(range(4))))
def test_any_order_keeps_its_numbers(axes):
    array = np.arange(2 * 130 * 3 * 35).reshape(2, 130, 3, 35).transpose(axes)
    result = in_c_order(array)
    np.testing.assert_array_equal(result, array)
    assert result.flags.c_contiguous and result.flags.writeable


@pytest.mark.parametrize("shape", [(4,), (4, 5), (4, 5, 6)])
def test_any_number_of_axes(shape):
    array = np.arange(np.prod(shape)).reshape(shape, order="F")
    np.testing.assert_array_equal(in_c_order(array), array)
    np.testing.assert_array_equal(in_c_order(np.flip(array)), np.flip(array))


def test_what_is_in_order_is_not_copied():
    array = np.zeros((2, 3, 4, 5))
    assert in_c_order(array) is array
    array.flags.writeable = False
    assert in_c_order(array) is not array
