"""Any module is a net: its sizes are found, it is written down by name, and keeps the contract of every net."""

from __future__ import annotations

import pytest
import torch
import yaml
from torch import nn
from torch.nn import functional

from contracts import test_every_net as contract
from hyoid.core.errors import ConfigError
from hyoid.nets import build_spec, nets, own
from hyoid.nets.cost import cost
from hyoid.nets.net import NetSpec


def conv(dims, *shape, **options):
    return (nn.Conv2d if dims == 2 else nn.Conv3d)(*shape, **options)


class Pooled(nn.Module):
    """Two poolings and back; accepts multiples of 4 only."""

    def __init__(self, in_channels, out_channels, dims, width=8):
        super().__init__()
        self.dims = dims
        self.ahead = conv(dims, in_channels, width, 3, padding=1)
        self.after = conv(dims, 2 * width, out_channels, 1)

    def forward(self, x):
        pool = functional.max_pool2d if self.dims == 2 else functional.max_pool3d
        fine = self.ahead(x).relu()
        return self.after(torch.cat([fine, functional.interpolate(pool(pool(fine, 2), 2), scale_factor=4)], 1))


class Coarser(Pooled):
    """Logits of two levels, as for deep supervision."""

    def forward(self, x):
        fine = super().forward(x)
        return [fine, fine[:, :, ::2, ::2]]


class Unpadded(nn.Sequential):
    """Loses two voxels at each end."""

    def __init__(self, in_channels, out_channels, dims):
        super().__init__(conv(dims, in_channels, 4, 3), nn.ReLU(), conv(dims, 4, out_channels, 3))


class Needing(Pooled):
    """Looks at numbers, which the meta device has not."""

    def forward(self, x):
        return super().forward(x) if x.sum().item() < 1e9 else super().forward(-x)


class Flat(Pooled):
    """Pools along the last axes only."""

    def forward(self, x):
        fine = self.ahead(x).relu()
        coarse = functional.max_pool3d(fine, (1, 2, 2))
        return self.after(torch.cat([fine, functional.interpolate(coarse, scale_factor=(1, 2, 2))], 1))


class Named(Pooled):
    """Gives a mapping, as torchvision does."""

    def forward(self, x):
        return {"out": super().forward(x)}


class Fixed(nn.Module):
    """A place for each pixel of an image of 64."""

    def __init__(self, in_channels, out_channels, dims):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(out_channels, 64, 64))

    def forward(self, x):
        return x[:, :1] + self.place


class Quarter(nn.Conv2d):
    """Logits on a coarser grid."""

    def __init__(self, in_channels, out_channels, dims):
        super().__init__(in_channels, out_channels, 4, stride=4)


class Enlarged(nn.ConvTranspose2d):
    """Logits on a finer grid."""

    def __init__(self, in_channels, out_channels, dims):
        super().__init__(in_channels, out_channels, 2, stride=2)


@pytest.fixture
def shelve():
    """What `own_net` does, undone after the test."""
    names = []

    def put(name, build, **options):
        own.own_net(name, build, **options)
        names.append(name)

    yield put
    for name in names:
        del nets._entries[name], own._builders._entries[name], own._divisors[name]
    own._sizes_of.cache_clear()


@pytest.mark.parametrize(
    ("module", "dims", "divisor", "margin", "smallest"),
    [
        (Pooled, 2, (4, 4), (0, 0), (4, 4)),
        (Pooled, 3, (4, 4, 4), (0, 0, 0), (4, 4, 4)),
        (Coarser, 2, (4, 4), (0, 0), (4, 4)),
        (Unpadded, 2, (1, 1), (2, 2), (8, 8)),
        (Needing, 2, (4, 4), (0, 0), (4, 4)),
        (Flat, 3, (1, 2, 2), (0, 0, 0), (1, 2, 2)),
    ],
)
def test_the_sizes_of_a_module_are_found_by_trying(shelve, module, dims, divisor, margin, smallest):
    shelve("mine", module)
    net = build_spec("mine", dims, 2, 3).build()
    assert (net.divisor, net.margin, net.smallest_input()) == (divisor, margin, smallest)


@pytest.mark.slow
@pytest.mark.parametrize("dims", [2, 3])
def test_nets_of_monai_are_nets(shelve, dims):
    from monai.networks.nets import AttentionUnet, BasicUNet, SegResNet, UNet

    def build(kind, **options):
        return lambda in_channels, out_channels, dims: kind(
            spatial_dims=dims, in_channels=in_channels, out_channels=out_channels, **options
        )

    deep = {"channels": (4, 8, 16), "strides": (2, 2)}
    shelve("their_unet", build(UNet, **deep))
    shelve("their_attention_unet", build(AttentionUnet, **deep))
    shelve("their_basic_unet", build(BasicUNet, features=(4, 4, 8, 8, 16, 4)))
    shelve("their_seg_res_net", build(SegResNet, init_filters=8))
    divisors = {"their_unet": 4, "their_attention_unet": 4, "their_basic_unet": 1, "their_seg_res_net": 8}
    for name, divisor in divisors.items():
        net = build_spec(name, dims, 1, 3).build().eval()
        x = torch.randn(1, 1, *net.fitting_shape([23] * dims))
        (logits,) = net(x)
        assert net.divisor == (divisor,) * dims and logits.shape == (1, 3, *x.shape[2:])
        assert torch.equal(logits, net.module(x))


