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
_FILES = {
    "he2016deep": ("resnet18-f37072fd", "resnet34-b627a593", "resnet50-0676ba61", "resnet101-63fe2227"),
    "simonyan2015vgg": ("vgg11-8a719046", "vgg16-397923af"),
    "sandler2018mobilenetv2": ("mobilenet_v2-b0353104",),
    "huang2017densenet": ("densenet121-a639ec97",),
    "tan2019efficientnet": (
        "efficientnet_b0_rwightman-7f5810bc",
        "efficientnet_b1_rwightman-bac287d4",
        "efficientnet_b2_rwightman-c35c1473",
        "efficientnet_b3_rwightman-b3899882",
        "efficientnet_b4_rwightman-23ab8bcd",
        "efficientnet_b5_lukemelas-1a07897c",
        "efficientnet_b6_lukemelas-24a108a5",
        "efficientnet_b7_lukemelas-c5b4e57e",
    ),
}
_WHOLE = {"23ab8bcd": "23ab8bcd5bdbef61a7a43b91adcad81f622fd7f36fb4935a569828d77888c44e"}


def _source(file: str, paper: str) -> tuple[str, Source]:
    """A file's name in the catalogue, and its entry; files are called by net, perhaps author, and digest."""
    name, _, digest = file.partition("-")
    name = name.removesuffix("_rwightman").removesuffix("_lukemelas")
    return name, Source(f"{_PLACE}{file}.pth", _WHOLE.get(digest, digest), _LICENCE, f"unet_{name}", (paper,))


CATALOGUE: dict[str, Source] = dict(_source(file, paper) for paper, files in _FILES.items() for file in files)
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
