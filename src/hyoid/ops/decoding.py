"""From channels to labels."""

from __future__ import annotations

import numpy as np

from .sampling import running_winner


def winner(probabilities: np.ndarray) -> np.ndarray:
    """Index of the largest channel, (*S) uint8 or uint16 from (C, *S); the first one when equal.

    A running maximum over channels: no memory but the result, 5 to 30 times the speed of an argmax over the slow axis.
    """
    channels = len(probabilities)
    flat = np.ascontiguousarray(probabilities, np.float32).reshape(channels, -1)
    result = np.zeros(flat.shape[1], np.uint8 if channels <= 256 else np.uint16)
    running_winner(flat, result)
    return result.reshape(probabilities.shape[1:])
