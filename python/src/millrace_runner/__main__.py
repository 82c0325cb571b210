"""`python -m millrace_runner MARK`: descriptors 3 control, 4 frame memory, 5 doorbell."""

from __future__ import annotations

import asyncio
import ctypes
import inspect
import logging
import os
import signal
import sys
from typing import Any, Optional

from .control import Control
from .errors import ErrorReports, from_exception

CONTROL, FRAMES, DOORBELL = 3, 4, 5
STOP_S = 2.0
#: Time for the server to read why this process ends.
READ_S = 1.0


def guard_life() -> None:
    """End this process with the server, even if author code blocks."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        try:
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                file.write("500")
        except OSError:
            pass


def settle_in(start: dict[str, Any]) -> None:
    """Set the environment and working directory that packages for ai-runner rely on."""
    models = os.path.abspath(start["modelDir"])
    os.environ.update({"MODEL_DIR": models, "PIPELINE": start["name"], "MODEL_ID": start["name"]})
    for cache in ("HUGGINGFACE_HUB_CACHE", "DIFFUSERS_CACHE"):
        os.environ.setdefault(cache, models)
    if start["mode"] == "describe":
        return
    # Some write to ./engines and ./models: a folder of the package's own, beside its models.
    place = os.path.join(models, start["exportName"].split(":")[0].split(".")[0])
    try:
        os.makedirs(place, exist_ok=True)
        os.chdir(place)
    except OSError as error:
        print(f"the pipeline's working directory stays {os.getcwd()}: {error}", file=sys.stderr)


class LogHandler(logging.Handler):
    """A log line with `extra={"report_error": True}` becomes an error event."""

    def __init__(self, errors: ErrorReports) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if getattr(record, "report_error", False):
            thrown = record.exc_info[1] if record.exc_info else None
            self._errors.report("logging", thrown or RuntimeError(record.getMessage()))


class Runner:
    def __init__(self) -> None:
        self.control = Control(CONTROL, self._receive, lambda: os._exit(1))
        self._seats: Any = None
        self._started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def _receive(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "start":
            self._started.set_result(message)
        elif kind == "stop":
            self.stop()
        elif self._seats is not None:
            self._seats.receive(message)

    def stop(self) -> None:
        if self._seats is None:
            os._exit(0)
        self._seats.stop()
        # A pipeline that is busy or hangs is not waited for any longer.
        asyncio.get_running_loop().call_later(STOP_S + 0.5, os._exit, 0)

    async def run(self) -> None:
        running = asyncio.get_running_loop()
        self.control.listen(running)
        running.add_signal_handler(signal.SIGTERM, self.stop)
        running.add_signal_handler(signal.SIGINT, lambda: None)
        start = await self._started
        settle_in(start)
        errors = ErrorReports(self.control.send)
        level = logging.DEBUG if os.environ.get("VERBOSE_LOGGING") == "1" else logging.INFO
        logging.basicConfig(level=level, stream=sys.stderr, format="%(levelname)s %(message)s")
        logging.getLogger().addHandler(LogHandler(errors))

        from .author import describe, load, prepare

        author = load(start["exportName"], start["name"])
        initial = start["initial"]
        description = describe(author, {**author.own, **initial})
        if start["mode"] != "serve":
            self.control.send({"type": "imported", "description": description, "params": description["defaults"]})
            if start["mode"] == "prepare":
                await prepare(author.pipeline)
            return
        await self._serve(start, author, initial, description, errors)

    async def _serve(self, start: dict[str, Any], author: Any, initial: Any, description: Any, errors: Any) -> None:
        from millrace_pipeline import tensors

        from .doorbell import Doorbell
        from .seat import Seat, Seats

        seats = Seats(author, initial, description, Doorbell(DOORBELL), self.control.send)
        self._seats = seats
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: errors.report(
                "a task nobody waits for", context.get("exception") or RuntimeError(context["message"])
            )
        )
        first: Seat = seats.sit(0, FRAMES, start)
        if description["input"].get("format", "rgb24") == "rgb24":
            # Here, rather than at the first frame whose tensor is read.
            tensors.prepare()
        await seats.run(first)
        stop = getattr(seats.pipeline(first), "stop", None)
        stopped = stop() if stop else None
        if inspect.isawaitable(stopped):
            await asyncio.wait_for(stopped, STOP_S)


async def main() -> int:
    os.environ["MILLRACE_RUNNER"] = sys.argv[1] if len(sys.argv) > 1 else ""
    runner: Optional[Runner] = Runner()
    assert runner is not None
    try:
        await runner.run()
    except asyncio.TimeoutError:
        return 0
    except BaseException as thrown:
        runner.control.send({"type": "failed", "error": from_exception(thrown).to_json()})
        # The server closes the channel when it has read the message, and that ends this process: exiting with an unread
        # message of the server's would discard our own last ones.
        await asyncio.sleep(READ_S)
        return 1
    runner.control.send({"type": "log", "level": "debug", "message": "the runner ends"})
    return 0


if __name__ == "__main__":
    guard_life()
    code = asyncio.run(main())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of author code must not keep the process alive.
    os._exit(code)
