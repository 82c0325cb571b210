from dataclasses import dataclass, field
from typing import Any

from millrace_pipeline.frames import SideData, VideoFrame, VideoOutput

DEFAULT_WIDTH = 512
DEFAULT_HEIGHT = 512

InputFrame = VideoFrame
OutputFrame = VideoOutput


@dataclass
class AudioFrame:
    """For packages that import the name; never instantiated. Audio passes around a pipeline without `put_audio_frame`,
    and one with it gets `millrace_pipeline.AudioFrame`."""

    samples: Any = None
    timestamp: int = 0
    time_base: Any = 0
    log_timestamps: dict[str, float] = field(default_factory=dict)
    side_data: SideData = field(default_factory=SideData)


@dataclass
class AudioOutput:
    frames: list[AudioFrame] = field(default_factory=list)
    request_id: str = ""


__all__ = [
    "DEFAULT_HEIGHT",
    "DEFAULT_WIDTH",
    "AudioFrame",
    "AudioOutput",
    "InputFrame",
    "OutputFrame",
    "SideData",
    "VideoFrame",
    "VideoOutput",
]
