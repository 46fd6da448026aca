"""Units of length as headers name them."""

from __future__ import annotations

import unicodedata

_MM = {"pm": 1e-9, "å": 1e-7, "nm": 1e-6, "μm": 1e-3, "um": 1e-3, "mm": 1.0, "cm": 10.0, "dm": 100.0, "m": 1e3}
_MM |= {"angstrom": 1e-7, "micron": 1e-3, "in": 25.4, "inch": 25.4, "inche": 25.4, "metre": 1e3, "meter": 1e3}
_MM |= {
    f"{prefix}{metre}": scale
    for prefix, scale in {"nano": 1e-6, "micro": 1e-3, "milli": 1.0, "centi": 10.0}.items()
    for metre in ("metre", "meter")
}

NO_UNIT = "The header gives no unit of length; millimetres are assumed."

PIXELS = {"pixel", "pixels", "voxel", "voxels", "px", "reference frame"}
"""Words by which a header says that it knows no length."""


def millimetres(word: str) -> float | None:
    """Millimetres in a unit; None for what is no unit of length.

    The letter of micro is written as two characters of Unicode, as the byte of Latin-1 in files that are UTF-8
    otherwise, and as an escape by ImageJ.
    """
    plain = word.strip().replace("\\u00B5", "µ").replace("\udcb5", "µ")
    name = unicodedata.normalize("NFKC", plain).lower()
    return _MM.get(name.removesuffix("s") if len(name) > 3 else name)
