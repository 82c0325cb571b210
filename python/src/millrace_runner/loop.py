"""The one place where an author's methods are called: puts and updates one at a time, outputs beside them."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from fractions import Fraction
from typing import Any, Callable, Optional

from millrace_pipeline import Pipeline, VideoFrame, VideoOutput

from . import ring
from .errors import ErrorReports
from .params import Checked, ParamsStore

HEARTBEAT_S = 0.2
#: Outputs wait this long for the server to make room before the oldest is replaced.
OUTPUT_PATIENCE_S = 0.1
#: Frames of a burst may wait this long in all before the newest goes first.
BURST_MS = 60.0
SHAPES = {"rgb24": lambda h, w: (h, w, 3), "rgba": lambda h, w: (h, w, 4), "gray": lambda h, w: (h, w)}
TIME_BASE = Fraction(1, 90_000)


class ProcessingRate:
    """How fast the pipeline takes frames: slow ones count at once, fast ones gradually."""

    def __init__(self) -> None:
        self._ms = float("inf")

    def add(self, ms: float) -> None:
        self._ms = ms if ms > self._ms or self._ms == float("inf") else self._ms + 0.2 * (ms - self._ms)

    @property
    def backlog(self) -> int:
        return int(BURST_MS / max(self._ms, 0.01)) if self._ms != float("inf") else 0


class ProcessLoop:
    def __init__(
        self,
        pipeline: Pipeline,
        store: ParamsStore,
        region: ring.Region,
        doorbell_fd: int,
        errors: ErrorReports,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        self._pipeline = pipeline
        self._store = store
        self._region = region
        self._input = ring.Ring(region, "input")
        self._output = ring.Ring(region, "output")
        self._doorbell = socket.socket(fileno=doorbell_fd)
        self._doorbell.setblocking(False)
        os.set_inheritable(doorbell_fd, False)
        self._errors = errors
        self._send = send
        self._rate = ProcessingRate()
        self._wake = asyncio.Event()
        self._epoch = 0
        self._request_id: Optional[str] = None
        self._release: Optional[dict[str, Any]] = None
        #: Outputs of an earlier time are of before the last reload; "waiting" until its first input tells the time.
        self._floor: Any = None
        self._stopping = False

    def lease(self, message: dict[str, Any]) -> None:
        self._request_id = message["requestId"]
        self._epoch = max(self._epoch, message["epoch"])
        self._floor = None
        self._store.lease(message["id"], message["params"], message["revision"])
        self._wake.set()

    def release(self, message: dict[str, Any]) -> None:
        self._request_id = None
        self._epoch = max(self._epoch, message["epoch"])
        self._release = message
        self._store.release()
        self._wake.set()

    def wake(self) -> None:
        self._wake.set()

    def stop(self) -> None:
        self._stopping = True
        self._wake.set()

    async def run(self) -> None:
        """Loads, then works until it is stopped. Raises what loading, or a reload, raised."""
        beat = asyncio.create_task(self._beat())
        outputs: Optional[asyncio.Task[None]] = None
        try:
            await self._pipeline.initialize(**self._store.in_force.given)
            self._tell_params()
            self._ready()
            asyncio.get_running_loop().add_reader(self._doorbell.fileno(), self._rung)
            outputs = asyncio.create_task(self._take_outputs())
            applied = False
            while not self._stopping:
                self._wake.clear()
                # Frames and params take turns, so that neither starves the other.
                if self._store.has_pending and not applied:
                    await self._apply_params()
                    applied = True
                    continue
                applied = False
                if await self._process_next() or self._store.has_pending:
                    continue
                if self._release is not None:
                    self._finish_release()
                else:
                    await self._wake.wait()
        finally:
            beat.cancel()
            if outputs is not None:
                outputs.cancel()

    async def _beat(self) -> None:
        while True:
            self._region.beat()
            self._errors.flush()
            await asyncio.sleep(HEARTBEAT_S)

    def _rung(self) -> None:
        try:
            if not self._doorbell.recv(4096):
                asyncio.get_running_loop().remove_reader(self._doorbell.fileno())
        except OSError:
            pass
        self._wake.set()

    async def _process_next(self) -> bool:
        request_id = self._request_id
        if request_id is None:
            return False
        raw = self._input.take_next(self._epoch, self._rate.backlog)
        if raw is None:
            return False
        if self._floor == "waiting":
            self._floor = raw.pts
        shape = SHAPES.get(raw.format, lambda h, w: (h + (h + 1) // 2, w))(raw.height, raw.width)
        frame = VideoFrame(None, raw.pts, TIME_BASE, data=raw.data.reshape(shape), format=raw.format)
        began = time.perf_counter()
        try:
            await self._pipeline.put_video_frame(frame, request_id)
            self._region.count(ring.ACCEPTED)
        except (Exception, asyncio.CancelledError) as thrown:
            if self._cancelled(thrown):
                raise
            self._region.count(ring.FAILED)
            self._errors.report("put_video_frame", thrown)
        # Messages, timers and outputs get their turn, however busy the pipeline is.
        await asyncio.sleep(0)
        self._rate.add((time.perf_counter() - began) * 1000)
        return True

    async def _apply_params(self) -> None:
        fatal: list[BaseException] = []

        async def apply(next_: Checked, takes_long: Callable[[], None]) -> None:
            reload = await self._pipeline.update_params(**next_.given)
            if not isinstance(reload, asyncio.Future):
                return
            takes_long()
            if self._release is not None:
                self._finish_release()
            self._store.loading = True
            self._epoch += 1
            self._floor = "waiting"
            self._send({"type": "reloading", "epoch": self._epoch})
            try:
                await reload
            except BaseException as thrown:
                fatal.append(thrown)
                raise RuntimeError("the reload failed") from thrown

        failure = await self._store.apply_next(apply, self._tell_params)
        if fatal:
            raise fatal[0]
        if failure is not None:
            self._errors.report("update_params", failure)
        if self._store.loading:
            self._ready()
        await asyncio.sleep(0)

    def _finish_release(self) -> None:
        message, self._release = self._release, None
        assert message is not None
        # Frames of the stream that is over are counted as its own.
        self._input.take_next(self._epoch, 0)
        self._send(
            {
                "type": "done",
                "id": message["id"],
                "status": "applied",
                "revision": self._store.revision,
                "params": self._store.in_force.value,
            }
        )

    def _ready(self) -> None:
        self._store.loading = False
        self._send({"type": "ready"})

    def _tell_params(self) -> None:
        checked = self._store.in_force
        self._send(
            {"type": "params", "revision": self._store.revision, "params": checked.value, "given": checked.given}
        )

    async def _take_outputs(self) -> None:
        while True:
            try:
                output = await self._pipeline.get_processed_video_frame()
                self._region.count(ring.QUEUED)
                self._region.count(ring.PRODUCED)
                try:
                    raw = self._accepted(output)
                except Exception as thrown:
                    self._region.count(ring.REFUSED)
                    self._errors.report("get_processed_video_frame", thrown)
                    continue
                if raw is None:
                    self._region.count(ring.REFUSED)
                else:
                    await self._send_on(raw)
            except (Exception, asyncio.CancelledError) as thrown:
                if self._cancelled(thrown):
                    raise
                self._errors.report("get_processed_video_frame", thrown)
                await asyncio.sleep(0.1)
            await asyncio.sleep(0)

    def _accepted(self, output: Any) -> Optional[ring.RawFrame]:
        """The pixels that go out; None when the output merely came too late. Raises for a fault of the author's."""
        if not isinstance(output, VideoOutput):
            raise TypeError(f"it must give a VideoOutput, not {type(output).__name__}")
        if self._request_id is None or self._store.loading or output.is_loading_frame:
            return None
        if output.request_id != self._request_id:
            raise ValueError(f"output of request {output.request_id}, which is not running")
        pts = output.frame.pts
        if self._floor == "waiting" or (self._floor is not None and pts < self._floor):
            return None
        data, format, width, height = output.frame.pixels()
        if data.size > ring.SLOT_BYTES:
            raise ValueError(f"a frame of {data.size} bytes is larger than the {ring.SLOT_BYTES} that pass")
        return ring.RawFrame(data, format, width, height, pts)

    async def _send_on(self, raw: ring.RawFrame) -> None:
        epoch = self._epoch
        until = time.monotonic() + OUTPUT_PATIENCE_S
        while self._output.full and time.monotonic() < until:
            await asyncio.sleep(0.002)
        self._output.write(raw, epoch)
        try:
            self._doorbell.send(b"\1")
        except OSError:
            pass

    def _cancelled(self, thrown: BaseException) -> bool:
        """An author's CancelledError is an exception like others; ours ends the task."""
        task = asyncio.current_task()
        return isinstance(thrown, asyncio.CancelledError) and task is not None and getattr(task, "cancelling", lambda: int(self._stopping))() > 0
