from millrace_pipeline import BaseParams
from pydantic import Field


class MyPipelineParams(BaseParams):
    strength: float = Field(default=0.8, ge=0, le=1, description="From 0, the original frame, to 1, its negative")


class MyPipelineSoftParams(MyPipelineParams):
    strength: float = Field(default=0.4, ge=0, le=1, description="From 0, the original frame, to 1, its negative")
