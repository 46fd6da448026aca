"""segmentation_models.pytorch: U-Net, FPN, PSPNet and DeepLab on known encoders.

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
PYRAMIDS = ("fpn", "pspnet", "deeplab_v3", "deeplab_v3_plus")
ROWS = (*UNETS, *PYRAMIDS)

VGG16 = {"encoder": {"name": "vgg", "finest": False, "batch_norm": True}}
RESNET34 = {"channels": (16, 64, 64, 128, 256, 512), "bottleneck": False, "blocks": (1, 1, 3, 4, 6, 3)}


class Mixin:
    """What nets inherit to be shared."""

    save_pretrained = from_pretrained = push_to_hub = print

    def __new__(cls, *_, **__):
        return super().__new__(cls)


def comparisons(root):
    """Every U with its encoder, and the pyramids with ResNets."""
    torchvision_operators()
    stand_in("tqdm", tqdm=object)
    hub = {"ModelCard": None, "ModelCardData": None, "hf_hub_download": None}
    stand_in("huggingface_hub", PyTorchModelHubMixin=Mixin, **hub)
    import segmentation_models_pytorch as smp

    for row, encoder in UNETS.items():
        yield Comparison(
            row,
            f"Unet({encoder!r})",
            lambda encoder=encoder: smp.Unet(encoder, encoder_weights=None, classes=3),
            lambda row=row: build_spec(row, 2, 3, 3, **(VGG16 if row == "unet_vgg16" else {})).build(),
            (1, 3, 64, 96),
        )
    for row, name, encoder, changes in (
        ("fpn", "FPN", "resnet34", {}),
        ("pspnet", "PSPNet", "resnet34", RESNET34),
        ("deeplab_v3", "DeepLabV3", "resnet34", RESNET34),
        ("deeplab_v3_plus", "DeepLabV3Plus", "resnet34", RESNET34),
        ("deeplab_v3_plus", "DeepLabV3Plus", "resnet101", {}),
    ):
        yield Comparison(
            row,
            f"{name}({encoder!r})",
            lambda name=name, encoder=encoder: getattr(smp, name)(encoder, encoder_weights=None, classes=3),
            lambda row=row, changes=changes: build_spec(row, 2, 3, 3, **changes).build(),
            (1, 3, 64, 96),
        )
