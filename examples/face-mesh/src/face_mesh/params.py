from typing import Literal

from millrace_pipeline import BaseParams
from pydantic import Field


class FaceMeshParams(BaseParams):
    draw: Literal["mesh", "contours", "nothing"] = Field(default="mesh", description="What to draw over each face")
    faces: int = Field(default=2, ge=1, le=8, description="Maximum number of faces; a change reloads the model")
    confidence: float = Field(default=0.5, ge=0.1, le=1, description="Minimum confidence; a change reloads the model")
    colour: str = Field(default="#ffd200", pattern="^#[0-9a-fA-F]{6}$", description="Colour of the lines, as #rrggbb")
