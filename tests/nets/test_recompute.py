"""Maps that are computed again: the same gradients from less memory."""

from __future__ import annotations

import copy

import pytest
import torch

from hyoid.nets import build_spec
from hyoid.nets.cost import cost
from hyoid.nets.net import Net
from hyoid.training.compiling import lacking

WIDTHS = (4, 8, 16)


def learned(net: Net, image: torch.Tensor) -> dict[str, torch.Tensor]:
    """Gradients and running statistics after a step with draws of its own."""
    torch.manual_seed(1)
    sum(logits.square().mean() for logits in net.train()(image)).backward()
    found = {name: parameter.grad.clone() for name, parameter in net.named_parameters()}
    return found | {name: buffer.clone() for name, buffer in net.named_buffers()}


@pytest.mark.parametrize("name", ["unet", "attention_unet", "unet_plus_plus"])
@pytest.mark.parametrize("changes", [{}, {"norm": "batch"}, {"dropout": 0.3, "norm": "batch"}], ids=str)
def test_gradients_statistics_and_draws_are_the_same(name, changes):
    image, found = torch.randn(2, 1, 32, 32), []
    for recompute in (False, True):
        torch.manual_seed(0)
        net = build_spec(name, 2, 1, 2, channels=WIDTHS, recompute=recompute, **changes).build()
        found.append(learned(net, image))
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][key], found[1][key]) for key in found[0])


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")  # compilers warn of their own workings
@pytest.mark.skipif(lacking(torch.device("cpu")) is not None, reason="there is no C++ compiler here")
def test_a_compiled_net_learns_the_same():
    net = build_spec("unet", 2, 1, 2, channels=WIDTHS, norm="batch", recompute=True).build()
    image, other = torch.randn(2, 1, 32, 32), copy.deepcopy(net)
    other.compile(dynamic=False)
    ours, theirs = learned(net, image), learned(other, image)
    assert ours.keys() == theirs.keys()
    for key in ours:
        torch.testing.assert_close(ours[key], theirs[key], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(("dims", "shape"), [(2, (64, 64)), (3, (32, 32, 32))])
def test_about_half_of_what_is_kept_is_saved(dims, shape):
    kept, again = (
        cost(build_spec("unet", dims, 1, 2, channels=WIDTHS, recompute=recompute), shape).activation_values
        for recompute in (False, True)
    )
    assert again < 0.65 * kept


def test_a_copy_computes_with_its_own_weights():
    net = build_spec("unet", 2, 1, 2, channels=WIDTHS, recompute=True).build()
    other = copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert not other.train()(torch.randn(1, 1, 16, 16))[0].any()
