"""Data messages beside the video."""

from __future__ import annotations

import json
from typing import Any

#: Longest message, as JSON in UTF-8.
MAX_DATA_BYTES = 64 * 1024


def plain(value: Any) -> Any:
    """Convert numpy and torch values to JSON types."""
    if hasattr(value, "tolist"):
        return value.tolist()
    raise TypeError(f"data must be a JSON value; it has a {type(value).__name__}")


def check_data(value: Any, pts: int) -> str:
    """Return the message as JSON. Raises TypeError or ValueError if it is not JSON or too long, or if `pts` is not a
    time."""
    if not isinstance(pts, int):
        raise TypeError(f"pts must be a whole number of 90 kHz ticks, not {pts!r}")
    text = json.dumps(value, default=plain, allow_nan=False)
    size = len(text.encode())
    if size > MAX_DATA_BYTES:
        raise ValueError(f"data of {size} bytes as JSON; accepted are at most {MAX_DATA_BYTES}")
    return text
