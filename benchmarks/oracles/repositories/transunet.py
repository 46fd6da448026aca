"""TransUNet's authors' code."""

from types import SimpleNamespace

from comparing import Comparison
from standins import stand_in
from torch import cat

from hyoid.nets import build_spec

REPOSITORY = "Beckschen/TransUNet"
COMMIT = "02ef001"
ROWS = ("transunet",)


class ConfigDict(SimpleNamespace):
    """The settings of `ml_collections`, as far as the net reads them."""

    def __init__(self, given=()):
        super().__init__(**dict(given))

    def __getitem__(self, name):
        return getattr(self, name)

    __setitem__ = SimpleNamespace.__setattr__

    def get(self, name):
        return getattr(self, name, None)


def comparisons(root):
    """R50-ViT-B_16 at 224 pixels; positions are one sequence there and a map here."""
    stand_in("ml_collections", ConfigDict=ConfigDict)
    from networks.vit_seg_modeling import CONFIGS, VisionTransformer

    def theirs():
        config = CONFIGS["R50-ViT-B_16"]
        config.n_classes, config.patches.grid = 5, (14, 14)
        return VisionTransformer(config, 224)

    pairs = {"positions.weight": ("transformer.embeddings.position_embeddings", lambda p: p.mT)}
    for k in range(12):
        for kind in ("weight", "bias"):
            three = tuple(f"transformer.encoder.layer.{k}.attn.{part}.{kind}" for part in ("query", "key", "value"))
            pairs[f"layers.{k}.attention.qkv.{kind}"] = (three, lambda *parts: cat(parts))
        pairs[f"layers.{k}.attention.out"] = f"transformer.encoder.layer.{k}.attn.out"
    yield Comparison(
        "transunet",
        "VisionTransformer, R50-ViT-B_16, 224 pixels",
        theirs,
        build_spec("transunet", 2, 3, 5).build,
        (1, 3, 224, 224),
        pairs=pairs,
    )
