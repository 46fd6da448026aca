"""What OpenVINO is given instead of a net's own parts."""

import torch

from hyoid.engines.openvino import spelled_out
from hyoid.nets import build_spec
from hyoid.nets.layers import InstanceNorm


def test_norms_are_spelled_out_in_a_copy_that_shares_the_weights():
    net = build_spec("nnunet_plain", 3, 1, 3, channels=(4, 8)).build().eval()
    for weight in net.parameters():
        torch.nn.init.normal_(weight)
    other = spelled_out(net)
    tiles = 100 + torch.randn(2, 1, 8, 8, 8)
    torch.testing.assert_close(other(tiles)[0], net(tiles)[0], rtol=1e-4, atol=1e-4)
    assert not any(isinstance(part, InstanceNorm) for part in other.modules())
    assert {id(weight) for weight in other.parameters()} == {id(weight) for weight in net.parameters()}
