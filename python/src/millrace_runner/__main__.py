"""`python -m millrace_runner MARK`: descriptors 3 control, 4 frame memory, 5 doorbell."""

from __future__ import annotations

import asyncio
import ctypes
import importlib.util
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


def guard_life() -> None:
    """Ties this process's life to the server's, also when author code blocks."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)
        try:
            with open("/proc/self/oom_score_adj", "w", encoding="ascii") as file:
                file.write("500")
        except OSError:
            pass


class LogHandler(logging.Handler):
    """`extra={"report_error": True}` makes a log line an error event."""

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
        self._loop: Any = None
        self._store: Any = None
        self._started: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()

    def _receive(self, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "start":
            self._started.set_result(message)
        elif kind == "stop":
            self.stop()
        elif self._loop is not None:
            if kind == "lease":
                self._loop.lease(message)
            elif kind == "release":
                self._loop.release(message)
            elif kind == "update":
                self._store.update(message["id"], message["mode"], message["value"])
                self._loop.wake()

    def stop(self) -> None:
        if self._loop is None:
            os._exit(0)
        self._loop.stop()
        # A pipeline that is busy, or hangs, is not waited for longer.
        asyncio.get_running_loop().call_later(STOP_S + 0.5, os._exit, 0)

    async def run(self) -> None:
        running = asyncio.get_running_loop()
        self.control.listen(running)
        running.add_signal_handler(signal.SIGTERM, self.stop)
        running.add_signal_handler(signal.SIGINT, lambda: None)
        start = await self._started
        os.environ.update({"MODEL_DIR": start["modelDir"], "PIPELINE": start["name"], "MODEL_ID": start["name"]})
        os.makedirs(start["modelDir"], exist_ok=True)
        errors = ErrorReports(self.control.send)
        logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(message)s")
        logging.getLogger().addHandler(LogHandler(errors))

        from .author import describe, load

        author = load(start["exportName"])
        initial = {**author.initial, **start["initial"]}
        description = describe(author, initial)
        if start["mode"] != "serve":
            self.control.send({"type": "imported", "description": description, "params": description["defaults"]})
            if start["mode"] == "prepare":
                prepared = author.pipeline.prepare_models()
                if inspect.isawaitable(prepared):
                    await prepared
            return
        if author.pipeline.input is None and importlib.util.find_spec("torch"):
            # Here, and not at the first frame whose tensor is read.
            importlib.import_module("torch")
        await self._serve(start, author, initial, description, errors)

    async def _serve(self, start: dict[str, Any], author: Any, initial: Any, description: Any, errors: Any) -> None:
        from . import ring
        from .loop import ProcessLoop
        from .params import ParamsStore

        region = ring.Region(FRAMES)
        params = {**author.initial, **start["params"]}
        store = ParamsStore(author.model, initial, params, start["revision"], self.control.send)
        pipeline = author.pipeline()
        pipeline.name = start["name"]
        loop = ProcessLoop(pipeline, store, region, DOORBELL, errors, self.control.send)
        asyncio.get_running_loop().set_exception_handler(
            lambda _, context: errors.report(
                "a task nobody waits for", context.get("exception") or RuntimeError(context["message"])
            )
        )
        self._store, self._loop = store, loop
        self.control.send({"type": "imported", "description": description, "params": store.in_force.value})
        await loop.run()
        stop = getattr(pipeline, "stop", None)
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
        return 1
    runner.control.send({"type": "log", "level": "debug", "message": "the runner ends"})
    return 0


if __name__ == "__main__":
    guard_life()
    code = asyncio.run(main())
    sys.stdout.flush()
    sys.stderr.flush()
    # Threads of author code do not keep the process.
    os._exit(code)
