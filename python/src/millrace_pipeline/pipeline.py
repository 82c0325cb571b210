"""The class that every pipeline extends."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Optional

from pydantic import BaseModel

from .frames import VideoFrame, VideoOutput
from .params import BaseParams


class Pipeline(ABC):
    """One instance lives in one process, for one stream at a time. No method is called while another of put, update
    and stop runs; an exception of one frame is reported and costs that frame only."""

    Params: ClassVar[type[BaseModel]] = BaseParams
    #: The pixel format and size it wants, e.g. {"format": "yuv420p"}; rgb24 unless told.
    input: ClassVar[Optional[dict[str, Any]]] = None
    #: The name of the variant that was started.
    name: str = ""

    @abstractmethod
    async def initialize(self, **params: Any) -> None:
        """Load. Gets the params that were given, without defaults. An exception ends the process."""

    @abstractmethod
    async def put_video_frame(self, frame: VideoFrame, request_id: str) -> None:
        """Take a frame. The next one waits until this returns; of those that wait too long the newest wins."""

    @abstractmethod
    async def get_processed_video_frame(self) -> VideoOutput:
        """Give the next output; called in a loop of its own."""

    async def update_params(self, **params: Any) -> Optional[asyncio.Task[Any]]:
        """Put params in force. Return a Task when it takes long: the overlay shows until it is done."""
        return None

    async def stop(self) -> None:
        """Free what it holds."""

    @classmethod
    def prepare_models(cls) -> None:
        """Download or compile models; run by `millrace prepare`."""
