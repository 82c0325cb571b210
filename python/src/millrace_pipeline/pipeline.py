"""The base class of pipelines."""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, ClassVar, Optional

from pydantic import BaseModel

from .audio import AudioFrame, AudioOutput
from .data import check_data
from .frames import VideoFrame, VideoOutput
from .params import BaseParams

MAX_AUDIO_WAITING = 64


class Pipeline(ABC):
    """A pipeline. One instance lives in one process, for one stream at a time. Put, update and stop never run
    concurrently, except that `put_audio_frame` may run beside `put_video_frame`. An exception for one frame is reported
    and costs only that frame."""

    Params: ClassVar[type[BaseModel]] = BaseParams
    #: Pixel format and size of input frames, such as {"format": "yuv420p"}; default rgb24 in the source's size.
    input: ClassVar[Optional[dict[str, Any]]] = None
    #: False for a pipeline that processes audio only: its stream's video passes around it. See `AudioPipeline`.
    video: ClassVar[bool] = True
    #: How it takes audio: {"mode": "process" | "listen" | "give", "frame_ms": 10 | 20, "channels": 1 | 2}; defaults
    #: "process", 20 and 2. If None, a pipeline with `put_audio_frame` takes it with the defaults; for others, audio
    #: passes around.
    audio: ClassVar[Optional[dict[str, Any]]] = None
    #: The name of the variant that was started.
    name: str = ""

    #: Number of streams that can share one process and one instance, which is loaded with the pipeline's own params.
    #: With more than one it needs `process_batch`; `put_video_frame` and `update_params` are not called.
    streams: ClassVar[int] = 1
    #: Processes the pending frames, at most one per stream, oldest first: takes a list of BatchItem, and returns one
    #: result per item, in the same order: a VideoFrame, several, or None. May be async. If it raises, each frame is
    #: tried alone.
    process_batch: Any = None

    #: Set by the runner.
    _emit: Optional[Callable[[Any, int], None]] = None

    def emit(self, value: Any, pts: int) -> None:
        """Send data with the video, such as the objects found in a frame.

        `value` is a JSON value of at most 64 KiB; numpy arrays and numbers become lists and numbers. `pts` is the time
        of its frame in 90 kHz ticks. Raises TypeError or ValueError for anything else.
        """
        plain = json.loads(check_data(value, pts))
        if self._emit is not None:
            self._emit(plain, int(pts))

    #: Created on first use, because authors need not call the constructor.
    _audio_outputs: Optional[asyncio.Queue[AudioOutput]] = None
    #: Audio that nobody took in time; counted by the runner.
    _audio_lost: int = 0

    def give_audio(self, output: AudioOutput) -> None:
        """Queue output audio, which `get_processed_audio_frame` returns. If more than 64 wait, the oldest is dropped.

        Raises ValueError for invalid audio; see `AudioFrame.samples`.
        """
        output.frame.samples()
        queue = self._audio_queue()
        if queue.qsize() >= MAX_AUDIO_WAITING:
            queue.get_nowait()
            self._audio_lost += 1
        queue.put_nowait(output)

    def _audio_queue(self) -> asyncio.Queue[AudioOutput]:
        if self._audio_outputs is None:
            self._audio_outputs = asyncio.Queue()
        return self._audio_outputs

    async def put_audio_frame(self, frame: AudioFrame, request_id: str) -> None:
        """Take one audio frame of 10 or 20 ms. If it raises or outputs nothing, the frame leaves unchanged."""

    async def get_processed_audio_frame(self) -> AudioOutput:
        """Return the next audio, up to 10 s long, in order of time; called in its own loop."""
        return await self._audio_queue().get()

    @abstractmethod
    async def initialize(self, **params: Any) -> None:
        """Load the model. `params` are as given, without defaults. If it raises, the process is restarted with the same
        params: a stream never runs with params that nobody gave it."""

    @abstractmethod
    async def put_video_frame(self, frame: VideoFrame, request_id: str) -> None:
        """Take one frame. While it is awaited, newer frames replace waiting ones."""

    @abstractmethod
    async def get_processed_video_frame(self) -> VideoOutput:
        """Return the next output; called in its own loop."""

    async def update_params(self, **params: Any) -> Optional[asyncio.Task[Any]]:
        """Apply params. Return a Task for long work: viewers see the overlay until it is done."""
        return None

    @classmethod
    def needs_reload(cls, now: Any, next: Any) -> bool:
        """Return whether the change from one params value to another needs another model, which streams that share one
        cannot have."""
        return False

    async def stop(self) -> None:
        """Free all resources."""

    @classmethod
    def check_params(cls, params: Any) -> None:
        """Check what the params' model cannot, such as whether a file exists, before a request is answered.

        `params` is an instance of `Params`. Raise to refuse them with 422, which a publisher or an update gets at once;
        a ValidationError says where. It must return immediately and load nothing.
        """

    @classmethod
    def prepare_models(cls) -> None:
        """Download or compile models; called by `millrace prepare`."""


class AudioPipeline(Pipeline):
    """A pipeline that processes audio only. Video passes around it, and the publisher need not send any."""

    video: ClassVar[bool] = False
    audio: ClassVar[Optional[dict[str, Any]]] = {}

    async def initialize(self, **params: Any) -> None:
        """Load the model."""

    @abstractmethod
    async def put_audio_frame(self, frame: AudioFrame, request_id: str) -> None:
        """Take one audio frame of 10 or 20 ms. If it raises or outputs nothing, the frame leaves unchanged."""

    async def put_video_frame(self, frame: VideoFrame, request_id: str) -> None:
        """Never called."""

    async def get_processed_video_frame(self) -> VideoOutput:
        """Never returns."""
        await asyncio.Event().wait()
        raise AssertionError
