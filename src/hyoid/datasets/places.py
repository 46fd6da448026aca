"""Names of the folders in which data sets keep images and annotations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

IMAGE_FOLDERS = ("images", "imagestr", "image", "imgs", "img", "inputs", "scans")
LABEL_FOLDERS = (
    "labels", "labelstr", "label", "masks", "mask", "annotations", "annotation", "segmentations",
    "segmentation", "segs", "seg", "ground_truth", "groundtruth", "gt",
)  # fmt: skip
TARGET_FOLDERS = ("targets", "targetstr", "target")
UNLABELLED_FOLDERS = ("unlabelled", "unlabeled", "imagesunl")


def subfolder(folder: Path, names: Iterable[str]) -> Path | None:
    """The first of these folders that is there, whatever the case of its letters."""
    below = {d.name.lower(): d for d in folder.iterdir() if d.is_dir()}
    return next((below[name] for name in names if name in below), None)
