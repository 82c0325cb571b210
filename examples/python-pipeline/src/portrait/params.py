from typing import Literal

from millrace_pipeline import BaseParams
from pydantic import Field


class PortraitParams(BaseParams):
    background: Literal["blur", "colour", "none"] = Field(default="blur", description="Replacement of the background")
    blur: int = Field(default=8, ge=1, le=32, description="Blur radius, in hundredths of the frame width")
    colour: str = Field(default="#00b140", pattern="^#[0-9a-fA-F]{6}$", description="Colour as #rrggbb")
    threshold: float = Field(default=0.5, ge=0.05, le=0.95, description="Minimum confidence for a person")


class PortraitGreenParams(PortraitParams):
    background: Literal["blur", "colour", "none"] = Field(default="colour", description="Replacement of the background")
