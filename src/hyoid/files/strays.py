"""Strays: what systems and programs leave in folders, which nobody means when they name a folder."""

from __future__ import annotations

from pathlib import Path

_SYSTEMS = ("__macosx", "thumbs.db", "ehthumbs.db", "desktop.ini", "lost+found", "$recycle.bin", "#recycle", "@recycle")
_VIEWERS = ("@eadir", "thumbs", "thumbnails", "__pycache__")


def is_stray(path: Path) -> bool:
    """Whether a file or folder is hidden, or is called as those are that systems and viewers of pictures leave."""
    return path.name.startswith(".") or path.name.lower() in _SYSTEMS + _VIEWERS


def items_in(folder: Path) -> list[Path]:
    """What lies directly in a folder but for strays, in name order."""
    return sorted(path for path in folder.iterdir() if not is_stray(path))


def folders_in(folder: Path) -> list[Path]:
    """The folders directly in a folder but for strays, in name order."""
    return [path for path in items_in(folder) if path.is_dir()]


def strays_below(folder: Path) -> list[str]:
    """Names of the strays in a folder and the folders in it; hidden ones are not told."""
    found = {path.name for place in (folder, *folders_in(folder)) for path in place.iterdir() if is_stray(path)}
    return sorted(name for name in found if not name.startswith("."))
