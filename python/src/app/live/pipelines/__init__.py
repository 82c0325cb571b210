from .interface import BaseParams, Pipeline
from .spec import PipelineSpec, builtin_pipeline_spec, load_pipeline

__all__ = ["BaseParams", "Pipeline", "PipelineSpec", "builtin_pipeline_spec", "load_pipeline"]
