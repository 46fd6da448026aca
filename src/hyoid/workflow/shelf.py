"""The verb that shows the family of nets."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..core.errors import ConfigError
from ..core.files import write_text
from .signatures import verb

if TYPE_CHECKING:
    from ..nets.sheet import Family, NetSheet


@verb(name="nets")
def show_nets(
    name: str | None = None,
    *,
    dims: int | None = None,
    input_shape: str | None = None,
    in_channels: int = 1,
    out_channels: int = 2,
    svg: str | Path | None = None,
) -> Family | NetSheet:
    """Show the nets on the shelf with what they cost, or one of them: its levels, its fields, its papers.

    Args:
        name: A net; all of them when none is named.
        dims: 2 for images, 3 for volumes; 2 when neither this nor an input is given.
        input_shape: Shape of the image that costs are told for, such as 512x512 or 96x96x96.
        in_channels: Channels of the image.
        out_channels: Channels of the logits.
        svg: File for the drawing of the one net.

    Returns:
        The table of the family, or the sheet of one net.
    """
    from ..nets.drawing import is_drawing
    from ..nets.sheet import SHAPES, family, sheet

    shape = SHAPES[_dims(dims)] if input_shape is None else _shape(input_shape, dims)
    if min(in_channels, out_channels) < 1:
        raise ConfigError(f"A net has at least one channel in and out; got {in_channels} and {out_channels}.")
    if name is None:
        if svg is not None:
            raise ConfigError("Name the net to draw: hyoid nets NAME --svg FILE.")
        return family(shape, in_channels, out_channels)
    if svg is not None and Path(svg).exists() and not is_drawing(Path(svg)):
        raise ConfigError(f"{svg}: this file is no drawing of hyoid's and is not covered; choose another name.")
    found = sheet(name, shape, in_channels, out_channels)
    if svg is not None:
        write_text(svg, found.to_svg())
    return found


def _dims(dims: int | None) -> int:
    if dims not in (None, 2, 3):
        raise ConfigError(f"A net has 2 or 3 dimensions; got --dims {dims}.")
    return dims or 2


def _shape(text: str, dims: int | None) -> tuple[int, ...]:
    """The shape that a text such as 256x256 means."""
    sizes = [int(size) if size.strip().isdecimal() else 0 for size in text.lower().replace(",", "x").split("x")]
    if len(sizes) not in (2, 3) or min(sizes) < 1 or _dims(dims or len(sizes)) != len(sizes):
        wanted = "2 or 3" if dims is None else str(dims)
        raise ConfigError(f"--input {text}: expected {wanted} sizes, such as 256x256 or 96x96x96.")
    return tuple(sizes)
