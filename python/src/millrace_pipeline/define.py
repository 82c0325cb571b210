"""Pipelines from functions, for models that return one, several or no frames for each frame."""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, ClassVar, Optional

from .audio import AudioFrame, AudioOutput, whole_spec
from .batch import BatchItem
from .frames import VideoFrame, VideoOutput
from .params import BaseParams
from .pipeline import Pipeline

MAX_WAITING = 8


@dataclass
class PipelineContext:
    #: Name of the variant.
    name: str
    #: Folder for model files.
    model_dir: str
    log: logging.Logger
    #: See `Pipeline.emit`.
    emit: Callable[[Any, int], None]


def define_pipeline(
    *,
    load: Optional[Callable[[Any, PipelineContext], Any]] = None,
    params: type[BaseParams] = BaseParams,
    input: Optional[dict[str, Any]] = None,
    audio: Any = None,
    video: Optional[bool] = None,
    description: str = "",
    reload_when: Optional[Callable[[Any, Any], bool]] = None,
    prepare_models: Optional[Callable[[], Any]] = None,
    check_params: Optional[Callable[[Any], None]] = None,
    streams: int = 1,
) -> type[Pipeline]:
    """Make a pipeline class from functions. All but `check_params` may be async.

    `load(params, context)` returns the value of `process`: a function `(frame, params)`, or a mapping or object with
    `process` and optionally `update(params)` and `stop()`. `process` returns a `VideoFrame`, several in order of time,
    or None; `params` are those in effect for that frame. `reload_when(now, next)` returns True if that change needs
    `load` again, while viewers see the overlay. `check_params(params)` raises to refuse params that their model
    accepted, such as the name of a missing file; it must return immediately.

    `audio` is a function `(frame, params)` that processes an audio frame; or a `Pipeline.audio` dict, optionally with
    such a function as `process`; otherwise the `audio` that `load` returns is used. It returns an `AudioFrame`, several
    in order of time, or None, and then the frame leaves unchanged. `video=False`, the default without `load`, means
    audio only: video passes around the pipeline.

    `streams` is the number of streams that can share one process and the value of `load`, which is then called with the
    pipeline's own params. It has `process_batch(items)` instead of `process`: a list of `BatchItem`, at most one per
    stream, and as many results. `update` is not called, and params of a stream for which `reload_when` returns True are
    refused.
    """
    if load is None and audio is None:
        raise TypeError("define_pipeline needs load, audio, or both")
    of_audio = dict(audio) if isinstance(audio, dict) else {"process": audio} if audio is not None else {}
    own_audio = of_audio.pop("process", None)
    spec = whole_spec(of_audio) if audio is not None else None

    class Defined(Pipeline):
        __doc__ = description or None
        Params: ClassVar[type[BaseParams]] = params

        async def initialize(self, **given: Any) -> None:
            self._outputs: asyncio.Queue[VideoOutput] = asyncio.Queue()
            self._params = params.model_validate(given)
            self._loaded = await self._load(self._params)

        async def _load(self, value: Any) -> Any:
            if load is None:
                return SimpleNamespace()
            context = PipelineContext(
                self.name, os.environ.get("MODEL_DIR", "."), logging.getLogger(self.name), self.emit
            )
            loaded = await _awaited(load(value, context))
            if callable(loaded):
                return SimpleNamespace(process=loaded)
            return SimpleNamespace(**loaded) if isinstance(loaded, dict) else loaded

        async def put_video_frame(self, frame: VideoFrame, request_id: str) -> None:
            if hasattr(self._loaded, "process"):
                made = await _awaited(self._loaded.process(frame, self._params))
            else:
                item = BatchItem(frame, self._params, request_id, lambda value: self.emit(value, frame.pts))
                (made,) = await _awaited(self._loaded.process_batch([item]))
            if made is None:
                return
            frames = [made] if isinstance(made, VideoFrame) else list(made) if isinstance(made, Iterable) else [made]
            for one in frames:
                # All frames are checked before the first goes out, so that a result never goes out in part.
                if not isinstance(one, VideoFrame):
                    raise TypeError(f"process must return a VideoFrame, several or None, not {type(one).__name__}")
                one.pixels()
            for one in frames:
                if self._outputs.qsize() >= MAX_WAITING:
                    self._outputs.get_nowait()
                self._outputs.put_nowait(VideoOutput(one, request_id))

        async def process_batch(self, items: list[BatchItem]) -> list[Any]:
            if hasattr(self._loaded, "process"):
                return [await _awaited(self._loaded.process(item.frame, item.params)) for item in items]
            return list(await _awaited(self._loaded.process_batch(items)))

        @classmethod
        def needs_reload(cls, now: Any, next: Any) -> bool:
            return reload_when is not None and reload_when(now, next)

        async def get_processed_video_frame(self) -> VideoOutput:
            return await self._outputs.get()

        async def put_audio_frame(self, frame: AudioFrame, request_id: str) -> None:
            function = getattr(self._loaded, "audio", None) or own_audio
            made = await _awaited(function(frame, self._params)) if function is not None else None
            if made is None:
                # Immediately: nothing else will come for this frame.
                made = frame if spec is not None and spec["mode"] == "process" else []
            frames = [made] if isinstance(made, AudioFrame) else list(made) if isinstance(made, Iterable) else [made]
            for one in frames:
                if not isinstance(one, AudioFrame):
                    raise TypeError(f"audio must return an AudioFrame, several or None, not {type(one).__name__}")
                one.samples()
            for one in frames:
                self.give_audio(AudioOutput(one, request_id))

        async def update_params(self, **given: Any) -> Optional[asyncio.Task[Any]]:
            value = params.model_validate(given)
            if reload_when is not None and reload_when(self._params, value):
                return asyncio.create_task(self._reload(value))
            await self._call("update", value)
            self._params = value
            return None

        async def _reload(self, value: Any) -> None:
            await self._call("stop")
            self._loaded = await self._load(value)
            self._params = value

        async def stop(self) -> None:
            await self._call("stop")

        async def _call(self, name: str, *given: Any) -> None:
            found = getattr(getattr(self, "_loaded", None), name, None)
            if found is not None:
                await _awaited(found(*given))

        @classmethod
        def check_params(cls, value: Any) -> None:
            if check_params is not None:
                check_params(value)

        @classmethod
        def prepare_models(cls) -> Any:
            return prepare_models() if prepare_models is not None else None

    Defined.input = input
    Defined.audio = spec
    Defined.video = video if video is not None else load is not None
    if spec is None:
        # Without it, audio passes around the pipeline.
        del Defined.put_audio_frame
    Defined.streams = streams
    return Defined


async def _awaited(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value
