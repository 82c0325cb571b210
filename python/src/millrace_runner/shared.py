"""One instance of an author's class for several streams: the pending frames go to it in one batch."""

from __future__ import annotations

import asyncio
import contextlib
import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Optional

from millrace_pipeline import Pipeline, VideoFrame, VideoOutput
from millrace_pipeline.batch import BatchItem

from .author import Author
from .errors import RunnerError, invalid_params

#: The first batch may compile code or warm up a model.
FIRST_S = 9.0
#: Shorter than the time after which a stream's pipeline is restarted.
HANG_S = 4.0
#: A stream whose frame failed rejoins the batch after this many good frames.
GOOD_FRAMES = 60
MAX_WAITING = 8


@dataclass
class Waiting:
    seat: int
    item: BatchItem
    answer: asyncio.Future[Any]


class Batcher:
    """At most one frame per stream, oldest first. A stream whose frames fail gets calls of its own, between those of
    the others, so that it costs no other stream a frame."""

    def __init__(
        self,
        process: Callable[[list[BatchItem]], Any],
        on_call: Callable[[int, bool], None],
        on_hang: Callable[[int], None],
    ) -> None:
        self._process = process
        self._on_call = on_call
        self._on_hang = on_hang
        self._waiting: list[Waiting] = []
        #: Seats that are processed alone, with the number of good frames until they rejoin.
        self._alone: dict[int, int] = {}
        #: Seats of a call that came to no end, by whose frame nobody knows: no other waits for their next one.
        self._doubted: set[int] = set()
        self._beside: set[asyncio.Task[None]] = set()
        self._worker: Optional[asyncio.Task[None]] = None
        self._alone_next = False
        self._has_worked = False

    async def process(self, seat: int, item: BatchItem) -> Any:
        """Process one frame; raises the error of author code for it. One call at a time per seat."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append(Waiting(seat, item, answer))
        if self._worker is None:
            self._worker = asyncio.create_task(self._work())
        return await answer

    def suspect(self, seat: int) -> None:
        """Its frames may have ended the previous process."""
        self._alone[seat] = GOOD_FRAMES

    def forget(self, seat: int) -> None:
        """Its stream is over: nobody waits for its frame."""
        self._alone.pop(seat, None)
        self._doubted.discard(seat)
        for one in self._waiting:
            if one.seat == seat:
                refuse(one, RuntimeError("the stream is over"))
        self._waiting = [one for one in self._waiting if one.seat != seat]

    async def _work(self) -> None:
        while True:
            # Let streams whose frames have just come, or were just finished, join the batch.
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            batch = self._next()
            if not batch:
                break
            if batch[0].seat in self._doubted:
                running = asyncio.create_task(self._run(batch))
                self._beside.add(running)
                running.add_done_callback(self._beside.discard)
            else:
                await self._run(batch)
        self._worker = None

    def _next(self) -> list[Waiting]:
        trusted = [one for one in self._waiting if one.seat not in self._alone]
        alone = [one for one in self._waiting if one.seat in self._alone][:1]
        take_alone = bool(alone) and (self._alone_next or not trusted)
        self._alone_next = not take_alone
        batch = alone if take_alone else trusted
        self._waiting = [one for one in self._waiting if one not in batch]
        return batch

    async def _run(self, batch: list[Waiting]) -> None:
        call: asyncio.Future[Any] = asyncio.ensure_future(self._call(batch))
        done, _ = await asyncio.wait({call}, timeout=HANG_S if self._has_worked else FIRST_S)
        if not done:
            # It is abandoned, because nothing can end it.
            call.add_done_callback(lambda left: left.cancelled() or left.exception())
            self._hung(batch)
            return
        try:
            results = call.result()
            if not isinstance(results, Iterable) or len(results := list(results)) != len(batch):
                raise TypeError(f"process_batch must give {len(batch)} results for as many frames")
        except (Exception, asyncio.CancelledError) as thrown:
            if len(batch) > 1:
                for one in batch:
                    await self._run([one])
                return
            self._alone[batch[0].seat] = GOOD_FRAMES
            self._doubted.discard(batch[0].seat)
            refuse(batch[0], thrown if isinstance(thrown, Exception) else RuntimeError("it was cancelled"))
            return
        self._has_worked = True
        for one, result in zip(batch, results, strict=True):
            self._good(one.seat)
            if not one.answer.done():
                one.answer.set_result(result)

    async def _call(self, batch: list[Waiting]) -> Any:
        for one in batch:
            self._on_call(one.seat, True)
        try:
            made = self._process([one.item for one in batch])
            return await made if inspect.isawaitable(made) else made
        finally:
            for one in batch:
                self._on_call(one.seat, False)

    def _hung(self, batch: list[Waiting]) -> None:
        for one in batch:
            self._on_call(one.seat, False)
            self._alone[one.seat] = GOOD_FRAMES
            self._doubted.add(one.seat)
            refuse(one, TimeoutError("process_batch came to no end"))
        if len(batch) == 1:
            self._on_hang(batch[0].seat)

    def _good(self, seat: int) -> None:
        self._doubted.discard(seat)
        left = self._alone.get(seat)
        if left is None:
            return
        if left > 1:
            self._alone[seat] = left - 1
        else:
            del self._alone[seat]


def refuse(one: Waiting, error: Exception) -> None:
    if not one.answer.done():
        one.answer.set_exception(error)


async def _never(*_: Any) -> Any:
    raise TypeError("a pipeline for several streams gets its frames by process_batch")


def without_frames(pipeline: type[Pipeline]) -> type[Pipeline]:
    """The class, which may omit the methods that only an unshared pipeline needs."""
    missing = set(getattr(pipeline, "__abstractmethods__", ())) & {"put_video_frame", "get_processed_video_frame"}
    return type(pipeline.__name__, (pipeline,), dict.fromkeys(missing, _never)) if missing else pipeline


def _reaches_nobody(value: Any, pts: int) -> None:
    raise TypeError("a pipeline for several streams emits data by the items of process_batch")


class SharedModel:
    """Loaded once, with the variant's own params, whatever those of the first stream are."""

    def __init__(
        self,
        author: Author,
        initial: dict[str, Any],
        on_call: Callable[[int, bool], None],
        on_hang: Callable[[int], None],
    ) -> None:
        self.author = author
        self._initial = {**author.own, **initial}
        self.pipeline = without_frames(author.pipeline)()
        self.pipeline._emit = _reaches_nobody
        process: Any = self.pipeline.process_batch
        self.batcher = Batcher(process, on_call, on_hang)
        self._loading: Optional[asyncio.Task[None]] = None

    async def load(self) -> None:
        if self._loading is None:
            self._loading = asyncio.ensure_future(self.pipeline.initialize(**self._initial))
        await asyncio.shield(self._loading)

    def check_params(self, value: Any) -> None:
        """Raise if a stream's params would need another model."""
        initial = None
        with contextlib.suppress(ValueError):
            initial = self.author.model.model_validate(self._initial)
        if initial is not None and self.pipeline.needs_reload(initial, value):
            message = "they need another model, and streams share the one that is loaded"
            raise invalid_params([{"path": [], "message": message}])


