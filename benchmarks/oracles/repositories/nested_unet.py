"""The most used port of U-Net++."""

from comparing import Comparison

from hyoid.nets import build_spec

REPOSITORY = "4uiiurz1/pytorch-nested-unet"
COMMIT = "557ea02"
ROWS = ("unet_original", "unet_plus_plus")

_PORT = {"norm": "batch", "order": "CNA", "up": {"name": "linear", "align_corners": True}, "bias": True}


def comparisons(root):
    """Its U-Net, and its U-Net++ with one head and with four; all enlarge from corner to corner."""
    import archs

    widths = {"channels": (32, 64, 128, 256, 512), "padding": "same"}
    one_head = {"deep_supervision": False, "answer": "finest"}
    yield Comparison(
        "unet_original",
        "UNet, linear ways up with aligned corners",
        lambda: archs.UNet(2),
        lambda: build_spec("unet_original", 2, 3, 2, **_PORT, **widths).build(),
        (2, 3, 32, 48),
    )
    for what, heads, answer in (("one head", one_head, lambda y: y), ("mean of four heads", {}, lambda y: sum(y) / 4)):
        yield Comparison(
            "unet_plus_plus",
            f"NestedUNet, {what}, linear ways up with aligned corners",
            lambda heads=heads: archs.NestedUNet(2, deep_supervision=not heads),
            lambda heads=heads: build_spec("unet_plus_plus", 2, 3, 2, **_PORT, **heads).build(),
            (2, 3, 32, 48),
            pairs={} if heads else {f"heads.{3 - k}": f"final{k + 1}" for k in range(4)},
            answer=answer,
        )
