"""What the author of a Python pipeline imports; docs/pipelines.md describes it."""

from .frames import VideoFrame, VideoOutput
from .params import BaseParams
from .pipeline import Pipeline

__all__ = ["BaseParams", "Pipeline", "VideoFrame", "VideoOutput"]
