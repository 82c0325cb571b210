"""Params that every pipeline has."""

from __future__ import annotations

from typing import Annotated, Optional

from pydantic import BaseModel, Field

Side = Annotated[int, Field(ge=64, le=3840, multiple_of=2)]


class BaseParams(BaseModel):
    """Extend it with a pipeline's own params. Field names are those of the API."""

    width: Optional[Side] = Field(
        default=None,
        description="Width of the input frames in pixels, even; set with height, by default that of the source",
    )
    height: Optional[Side] = Field(
        default=None,
        description="Height of the input frames in pixels, even; set with width, by default that of the source",
    )
    show_reloading_frame: bool = Field(
        default=True,
        description="Show the overlay while the pipeline loads; false passes the input through meanwhile",
    )
