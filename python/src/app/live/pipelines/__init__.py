from .interface import BaseParams, Pipeline
from .spec import PipelineSpec

__all__ = ["BaseParams", "Pipeline", "PipelineSpec"]
