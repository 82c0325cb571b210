"""Packages written to the guide import frames from here."""

from ..trickle import DEFAULT_HEIGHT, DEFAULT_WIDTH, VideoFrame, VideoOutput

__all__ = ["DEFAULT_HEIGHT", "DEFAULT_WIDTH", "VideoFrame", "VideoOutput"]
