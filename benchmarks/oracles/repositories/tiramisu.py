"""The port of the one hundred layers tiramisu."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "bfortuner/pytorch_tiramisu"
COMMIT = "c1cf079"
ROWS = ("fc_densenet103",)


def comparisons(root):
    """Its logits before the logarithm of the softmax, which adds the same number to all classes of a voxel."""
    from models import tiramisu

    def theirs():
        net = tiramisu.FCDenseNet103(5)
        net.softmax = tiramisu.nn.Identity()
        return net

    ours = build_spec("fc_densenet103", 2, 3, 5).build
    yield Comparison("fc_densenet103", "FCDenseNet103", theirs, ours, (1, 3, 64, 96))
