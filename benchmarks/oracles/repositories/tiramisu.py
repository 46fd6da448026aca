"""The port of the one hundred layers tiramisu."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "bfortuner/pytorch_tiramisu"
COMMIT = "c1cf079"
ROWS = ("fc_densenet103",)


BLOCK = {"name": "dense", "growth": 12}
NEW_ONLY = {**BLOCK, "new_only": True}
SMALLER = {
    "blocks_encoder": (4,) * 6,
    "blocks_decoder": (4,) * 5,
    "block": (*[BLOCK] * 5, NEW_ONLY),
    "block_decoder": (BLOCK, *[NEW_ONLY] * 4),
}
"""FC-DenseNet57, whose stem is four times as wide as its growth."""


def comparisons(root):
    """Its logits before the logarithm of the softmax, which adds the same number to all classes of a voxel."""
    from models import tiramisu

    def theirs(name):
        net = getattr(tiramisu, name)(5)
        net.softmax = tiramisu.nn.Identity()
        return net

    for name, changes in (("FCDenseNet103", {}), ("FCDenseNet57", SMALLER)):
        yield Comparison(
            "fc_densenet103",
            name,
            lambda name=name: theirs(name),
            lambda changes=changes: build_spec("fc_densenet103", 2, 3, 5, **changes).build(),
            (1, 3, 64, 96),
        )
