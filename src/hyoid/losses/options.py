"""Which numbers the options of losses may be; the shelves hold given values to them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

Weight = Annotated[float, Field(ge=0, allow_inf_nan=False)]
"""How much something counts."""

Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
"""A power, a length."""

Share = Annotated[float, Field(ge=0, le=1)]
"""A part of a whole."""

Count = Annotated[int, Field(ge=1)]
"""How many."""
