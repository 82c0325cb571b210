from millrace_pipeline.frames import VideoFrame, VideoOutput
from millrace_pipeline.frames import _SideData as SideData

DEFAULT_WIDTH = 512
DEFAULT_HEIGHT = 512

__all__ = ["DEFAULT_HEIGHT", "DEFAULT_WIDTH", "SideData", "VideoFrame", "VideoOutput"]
