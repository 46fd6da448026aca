"""The graph of the Non-local U-Net, in TensorFlow 1."""

from types import SimpleNamespace

from comparing import Comparison
from standins import GraphTensor, Replayed, tensorflow
from torch import rand

from hyoid.nets import build_spec

REPOSITORY = "zhengyang-wang/3D-Unet--Tensorflow"
COMMIT = "c5d603a"
ROWS = ("non_local_unet",)


def comparisons(root):
    """Three levels from width 32, as the authors configure it."""
    tensorflow()
    from network import Network

    def theirs():
        net = Network(SimpleNamespace(num_classes=4, num_filters=32, network_depth=3))
        return Replayed(lambda x: net(x.as_subclass(GraphTensor), False), rand(1, 2, 16, 16, 16))

    up = "decoder.levels.1.up"
    yield Comparison(
        "non_local_unet",
        "Network, 3D, its graph computed in torch",
        theirs,
        build_spec("non_local_unet", 3, 2, 4).build,
        (1, 2, 16, 16, 16),
        pairs={f"{up}.residual.0": "layers.22.conv", f"{up}.query.0": "layers.23.conv"},
    )
