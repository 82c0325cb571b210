"""Calls of authors' methods."""

from __future__ import annotations

import inspect
from typing import Any


async def done(made: Any) -> Any:
    """Await a method's result, if its author made it async."""
    return await made if inspect.isawaitable(made) else made
