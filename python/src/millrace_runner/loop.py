"""The only place that calls an author's methods: puts and updates one at a time, outputs beside them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
from collections.abc import Callable
from typing import Any, Optional

from millrace_pipeline import Pipeline, VideoFrame, VideoOutput
from millrace_pipeline.audio import spec_of
from millrace_pipeline.frames import TICKS, shape_of

from . import ring
from .audio import AudioLoop
from .doorbell import Doorbell
from .errors import ErrorReports
from .methods import done
from .params import Checked, ParamsStore

HEARTBEAT_S = 0.2
#: Outputs closer together than this are faster than any stream's frames.
CROWDED_S = 0.002
#: How long outputs wait for room in the ring before the oldest is replaced.
OUTPUT_PATIENCE_S = 0.5
#: A burst of frames may wait this long in total before only the newest is taken.
BURST_MS = 60.0
#: The first frames are slow: caches fill, and a decoder and an encoder start. For this long no frame that the ring can
#: hold is skipped; then, until the pipeline has caught up, for at most three times as long.
WARM_UP_S = 1.0
CATCH_UP_S = 3 * WARM_UP_S
FAULT_PAUSE_S = 0.01
#: Larger numbers are not exact in the server.
MAX_TIME = 2**53 - 1


class ProcessingRate:
    """Measures how fast the pipeline takes frames: slow ones count at once, fast ones gradually, and the first ones
    little."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """The pipeline starts or restarts."""
        self._ms = float("inf")
        self._first_at: Optional[float] = None
        self._caught_up = False

    def idle(self, now: float) -> None:
        """No frame waits for it. Times are in seconds."""
        if self._first_at is not None and now - self._first_at >= WARM_UP_S:
            self._caught_up = True

    def add(self, began: float, now: float) -> None:
        if self._first_at is None:
            self._first_at = began
        ms = (now - began) * 1000
        if self._warming_up(now):
            self._ms = min(ms, self._ms)
        else:
            self._ms = ms if ms > self._ms or self._ms == float("inf") else self._ms + 0.2 * (ms - self._ms)

    def backlog(self, now: float) -> int:
        if self._warming_up(now):
            return ring.SLOTS
        return int(BURST_MS / max(self._ms, 0.01)) if self._ms != float("inf") else 0

    def _warming_up(self, now: float) -> bool:
        return not self._caught_up and (self._first_at is None or now - self._first_at < CATCH_UP_S)


class ProcessLoop:
    def __init__(
        self,
        make: Callable[[], Pipeline],
        store: ParamsStore,
        region: ring.Region,
        doorbell: Doorbell,
        errors: ErrorReports,
        send: Callable[[dict[str, Any]], None],
    ) -> None:
        self._make = make
        self.pipeline = self._made()
        self._store = store
        self._region = region
        self._input = ring.Ring(region, "input")
        self._output = ring.Ring(region, "output")
        self._doorbell = doorbell
        self._errors = errors
        self._send = send
        self._rate = ProcessingRate()
        self._wake = asyncio.Event()
        self._epoch = 0
        self._request_id: Optional[str] = None
        self._release: Optional[dict[str, Any]] = None
        #: Outputs with an earlier time are from before the last reload; "waiting" until its first input gives the time.
        self._floor: Any = None
        self._stopping = False
        #: A frame was processed since the loop last waited.
        self._busy = False
        self._last_output = 0.0
        spec = spec_of(type(self.pipeline), Pipeline)
        self._audio = (
            AudioLoop(self.pipeline, spec, region, errors, self._moment, self._ring, self._cancelled) if spec else None
        )

    def _made(self) -> Pipeline:
        pipeline = self._make()
        pipeline._emit = self._send_data
        return pipeline

    def _send_data(self, value: Any, pts: int) -> None:
        if self._request_id is None or self._store.loading:
            return
        self._send({"type": "data", "epoch": self._epoch, "pts": pts, "value": value, "lost": 0})

    def lease(self, message: dict[str, Any]) -> None:
        self._request_id = message["requestId"]
        self._epoch = max(self._epoch, message["epoch"])
        self._floor = None
        self._rate.reset()
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
        """Load, then run until stopped. Raises the errors of loading or of a reload."""
        beat = asyncio.create_task(self._beat())
        beside: list[asyncio.Task[None]] = []
        try:
            await done(self.pipeline.initialize(**self._store.in_force.given))
            # Objects of a loaded model live as long as the process: the collector need not traverse them every few
            # hundred frames.
            gc.freeze()
            self._tell_params()
            self._ready()
            self._doorbell.listen(self._rung)
            beside.append(asyncio.create_task(self._take_outputs()))
            if self._audio is not None:
                beside.append(asyncio.create_task(self._audio.run()))
            applied = False
            while not self._stopping:
                self._wake.clear()
                # Frames and params alternate, so that neither starves the other.
                if self._store.has_pending and not applied:
                    async with self._audio.held() if self._audio is not None else contextlib.nullcontext():
                        await self._apply_params()
                    applied = True
                    continue
                applied = False
                if await self._process_next() or self._store.has_pending:
                    continue
                if self._release is not None:
                    self._finish_release()
                else:
                    self._busy = False
                    self._rate.idle(time.perf_counter())
                    await self._wake.wait()
        finally:
            beat.cancel()
            self._doorbell.forget(self._rung)
            for task in beside:
                task.cancel()

    async def _beat(self) -> None:
        while True:
            self._region.beat()
            self._errors.flush()
            await asyncio.sleep(HEARTBEAT_S)

    def _rung(self) -> None:
        self._wake.set()
        if self._audio is not None:
            self._audio.wake()

    def _moment(self) -> tuple[int, Optional[str]]:
        """Return the epoch and the current request: None while there is no stream, or it must wait."""
        return self._epoch, None if self._store.loading else self._request_id

    def _ring(self) -> None:
        self._doorbell.ring()

    async def _process_next(self) -> bool:
        request_id = self._request_id
        if request_id is None:
            return False
        # After a change of resolution, frames of the old one are useless.
        size = self._store.in_force.value
        raw = self._input.take_next(
            self._epoch, self._rate.backlog(time.perf_counter()), size.get("width"), size.get("height")
        )
        if raw is None:
            return False
        if self._floor == "waiting":
            self._floor = raw.pts
        shape = shape_of(raw.format, raw.width, raw.height)
        frame = VideoFrame(None, raw.pts, TICKS, data=raw.data.reshape(shape), format=raw.format)
        if self._busy:
            # Let messages, timers and outputs run, however busy the pipeline is.
            await asyncio.sleep(0)
        self._busy = True
        began = time.perf_counter()
        try:
            await done(self.pipeline.put_video_frame(frame, request_id))
            self._region.count(ring.ACCEPTED)
        except BaseException as thrown:
            if self._ends(thrown):
                raise
            self._region.count(ring.FAILED)
            self._errors.report("put_video_frame", thrown)
        self._rate.add(began, time.perf_counter())
        return True

    async def _apply_params(self) -> None:
        fatal: list[BaseException] = []

        async def apply(next_: Checked, takes_long: Callable[[], None]) -> None:
            reload: Any = self.pipeline.update_params(**next_.given)
            # A Task is awaited while viewers see the overlay.
            if not isinstance(reload, asyncio.Future):
                reload = await done(reload)
            if not isinstance(reload, asyncio.Future):
                return
            takes_long()
            if self._release is not None:
                self._finish_release()
            self._store.loading = True
            self._epoch += 1
            self._floor = "waiting"
            self._rate.reset()
            self._send({"type": "reloading", "epoch": self._epoch})
            try:
                await reload
            except BaseException as thrown:
                fatal.append(thrown)
                raise RuntimeError("the reload failed") from thrown

        failure = await self._store.apply_next(apply, self._tell_params)
        if fatal:
            raise fatal[0]
        # A stream must never get another one's params: the next runner loads with the stream's own.
        if failure is not None and self._store.start_failed:
            raise failure
        if failure is not None:
            self._errors.report("update_params", failure)
        if self._store.loading:
            self._ready()
        await asyncio.sleep(0)

    def _finish_release(self) -> None:
        message, self._release = self._release, None
        assert message is not None
        # Frames of the ended stream are counted as its own.
        self._input.take_next(self._epoch, 0)
        self._send(
            {
                "type": "done",
                "id": message["id"],
                "status": "applied",
                "revision": self._store.revision,
                "params": self._store.in_force.shown,
            }
        )

    def _ready(self) -> None:
        self._store.loading = False
        self._send({"type": "ready"})

    def _tell_params(self) -> None:
        # Params of a warm runner, or of the previous stream, are no news for the waiting one.
        if self._store.start_waits:
            return
        checked = self._store.in_force
        self._send(
            {"type": "params", "revision": self._store.revision, "params": checked.shown, "given": checked.given}
        )

    async def _take_outputs(self) -> None:
        while True:
            try:
                # In its own call, so that no frame is held while waiting for the next.
                await self._take_output()
            except BaseException as thrown:
                if self._ends(thrown):
                    raise
                self._errors.report("get_processed_video_frame", thrown)
                await asyncio.sleep(0.1)

    async def _take_output(self) -> None:
        output = await done(self.pipeline.get_processed_video_frame())
        now = time.perf_counter()
        if now - self._last_output < CROWDED_S:
            # Let others run beside a pipeline with endless outputs.
            await asyncio.sleep(0)
        self._last_output = now
        self._region.count(ring.QUEUED)
        self._region.count(ring.PRODUCED)
        try:
            raw = self._accepted(output)
        except Exception as thrown:
            self._region.count(ring.REFUSED)
            self._errors.report("get_processed_video_frame", thrown)
            # A pipeline that returns invalid outputs in a tight loop must not take a whole core.
            await asyncio.sleep(FAULT_PAUSE_S)
            return
        if raw is None:
            self._region.count(ring.REFUSED)
        else:
            await self._send_on(raw)

    def _accepted(self, output: Any) -> Optional[ring.RawFrame]:
        """Return the pixels to send; None if the output merely came too late. Raises for an author's fault."""
        if not isinstance(output, VideoOutput):
            raise TypeError(f"it must give a VideoOutput, not {type(output).__name__}")
        if self._request_id is None or self._store.loading or output.is_loading_frame:
            return None
        if output.request_id != self._request_id:
            raise ValueError(f"output of request {output.request_id}, which is not running")
        pts = output.frame.pts
        if self._floor == "waiting" or (self._floor is not None and pts < self._floor):
            return None
        if abs(pts) > MAX_TIME:
            raise ValueError(f"a frame's time must be at most {MAX_TIME} ticks of 90 kHz, not {pts:.3g}")
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
        self._doorbell.ring()

    def _ends(self, thrown: BaseException) -> bool:
        """An author's SystemExit ends the process; any other exception costs a frame."""
        return isinstance(thrown, (SystemExit, KeyboardInterrupt)) or self._cancelled(thrown)

    def _cancelled(self, thrown: BaseException) -> bool:
        """An author's CancelledError is an ordinary exception; ours ends the task."""
        task = asyncio.current_task()
        return (
            isinstance(thrown, asyncio.CancelledError)
            and task is not None
            and getattr(task, "cancelling", lambda: int(self._stopping))() > 0
        )
