"""Errors as the server reads them, and reports of what author code throws."""

from __future__ import annotations

import time
import traceback
from typing import Any, Callable, Optional

from pydantic import ValidationError

Issue = dict[str, Any]
INTERVAL_S = 1.0


class RunnerError(Exception):
    """`code` is one of the server's error codes."""

    def __init__(self, code: str, message: str, issues: Optional[list[Issue]] = None, stack: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.issues = issues
        self.stack = stack

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"code": self.code, "message": str(self), "retryable": False}
        if self.issues:
            value["issues"] = self.issues
        if self.stack:
            value["details"] = {"stack": self.stack.splitlines()[-20:]}
        return value


def invalid_params(issues: list[Issue]) -> RunnerError:
    text = "; ".join(f"{'.'.join(map(str, i['path'])) or 'params'}: {i['message']}" for i in issues)
    return RunnerError("invalid-params", f"params are not valid: {text}", issues)


def from_validation(error: ValidationError) -> RunnerError:
    return invalid_params([{"path": list(one["loc"]), "message": one["msg"]} for one in error.errors()])


def from_exception(thrown: BaseException) -> RunnerError:
    if isinstance(thrown, RunnerError):
        return thrown
    stack = "".join(traceback.format_exception(thrown))
    return RunnerError("pipeline-failed", describe(thrown), stack=stack)


def describe(thrown: BaseException) -> str:
    """The error and where it was thrown, in one line."""
    frames = traceback.extract_tb(thrown.__traceback__)
    where = f" ({frames[-1].filename}:{frames[-1].lineno})" if frames else ""
    return f"{type(thrown).__name__}: {thrown}{where}"[:2000]


class ErrorReports:
    """Exceptions of author code: at most one message a second for each place they come from."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._open: dict[str, tuple[float, int, str]] = {}

    def report(self, during: str, thrown: BaseException) -> None:
        message = describe(thrown)
        now = time.monotonic()
        since, held, _ = self._open.get(during, (now - INTERVAL_S, 0, ""))
        if now - since >= INTERVAL_S:
            self._send({"type": "error", "message": message, "during": during, "count": held + 1})
            self._open[during] = (now, 0, message)
        else:
            self._open[during] = (since, held + 1, message)

    def flush(self) -> None:
        """Called now and then: tells what was held back."""
        now = time.monotonic()
        for during, (since, held, message) in self._open.items():
            if held and now - since >= INTERVAL_S:
                self._send({"type": "error", "message": message, "during": during, "count": held})
                self._open[during] = (now, 0, message)
