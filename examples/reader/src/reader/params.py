from millrace_pipeline import BaseParams
from pydantic import Field


class ReaderParams(BaseParams):
    every: float = Field(default=0.5, ge=0, le=10, description="Seconds between the starts of two readings")
    confidence: float = Field(default=0.6, ge=0, le=1, description="Minimum confidence for a line")
    draw: bool = Field(default=True, description="Draw frames around the lines")
