from millrace_pipeline.frames import VideoFrame, VideoOutput

from .frame import DEFAULT_HEIGHT, DEFAULT_WIDTH

InputFrame = VideoFrame
OutputFrame = VideoOutput

__all__ = ["DEFAULT_HEIGHT", "DEFAULT_WIDTH", "InputFrame", "OutputFrame", "VideoFrame", "VideoOutput"]
