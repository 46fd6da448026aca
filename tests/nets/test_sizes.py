"""Sizes: which inputs a U accepts and what comes out."""

from __future__ import annotations

import pytest
import torch

from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec
from hyoid.nets.sizes import Sizes


def on_meta(name, dims, **changes):
    with torch.device("meta"):
        return build_spec(name, dims, 1, 2, **changes).build()


def test_unet_original_makes_388_of_572():
    net = on_meta("unet_original", 2)
    assert net.output_shape((572, 572)) == (388, 388)
    assert net.input_shape((388, 388)) == (572, 572)
    assert net.margin == (92, 92)
    assert net(torch.empty(1, 1, 572, 572, device="meta"))[0].shape[2:] == (388, 388)


def test_unet3d_with_valid_padding_makes_44_44_28_of_132_132_116():
    net = on_meta("unet3d", 3, padding="valid")
    assert net.output_shape((132, 132, 116)) == (44, 44, 28)
    assert net.input_shape((44, 44, 28)) == (132, 132, 116)


def test_sizes_that_do_not_divide_are_refused_with_the_next_one():
    net = on_meta("unet_original", 2)
    with pytest.raises(ConfigError, match=r"does not accept an input of 573x572.* the next is 588x572"):
        net.output_shape((573, 572))
    with pytest.raises(ConfigError, match="cannot give an output of 400x388; the next size it can give is 404x388"):
        net.input_shape((400, 388))


def test_an_image_that_does_not_fit_is_refused_by_the_net():
    net = on_meta("unet", 2)
    with pytest.raises(ConfigError, match=r"does not accept an input of 17x16.* the next is 32x16"):
        net(torch.empty(1, 1, 17, 16, device="meta"))


def test_fitting_shape_rounds_up_to_the_divisor():
    net = on_meta("unet", 3, strides=[[1, 1, 1], [1, 2, 2], [2, 2, 2], [1, 2, 2], [1, 2, 2]])
    assert net.divisor == (2, 16, 16)
    assert net.fitting_shape((1, 16, 33)) == (2, 16, 48)
    assert net.output_shape((4, 16, 48)) == (4, 16, 48)


@pytest.mark.parametrize("name", ["unet_original", "unet3d"])
def test_smallest_valid_input_leaves_a_voxel_and_one_step_less_does_not_compute(name):
    net = on_meta(name, 2, padding="valid", channels=(2, 3, 4))
    smallest = net.fitting_shape((1, 1))
    assert min(net.output_shape(smallest)) >= 1
    assert net(torch.empty(1, 1, *smallest, device="meta"))[0].shape[2:] == net.output_shape(smallest)
    with pytest.raises(ConfigError):
        net.output_shape([n - d for n, d in zip(smallest, net.divisor, strict=True)])


@pytest.mark.parametrize("size", range(40, 90))
def test_accepted_sizes_are_those_where_every_way_down_divides(size):
    """Against a walk along the path of the paper's drawing, with three levels."""
    sizes = Sizes([(1,), (2,), (2,)], [(4,)] * 3, [(4,)] * 2)
    accepted = size >= sizes.smallest[0] and (size - sizes.smallest[0]) % sizes.divisor[0] == 0

    def walk(n: int) -> int | None:
        for _ in range(2):
            n -= 4
            if n % 2:
                return None
            n //= 2
        n -= 4
        for _ in range(2):
            n = 2 * n - 4
        return n if n > 0 else None

    out = walk(size)
    assert accepted == (out is not None)
    assert not accepted or out == size - 2 * sizes.margin[0]
