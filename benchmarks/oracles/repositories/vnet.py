"""The most used port of V-Net."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "mattmacy/vnet.pytorch"
COMMIT = "a00c8ea"
ROWS = ("vnet_library",)


def comparisons(root):
    """With running statistics, where the port keeps those of the batch.

    The port joins the copies of the image along the batch: an image becomes 16 that are the same, each with the image
    added to all channels. For one channel this equals what the paper says, so the first of them is compared.
    """
    import vnet
    from torch import nn

    def theirs(elu):
        vnet.ContBatchNorm3d = nn.BatchNorm3d
        net = vnet.VNet(elu)
        net.out_tr.softmax = lambda y: y.view(16, 16, 32, 16, 2)[:1].movedim(-1, 1)
        return net

    for act in ("elu", "prelu"):
        yield Comparison(
            "vnet_library",
            f"VNet with {act} and biases",
            lambda act=act: theirs(act == "elu"),
            lambda act=act: build_spec("vnet_library", 3, 1, 2, act=act, bias=True).build(),
            (1, 1, 16, 32, 16),
        )
