"""Audio: its queues in shared memory (docs/frame-ring.md), and the loop that gives it to the pipeline."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Optional

import numpy as np

from millrace_pipeline import AudioFrame, AudioOutput, Pipeline
from millrace_pipeline.audio import in_pieces

from . import ring
from .errors import ErrorReports
from .methods import done

SLOTS = 256
MAX_SAMPLES = 960 * 2
SLOT_BYTES = 64 + MAX_SAMPLES * 4
START = ring.REGION_BYTES
COUNTERS = {"input": START, "output": START + 64}
SLOTS_AT = START + 4096
WRITTEN, TAKEN, LOST = range(3)
#: How long audio waits for room in the ring before it is dropped.
PATIENCE_S = 0.1


class AudioRing:
    """One direction: input is read here, output written."""

    def __init__(self, region: ring.Region, direction: str) -> None:
        self._region = region
        self._counters = COUNTERS[direction]
        self._first = SLOTS_AT + (0 if direction == "input" else SLOTS * SLOT_BYTES)

    def _count(self, what: int) -> int:
        return self._region.load(self._counters + 4 * what)

    def _slot(self, number: int) -> np.ndarray:
        at = self._first + (number % SLOTS) * SLOT_BYTES
        return self._region.bytes[at : at + SLOT_BYTES]

    @property
    def full(self) -> bool:
        return (self._count(WRITTEN) - self._count(TAKEN)) % 2**32 >= SLOTS

    def lose(self, frames: int = 1) -> None:
        self._region.add(self._counters + 4 * LOST, frames)

    def write(self, samples: np.ndarray, pts: int, epoch: int) -> None:
        """`samples`: float32 of shape (samples, channels), at most 20 ms."""
        if self.full:
            self.lose()
            return
        written = self._count(WRITTEN)
        slot = self._slot(written)
        length, channels = samples.shape
        slot[64 : 64 + 4 * samples.size].view(np.float32)[:] = samples.reshape(-1)
        slot[:12].view(np.int32)[:] = (epoch, channels, length)
        slot[16:24].view(np.float64)[0] = pts
        self._region.store(self._counters + 4 * WRITTEN, (written + 1) % 2**32)

    def take(self) -> Optional[tuple[AudioFrame, int]]:
        """Return a copy of the oldest frame, with its epoch."""
        taken = self._count(TAKEN)
        if taken == self._count(WRITTEN):
            return None
        slot = self._slot(taken)
        epoch, channels, length = (int(word) for word in slot[:12].view(np.int32))
        data = slot[64 : 64 + 4 * channels * length].view(np.float32).reshape(length, channels).copy()
        pts = int(slot[16:24].view(np.float64)[0])
        self._region.store(self._counters + 4 * TAKEN, (taken + 1) % 2**32)
        return AudioFrame(data, pts), epoch


class AudioLoop:
    """Gives a pipeline its audio, beside the frames of the process loop, and takes its output audio."""

    def __init__(
        self,
        pipeline: Pipeline,
        spec: dict[str, Any],
        region: ring.Region,
        errors: ErrorReports,
        moment: Callable[[], tuple[int, Optional[str]]],
        ring_bell: Callable[[], None],
        cancelled: Callable[[BaseException], bool],
    ) -> None:
        self._pipeline = pipeline
        self._spec = spec
        self._input = AudioRing(region, "input")
        self._output = AudioRing(region, "output")
        self._errors = errors
        self._moment = moment
        self._ring_bell = ring_bell
        self._cancelled = cancelled
        self._wake = asyncio.Event()
        self._lock = asyncio.Lock()

    def wake(self) -> None:
        self._wake.set()

    @asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Give the pipeline no audio meanwhile."""
        async with self._lock:
            yield

    async def run(self) -> None:
        outputs = asyncio.create_task(self._take_outputs())
        try:
            while True:
                self._wake.clear()
                async with self._lock:
                    while await self._process_next():
                        pass
                await self._wake.wait()
        finally:
            outputs.cancel()

    async def _process_next(self) -> bool:
        taken = self._input.take()
        if taken is None:
            return False
        frame, frame_epoch = taken
        epoch, request_id = self._moment()
        # From an earlier stream or load: the server has already passed it on unchanged.
        if request_id is None or frame_epoch != epoch:
            return True
        try:
            await done(self._pipeline.put_audio_frame(frame, request_id))
        except (Exception, asyncio.CancelledError) as thrown:
            if self._cancelled(thrown):
                raise
            self._errors.report("put_audio_frame", thrown)
        lost, self._pipeline._audio_lost = self._pipeline._audio_lost, 0
        if lost:
            self._output.lose(lost)
        # Let messages, timers and frames run.
        await asyncio.sleep(0)
        return True

    async def _take_outputs(self) -> None:
        while True:
            try:
                output = await done(self._pipeline.get_processed_audio_frame())
                samples = self._accepted(output)
                if samples is not None:
                    await self._send_on(samples, int(output.frame.pts))
            except (Exception, asyncio.CancelledError) as thrown:
                if self._cancelled(thrown):
                    raise
                self._errors.report("get_processed_audio_frame", thrown)
                await asyncio.sleep(0.1)

    def _accepted(self, output: Any) -> Optional[np.ndarray]:
        """Return the samples to send; None if the output merely came too late. Raises for an author's fault."""
        if not isinstance(output, AudioOutput):
            raise TypeError(f"it must give an AudioOutput, not {type(output).__name__}")
        _, request_id = self._moment()
        if request_id is None:
            return None
        if output.request_id != request_id:
            raise ValueError(f"output of request {output.request_id}, which is not running")
        if self._spec["mode"] == "listen":
            raise ValueError("this pipeline has the audio mode listen: what it gives is not played")
        return output.frame.samples()

    async def _send_on(self, samples: np.ndarray, pts: int) -> None:
        epoch, _ = self._moment()
        for piece, time_of_piece in in_pieces(samples, pts, MAX_SAMPLES // 2):
            until = time.monotonic() + PATIENCE_S
            while self._output.full and time.monotonic() < until:
                await asyncio.sleep(0.002)
            self._output.write(piece, time_of_piece, epoch)
            with contextlib.suppress(OSError):
                self._ring_bell()
