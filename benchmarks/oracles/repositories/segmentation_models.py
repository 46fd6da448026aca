"""segmentation_models.pytorch: U-Net, U-Net++, FPN, PSPNet and DeepLab on known encoders.

Needs torchvision and timm, of any build: `pip install --no-deps --target FOLDER/site torchvision timm`.
"""

from comparing import Comparison
from standins import stand_in, torchvision_operators

from hyoid.nets import build_spec

REPOSITORY = "qubvel-org/segmentation_models.pytorch"
COMMIT = "5006616"
UNETS = {
    "unet_resnet18": "resnet18",
    "unet_resnet34": "resnet34",
    "unet_resnet50": "resnet50",
    "unet_resnet101": "resnet101",
    "unet_vgg11": "vgg11",
    "unet_vgg16": "vgg16_bn",
    "unet_mobilenet_v2": "mobilenet_v2",
    "unet_densenet121": "densenet121",
    **{f"unet_efficientnet_b{k}": f"efficientnet-b{k}" for k in range(8)},
}
ROWS = (*UNETS, "fpn", "pspnet", "deeplab_v3", "deeplab_v3_plus", "deeplab_v3_plus_xception")

VGG16 = {"encoder": {"name": "vgg", "finest": False, "batch_norm": True}}
POOLED = "a bare convolution for the mean of the whole, the map behind its means, kernels of 1, one head"


def encoder(name):
    """Fields of a pyramid's spec for one of smp's encoders."""
    if name == "resnet34":
        part, blocks = {"name": "resnet", "spread_first": True}, (1, 1, 3, 4, 6, 3)
        return {"encoder": part, "channels": (16, 64, 64, 128, 256, 512), "blocks": blocks}
    if name == "resnet101":
        return {"encoder": {"name": "resnet", "bottleneck": True, "spread_first": True}}
    row = next(row for row, theirs in UNETS.items() if theirs == name)
    spec = build_spec(row, 2, 3, 3, **SMP.get(row, {}))
    blocks = (2, 2, 3, 3, 3, 0) if name == "vgg16_bn" else spec.blocks_encoder
    return {"encoder": spec.encoder, "channels": spec.channels, "blocks": blocks}


SMP = {
    "unet_vgg16": VGG16,
    **{
        f"unet_efficientnet_b{k}": {"encoder": {"name": "efficientnet", "scale": f"b{k}", "port": "smp"}}
        for k in range(8)
    },
}
"""What brings our rows to their encoders."""


NODES = {
    f"decoder.nodes.{level}_{column}.block.{unit}.{ours}": f"decoder.blocks.x_{5 - level - column}_{4 - level}.{theirs}"
    for level in range(5)
    for column in (range(1, 6 - level) if level else (5,))
    for unit, layer in ((0, "conv1"), (1, "conv2"))
    for ours, theirs in (("conv", f"{layer}.0"), ("norm", f"{layer}.1"))
}
"""Where the layers of our nested decoder are in theirs."""


class Mixin:
    """What nets inherit to be shared."""

    save_pretrained = from_pretrained = push_to_hub = print

    def __new__(cls, *_, **__):
        return super().__new__(cls)


def comparisons(root):
    """Every U with its encoder, and the pyramids with five of them."""
    torchvision_operators()
    stand_in("tqdm", tqdm=object)
    hub = {"ModelCard": None, "ModelCardData": None, "hf_hub_download": None}
    stand_in("huggingface_hub", PyTorchModelHubMixin=Mixin, **hub)
    import segmentation_models_pytorch as smp

    for row, name in UNETS.items():
        yield Comparison(
            row,
            f"Unet({name!r})",
            lambda name=name: smp.Unet(name, encoder_weights=None, classes=3),
            lambda row=row: build_spec(row, 2, 3, 3, **SMP.get(row, {})).build(),
            (1, 3, 64, 96),
        )
    for row in ("unet_resnet34", "unet_densenet121", "unet_mobilenet_v2"):
        yield Comparison(
            row,
            f"UnetPlusPlus({UNETS[row]!r}), by decoder",
            lambda row=row: smp.UnetPlusPlus(UNETS[row], encoder_weights=None, classes=3),
            lambda row=row: build_spec(row, 2, 3, 3, decoder={"name": "nested", "inner": "encoder"}).build(),
            (1, 3, 64, 96),
            pairs=NODES,
        )
    rates = {"rates": (12, 24, 36)}
    plain = ("resnet34", "mobilenet_v2", "efficientnet-b0", "efficientnet-b1", "resnet101")
    for row, name, encoders, changes in (
        ("fpn", "FPN", ("resnet34", "vgg16_bn", "densenet121", "mobilenet_v2", "efficientnet-b0"), {}),
        ("deeplab_v3", "DeepLabV3", plain, {"dilated": 2, "align_corners": True, **rates}),
        ("deeplab_v3_plus", "DeepLabV3Plus", plain, rates),
        ("pspnet", "PSPNet", ("resnet34",), {}),
    ):
        for theirs in encoders:
            yield Comparison(
                row,
                f"{name}({theirs!r})",
                lambda name=name, theirs=theirs: getattr(smp, name)(theirs, encoder_weights=None, classes=3),
                lambda row=row, theirs=theirs, changes=changes: build_spec(
                    row, 2, 3, 3, **encoder(theirs), **changes
                ).build(),
                (1, 3, 64, 96),
                differs=POOLED if row == "pspnet" else "",
            )
    activated = {"encoder": {"name": "xception", "activated": True}}
    yield Comparison(
        "deeplab_v3_plus_xception",
        "DeepLabV3Plus('tu-xception65'), its finer map activated",
        lambda: smp.DeepLabV3Plus("tu-xception65", encoder_weights=None, classes=3),
        lambda: build_spec("deeplab_v3_plus_xception", 2, 3, 3, **activated, **rates).build(),
        (1, 3, 64, 96),
    )
