"""What made the answers in a folder: a line of JSON for each call, in the order of the calls."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.errors import HyoidError
from ..experiment import RunFolder
from ..io.below import ANSWERS
from ..prediction.predictor import Predictor


def origin_of(folder: RunFolder, predictor: Predictor) -> dict[str, Any]:
    """The run, weights and settings that answer."""
    weights = (folder.weights / "last.safetensors").read_bytes()
    return {
        "run": str(folder.path.resolve()),
        "weights": f"sha256 {hashlib.sha256(weights).hexdigest()[:16]}",
        "device": str(predictor.device),
        "prediction": predictor.settings.model_dump(mode="json"),
        "hyoid": __version__,
    }


def note_origin(into: Path, origin: Mapping[str, Any], answers: Sequence[str]) -> None:
    """Note, before the first of them is written, where these answers in a folder come from."""
    begun = datetime.now(UTC).isoformat(timespec="seconds")
    line = json.dumps({"begun": begun, **origin, "answers": list(answers)}, ensure_ascii=False)
    try:
        into.mkdir(parents=True, exist_ok=True)
        with (into / ANSWERS).open("a", encoding="utf-8") as file:
            file.write(f"{line}\n")
    except OSError as error:
        raise HyoidError(f"{into}: could not be written ({error.strerror or error}).") from error
