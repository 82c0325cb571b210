"""`Pipeline` and `BaseParams` as ai-runner's guide defines them."""

from abc import ABC, abstractmethod
from asyncio import Task
from pathlib import Path
from typing import Optional

from pydantic import BaseModel, Field

from millrace_pipeline import params as _params
from millrace_pipeline import pipeline as _pipeline

from ..trickle import DEFAULT_HEIGHT, DEFAULT_WIDTH, VideoFrame, VideoOutput


class BaseParams(_params.BaseParams):
    """As in ai-runner: 512 x 512 by default."""

    width: _params.Side = Field(default=DEFAULT_WIDTH, description="Width in pixels of the frames, even")
    height: _params.Side = Field(default=DEFAULT_HEIGHT, description="Height in pixels of the frames, even")

    def get_output_resolution(self) -> tuple[int, int]:
        return (self.width, self.height)


class Pipeline(_pipeline.Pipeline):
    Params = BaseParams


__all__ = [
    "ABC",
    "DEFAULT_HEIGHT",
    "DEFAULT_WIDTH",
    "BaseModel",
    "BaseParams",
    "Field",
    "Optional",
    "Path",
    "Pipeline",
    "Task",
    "VideoFrame",
    "VideoOutput",
    "abstractmethod",
]