class SeatPipeline(Pipeline):
    """Acts as the pipeline of one stream's process loop."""

    def __init__(self, model: SharedModel, seat: int, given: dict[str, Any]) -> None:
        self._model = model
        self._seat = seat
        self._params = model.author.model.model_validate(given)
        self._outputs: asyncio.Queue[VideoOutput] = asyncio.Queue()

    async def initialize(self, **params: Any) -> None:
        await self._model.load()

    async def put_video_frame(self, frame: VideoFrame, request_id: str) -> None:
        pts = frame.pts
        item = BatchItem(frame, self._params, request_id, lambda value: self.emit(value, pts))
        made = await self._model.batcher.process(self._seat, item)
        if made is None:
            return
        frames = [made] if isinstance(made, VideoFrame) else list(made) if isinstance(made, Iterable) else [made]
        for one in frames:
            # All frames are checked before the first goes out, so that a result never goes out in part.
            if not isinstance(one, VideoFrame):
                raise TypeError(f"process_batch must give a VideoFrame, several or None, not {type(one).__name__}")
            one.pixels()
        for one in frames:
            if self._outputs.qsize() >= MAX_WAITING:
                self._outputs.get_nowait()
            self._outputs.put_nowait(VideoOutput(one, request_id))

    async def get_processed_video_frame(self) -> VideoOutput:
        return await self._outputs.get()

    async def update_params(self, **params: Any) -> None:
        self._params = self._model.author.model.model_validate(params)


def check_streams(author: Author) -> int:
    """Return the number of streams that can share a process. Raises RunnerError if it is invalid."""
    streams = author.pipeline.streams
    if not isinstance(streams, int) or not 1 <= streams <= 64:
        raise RunnerError("pipeline-failed", f"streams must be a whole number from 1 to 64, not {streams!r}")
    if streams > 1 and not callable(getattr(author.pipeline, "process_batch", None)):
        raise RunnerError("pipeline-failed", f"a pipeline for {streams} streams needs process_batch")
    return streams
