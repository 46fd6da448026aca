"""MultiResUNet's authors' Keras code; their later port to torch has biases and shares norms, so it is another net."""

from comparing import Comparison
from standins import Replayed, keras
from torch import rand

from hyoid.nets import build_spec

REPOSITORY = "nibtehaz/MultiResUNet"
COMMIT = "5318aaf"
ROWS = ("multires_unet",)

EPS = 1e-3


def comparisons(root):
    """With Keras's epsilon. The norm after their last convolution is folded into ours, as it has no scale there."""
    keras()
    from tensorflow import MultiResUNet, MultiResUNet3D

    for module, dims, channels in ((MultiResUNet, 2, 3), (MultiResUNet3D, 3, 4)):
        shape = (1, channels, *[32] * dims)

        def theirs(module=module, dims=dims, channels=channels, shape=shape):
            def graph(x):
                module.Input = lambda _: x
                return getattr(module, "MultiResUnet" + "3D" * (dims == 3))(*[32] * dims, channels)

            return Replayed(graph, rand(shape))

        last = sum(1 for _ in theirs().layers) - 2
        conv, norm = f"layers.{last}.conv", f"layers.{last + 1}"

        def weight(w, variance):
            return w / (variance + EPS).sqrt()

        def bias(b, mean, variance):
            return b - mean / (variance + EPS).sqrt()

        statistics = (f"{norm}.running_mean", f"{norm}.running_var")
        yield Comparison(
            "multires_unet",
            f"MultiResUnet in Keras, {dims}D, epsilon of norms 0.001 as there",
            theirs,
            lambda dims=dims, channels=channels: build_spec(
                "multires_unet", dims, channels, 1, norm={"name": "batch", "scale": False, "eps": EPS}
            ).build(),
            shape,
            pairs={
                "heads.0.weight": ((f"{conv}.weight", statistics[1]), weight),
                "heads.0.bias": ((f"{norm}.bias", *statistics), bias),
            },
        )
