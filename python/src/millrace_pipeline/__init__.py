"""The SDK for Python pipelines; see docs/pipeline-sdk-python.md."""

from .audio import AudioFrame, AudioOutput
from .batch import BatchItem
from .define import PipelineContext, define_pipeline
from .frames import VideoFrame, VideoOutput
from .params import BaseParams
from .pipeline import AudioPipeline, Pipeline

__all__ = [
    "AudioFrame",
    "AudioOutput",
    "AudioPipeline",
    "BaseParams",
    "BatchItem",
    "Pipeline",
    "PipelineContext",
    "VideoFrame",
    "VideoOutput",
    "define_pipeline",
]
