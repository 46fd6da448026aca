"""Which intensity scheme each channel gets."""

from __future__ import annotations

from typing import Any

from ..core.errors import ConfigError
from ..preparation.intensity import IntensitySettings
from .fingerprint import ChannelFacts, Fingerprint
from .settings import PlanningSettings

SAME_STAIN = 0.5
"""Spread of the cases' means, in units of the overall deviation, up to which colours mean the same in all cases."""

MOSTLY_EMPTY = 0.75
"""Share of an image left after cropping below which only the content is measured."""


def intensity_of(
    fingerprint: Fingerprint, settings: PlanningSettings
) -> tuple[tuple[IntensitySettings, ...], list[str]]:
    """The scheme of each channel, and what was decided in words.

    CT values mean the same everywhere and are clipped to what structures have; colours are kept when they are alike in
    all cases; everything else is brought to mean 0 and deviation 1, image by image, or where answers are images too,
    all images alike, since what tells these apart would be lost.

    Raises:
        ConfigError: When the settings name schemes for another number of channels.
    """
    channels, names = fingerprint.channels, settings.intensity or ()
    names = names * len(channels) if len(names) == 1 else names
    if names and len(names) != len(channels):
        raise ConfigError(f"planning.intensity names {len(names)} schemes but images have {len(channels)} channels.")
    found, notes = [], []
    for index, channel in enumerate(channels):
        scheme = names[index] if names else _scheme(channel)
        scheme = "fixed" if fingerprint.target and not names and scheme == "zscore" else scheme
        found.append(_settings(scheme, channel, fingerprint))
        if scheme == "ct":
            notes.append(f"{channel.name} is CT: clipped to {channel.low:.0f} to {channel.high:.0f} Hounsfield units")
        elif channel.name.lower() == "ct" and channel.modality != "ct":
            values = f"{channel.minimum:.4g} to {channel.maximum:.4g}"
            notes.append(f"{channel.name} is not treated as CT: values of {values} are no Hounsfield units")
    if any(channel.modality == "rgb" for channel in channels) and not names:
        kept = found[0].scheme == "rgb"
        notes.append(f"colours {'are alike in all images and kept' if kept else 'differ: each image is normalised'}")
    return tuple(found), notes


def target_of(fingerprint: Fingerprint) -> tuple[IntensitySettings, ...]:
    """The scheme of each channel of the target images, which is the same for all, so that answers are scaled back."""
    return tuple(_settings("fixed", channel, fingerprint) for channel in fingerprint.target)


def _scheme(channel: ChannelFacts) -> str:
    if channel.modality == "ct":
        return "ct"
    return "rgb" if channel.modality == "rgb" and channel.spread <= SAME_STAIN else "zscore"


def _settings(scheme: str, channel: ChannelFacts, fingerprint: Fingerprint) -> IntensitySettings:
    deviation, options = max(channel.std, 1e-8), dict[str, Any]()
    if scheme == "ct":
        options = {"lower": channel.low, "upper": channel.high, "mean": channel.mean, "std": deviation}
    elif scheme == "fixed":
        options = {"mean": channel.mean, "std": deviation}
    elif scheme == "rgb":
        options = {"mean": channel.mean / 255, "std": deviation / 255}
    elif scheme == "zscore" and fingerprint.content_share < MOSTLY_EMPTY:
        options = {"content_only": True}
    return IntensitySettings(scheme=scheme, options=options)
