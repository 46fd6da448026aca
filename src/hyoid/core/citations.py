"""The papers behind the parts of an experiment, as BibTeX."""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files

from .errors import ConfigError, closest


@cache
def bibliography() -> dict[str, str]:
    """Every entry of `references.bib` as BibTeX text, by key."""
    text = files("hyoid").joinpath("references.bib").read_text(encoding="utf-8")
    entries = re.split(r"(?m)^(?=@)", text)
    found = (re.match(r"@\w+\{\s*([^,\s]+)\s*,", entry) for entry in entries)
    return {match.group(1): entry.strip() for match, entry in zip(found, entries, strict=True) if match}


def cite(keys: list[str] | tuple[str, ...]) -> str:
    """BibTeX of these keys, each once, in the order given.

    Raises:
        ConfigError: When a key is not in `references.bib`.
    """
    known = bibliography()
    for key in keys:
        if key not in known:
            raise ConfigError(f"No paper has the key {key!r} in references.bib.{closest(key, known)}")
    return "\n\n".join(known[key] for key in dict.fromkeys(keys))