def test_a_given_divisor_is_taken(shelve):
    shelve("mine", Pooled, divisor=12)
    net = build_spec("mine", 2, 2, 3).build()
    assert net.divisor == (12, 12) and net.fitting_shape((13, 5)) == (24, 12)


def test_coarser_logits_are_given_in_training_only(shelve):
    shelve("mine", Coarser)
    net, x = build_spec("mine", 2, 1, 3).build(), torch.randn(2, 1, 8, 8)
    assert [tuple(one.shape[2:]) for one in net.train()(x)] == [(8, 8), (4, 4)]
    assert [tuple(one.shape[2:]) for one in net.eval()(x)] == [(8, 8)]


@pytest.mark.parametrize("module", [Pooled, Needing])
def test_cost_is_counted_with_numbers_or_without(shelve, module):
    shelve("mine", module)
    found = cost(build_spec("mine", 2, 1, 2, width=4), (16, 16))
    assert found.parameters == 4 * 9 + 4 + 2 * 8 + 2
    assert found.flops == 2 * 256 * (4 * 9 + 2 * 8)


def test_finding_sizes_draws_no_random_numbers(shelve):
    shelve("mine", Needing)
    spec = build_spec("mine", 2, 1, 2)
    weights = []
    for _ in range(2):  # the second time nothing has to be found
        torch.manual_seed(0)
        weights.append(spec.build().module.ahead.weight)
    assert torch.equal(*weights)


def test_a_spec_is_its_name_and_options(shelve):
    shelve("mine", Pooled)
    spec = build_spec("mine", 2, 1, 2, width=4)
    assert yaml.safe_load(spec.to_yaml()) == {
        "kind": "own", "name": "mine", "options": {"width": 4}, "dims": 2, "in_channels": 1, "out_channels": 2,
    }  # fmt: skip
    again = NetSpec.parse(yaml.safe_load(spec.to_yaml()))
    assert again == spec and again.build().module.ahead.out_channels == 4


def test_a_spec_whose_file_was_not_named_says_so():
    spec = NetSpec.parse({"kind": "own", "name": "lost", "dims": 2, "in_channels": 1, "out_channels": 2})
    with pytest.raises(ConfigError, match="No module is registered as net 'lost'; name the file that says own_net"):
        spec.build()


@pytest.mark.parametrize(
    ("module", "sentence"),
    [
        (Named, "it gave a mapping, not logits as a tensor or a tuple of them"),
        (
            Fixed,
            r"logits that are \(0, 0\) smaller, but other sizes not alike.*own_net\('mine', ..., divisor",
        ),
        (Quarter, r"logits that are \(48, 48\) smaller, but other sizes not alike"),
        (Enlarged, r"logits that are \(-64, -64\) smaller, .* not with the same margin"),
        (
            lambda in_channels, out_channels, dims: conv(dims, in_channels, 7, 1),
            r"\(1, 7, 64, 64\), not \(1, 3, \.\.\.",
        ),
        (lambda in_channels, out_channels, dims: conv(dims, 5, out_channels, 1), "expected input.*to have 5 channels"),
    ],
)
def test_a_module_that_is_no_net_is_refused_in_a_sentence(shelve, module, sentence):
    shelve("mine", module)
    with pytest.raises(ConfigError, match=sentence):
        build_spec("mine", 2, 1, 3).build()


def test_an_unknown_option_is_refused_with_the_closest(shelve):
    shelve("mine", Pooled)
    with pytest.raises(ConfigError, match=r"net 'mine' has no option 'widht'\. Did you mean 'width'"):
        build_spec("mine", 2, 1, 3, widht=4).build()


CONTRACT = [
    contract.test_logits_have_the_announced_shape_finest_first,
    contract.test_smallest_image_and_batch_of_one,
    contract.test_gradients_reach_every_parameter,
    contract.test_gradients_are_those_in_double_precision,
    contract.test_logits_stay_finite,
    contract.test_logits_in_bfloat16_are_near_those_in_float32,
]


@pytest.mark.parametrize("check", CONTRACT, ids=lambda check: check.__name__)
@pytest.mark.parametrize("dims", [2, 3])
def test_a_module_keeps_the_contract_of_every_net(shelve, check, dims):
    shelve("mine", Pooled)
    more = {"test_gradients_are_those_in_double_precision": (2,), "test_logits_stay_finite": (1e4,)}
    check("mine", dims, *more.get(check.__name__, ()))
