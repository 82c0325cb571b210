"""Frames of several streams that share one loaded model."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .frames import VideoFrame


@dataclass
class BatchItem:
    """A frame of one stream."""

    frame: VideoFrame
    #: The params in effect for its stream, as an instance of the pipeline's `Params`.
    params: Any
    #: Request id of its stream.
    request_id: str
    #: Sends data with the time of this frame; otherwise like `Pipeline.emit`.
    emit: Callable[[Any], None]
