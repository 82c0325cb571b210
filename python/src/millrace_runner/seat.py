"""The streams of this process: one, unless the pipeline is shared."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any, Optional

from millrace_pipeline import Pipeline

from . import ring
from .author import Author, checker
from .doorbell import Doorbell
from .errors import ErrorReports, RunnerError, from_exception
from .loop import ProcessLoop
from .params import ParamsStore
from .shared import SeatPipeline, SharedModel, check_streams

Message = dict[str, Any]
Send = Callable[[Message], None]


class Seat:
    """One stream: its frames, params and messages."""

    def __init__(self, loop: ProcessLoop, store: ParamsStore, region: ring.Region) -> None:
        self.loop = loop
        self.store = store
        self.region = region


class Seats:
    def __init__(self, author: Author, initial: Any, description: Message, doorbell: Doorbell, send: Send) -> None:
        self._author = author
        self._initial = initial
        self._description = description
        self._doorbell = doorbell
        self._send = send
        self._seats: dict[int, Seat] = {}
        self._stopping = asyncio.Event()
        self._running: set[asyncio.Future[None]] = set()
        self._failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._model: Optional[SharedModel] = None
        if check_streams(author) > 1:
            self._model = SharedModel(author, initial, self._working, self._hangs)

    def sit(self, number: int, frames: int, start: Message) -> Seat:
        """`frames` is the descriptor of the stream's memory. Raises RunnerError for invalid params."""
        model, author = self._model, self._author

        def send(message: Message) -> None:
            self._send(message if model is None else {**message, "seat": number})

        region = ring.Region(frames)
        more = checker(author.pipeline)

        def check_more(value: Any) -> None:
            more(value)
            if model is not None:
                model.check_params(value)

        given, revision = start["params"], start["revision"]
        store = ParamsStore(author.model, author.own, self._initial, given, revision, send, check_more)

        def make() -> Pipeline:
            return author.pipeline() if model is None else SeatPipeline(model, number, store.in_force.given)

        seat = Seat(ProcessLoop(make, store, region, self._doorbell, ErrorReports(send), send), store, region)
        self._seats[number] = seat
        if model is not None and start.get("suspect"):
            model.batcher.suspect(number)
        send({"type": "imported", "description": self._description, "params": store.in_force.shown})
        return seat

    async def run(self, first: Seat) -> None:
        """Run until the process should end. Raises the errors of loading."""
        if self._model is None:
            await first.loop.run()
            return
        await first.loop.run()
        stopping = asyncio.ensure_future(self._stopping.wait())
        self._failed.add_done_callback(lambda _: self._stopping.set())
        await stopping
        if self._failed.done():
            self._failed.result()

    def pipeline(self, first: Seat) -> Any:
        """Return the author's instance."""
        return first.loop.pipeline if self._model is None else self._model.pipeline

    def stop(self) -> None:
        self._stopping.set()
        for seat in self._seats.values():
            seat.loop.stop()

    def receive(self, message: Message) -> None:
        kind = message["type"]
        if kind == "join":
            self._join(message)
        elif kind == "leave":
            self._let_go(message["seat"])
        else:
            seat = self._seats.get(message.get("seat") or 0)
            if seat is None:
                return
            if kind == "lease":
                seat.loop.lease(message)
            elif kind == "release":
                seat.loop.release(message)
            elif kind == "check":
                seat.store.check(message["id"], message["mode"], message["value"])
            elif kind == "update":
                seat.store.update(message["id"], message["mode"], message["value"])
                seat.loop.wake()

    def _join(self, message: Message) -> None:
        number = message["seat"]
        try:
            fd = os.open(message["frames"], os.O_RDWR | os.O_CLOEXEC)
            try:
                seat = self.sit(number, fd, message)
            finally:
                os.close(fd)
        except (RunnerError, OSError) as thrown:
            self._send({"type": "left", "seat": number, "error": from_exception(thrown).to_json()})
            return
        running = asyncio.ensure_future(seat.loop.run())
        self._running.add(running)
        running.add_done_callback(self._ended)

    def _ended(self, running: asyncio.Future[None]) -> None:
        self._running.discard(running)
        thrown = None if running.cancelled() else running.exception()
        if thrown is not None and not self._failed.done():
            self._failed.set_exception(thrown)

    def _let_go(self, number: int, error: Optional[RunnerError] = None) -> None:
        """End one stream while the others of the process go on."""
        seat = self._seats.pop(number, None)
        if seat is None:
            return
        if self._model is not None:
            self._model.batcher.forget(number)
        seat.loop.stop()
        left: Message = {"type": "left", "seat": number}
        self._send(left if error is None else {**left, "error": error.to_json()})

    def _working(self, number: int, inside: bool) -> None:
        seat = self._seats.get(number)
        if seat is not None:
            seat.region.working(inside)

    def _hangs(self, number: int) -> None:
        self._let_go(number, RunnerError("timeout", "process_batch came to no end with its frame"))
