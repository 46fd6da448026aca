"""The verb that approves Python files of others, or of one's own, which runs may then name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ..core.extensions import approve, read_extension
from .signatures import verb


@verb(gives="approved")
def trust(files: Sequence[str | Path]) -> list[Path]:
    """Let Python files run when a run names them under `extensions`, as long as they stay as they are now.

    Args:
        files: Python files, which you have read.

    Returns:
        The file in your configuration folder that stands for each; delete it to withdraw the approval.
    """
    sources = {path: read_extension(path) for path in map(Path.resolve, map(Path, files))}
    return [approve(path, source) for path, source in sources.items()]
