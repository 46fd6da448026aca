"""Public weights of encoders: where they are, how they are known to be whole, and under which terms."""

from __future__ import annotations

from dataclasses import dataclass

from ...core.errors import ConfigError, closest

NON_COMMERCIAL = "non_commercial/"
"""What has to stand before the name of weights that may not be used commercially."""


@dataclass(frozen=True)
class Source:
    """One file of weights.

    Attributes:
        url: Where it is fetched.
        sha256: Its digest in hexadecimal digits, or their beginning where no more is known. torchvision puts the first
            eight into the name of each file and checks them after a download; so do we.
        licence: Under which the weights are given.
        net: A row of the shelf that they fit.
        papers: Keys of references.bib.
        commercial: Whether they may be used commercially; others must be asked for as non_commercial/NAME.
    """

    url: str
    sha256: str
    licence: str
    net: str
    papers: tuple[str, ...]
    commercial: bool = True

    @property
    def file(self) -> str:
        """Name of the file."""
        return self.url.rpartition("/")[2]


_PLACE = "https://download.pytorch.org/models/"
# torchvision's licence. ImageNet, on which all were trained, gives its images for research; whether that binds weights
# is disputed and for the reader to judge.
_LICENCE = "BSD-3-Clause"
_RESNET, _VGG, _EFFICIENTNET = ("he2016deep",), ("simonyan2015vgg",), ("tan2019efficientnet",)
_FILES: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "resnet18": ("resnet18-f37072fd", "f37072fd", "unet_resnet18", _RESNET),
    "resnet34": ("resnet34-b627a593", "b627a593", "unet_resnet34", _RESNET),
    "resnet50": ("resnet50-0676ba61", "0676ba61", "unet_resnet50", _RESNET),
    "resnet101": ("resnet101-63fe2227", "63fe2227", "unet_resnet101", _RESNET),
    "vgg11": ("vgg11-8a719046", "8a719046", "unet_vgg11", _VGG),
    "vgg16": ("vgg16-397923af", "397923af", "unet_vgg16", _VGG),
    "mobilenet_v2": ("mobilenet_v2-b0353104", "b0353104", "unet_mobilenet_v2", ("sandler2018mobilenetv2",)),
    "densenet121": ("densenet121-a639ec97", "a639ec97", "unet_densenet121", ("huang2017densenet",)),
    "efficientnet_b0": (
        "efficientnet_b0_rwightman-7f5810bc",
        "7f5810bc",
        "unet_efficientnet_b0",
        _EFFICIENTNET,
    ),
    "efficientnet_b1": ("efficientnet_b1_rwightman-bac287d4", "bac287d4", "unet_efficientnet_b1", _EFFICIENTNET),
    "efficientnet_b2": ("efficientnet_b2_rwightman-c35c1473", "c35c1473", "unet_efficientnet_b2", _EFFICIENTNET),
    "efficientnet_b3": ("efficientnet_b3_rwightman-b3899882", "b3899882", "unet_efficientnet_b3", _EFFICIENTNET),
    "efficientnet_b4": (
        "efficientnet_b4_rwightman-23ab8bcd",
        "23ab8bcd5bdbef61a7a43b91adcad81f622fd7f36fb4935a569828d77888c44e",
        "unet_efficientnet_b4",
        _EFFICIENTNET,
    ),
    "efficientnet_b5": ("efficientnet_b5_lukemelas-1a07897c", "1a07897c", "unet_efficientnet_b5", _EFFICIENTNET),
    "efficientnet_b6": ("efficientnet_b6_lukemelas-24a108a5", "24a108a5", "unet_efficientnet_b6", _EFFICIENTNET),
    "efficientnet_b7": ("efficientnet_b7_lukemelas-c5b4e57e", "c5b4e57e", "unet_efficientnet_b7", _EFFICIENTNET),
}

CATALOGUE: dict[str, Source] = {
    name: Source(f"{_PLACE}{file}.pth", digest, _LICENCE, net, papers)
    for name, (file, digest, net, papers) in _FILES.items()
}
"""Weights by name; those that torchvision's older nets of the same name were trained to on ImageNet."""


def source_called(name: str) -> Source:
    """An entry of the catalogue.

    Raises:
        ConfigError: When there is none, or it is non-commercial and was not asked for as such.
    """
    plain = name.removeprefix(NON_COMMERCIAL)
    if plain not in CATALOGUE:
        raise ConfigError(
            f"{name}: this is neither a file nor a name of the catalogue of weights.{closest(plain, CATALOGUE)} "
            f"Known: {', '.join(CATALOGUE)}."
        )
    source = CATALOGUE[plain]
    if source.commercial and plain != name:
        raise ConfigError(f"{name}: these weights may be used commercially too; ask for {plain}.")
    if not source.commercial and plain == name:
        raise ConfigError(
            f"{name}: these weights are under {source.licence} and may not be used commercially; ask for "
            f"{NON_COMMERCIAL}{name} when your use is not."
        )
    return source
