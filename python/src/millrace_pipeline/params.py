"""Params that every pipeline has."""

from __future__ import annotations

from typing import Annotated, Optional

from pydantic import BaseModel, Field

Side = Annotated[int, Field(ge=64, le=3840, multiple_of=2)]


class BaseParams(BaseModel):
    """Extend it with a pipeline's own params. Names are those on the wire."""

    width: Optional[Side] = Field(
        default=None,
        description="Width in pixels of the frames the pipeline gets, even; with height, else the size of the source",
    )
    height: Optional[Side] = Field(
        default=None,
        description="Height in pixels of the frames the pipeline gets, even; with width, else the size of the source",
    )
    show_reloading_frame: bool = Field(
        default=True,
        description="Show the overlay while the pipeline loads; false lets the input pass through meanwhile",
    )
