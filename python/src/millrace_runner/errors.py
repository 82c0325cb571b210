"""Errors in the server's form, and reports of what author code raises."""

from __future__ import annotations

import importlib.util
import os
import sysconfig
import time
import traceback
from collections.abc import Callable
from typing import Any, Optional

from pydantic import ValidationError

Issue = dict[str, Any]
INTERVAL_S = 1.0
MAX_CAUSES = 4
MAX_LINES = 20
#: Folder of this SDK and its runner.
_OURS = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "")
_STDLIB = os.path.join(sysconfig.get_paths()["stdlib"], "")
#: Path prefixes of author code.
_author: tuple[str, ...] = ()


class RunnerError(Exception):
    """`code` is one of the server's error codes."""

    def __init__(
        self, code: str, message: str, issues: Optional[list[Issue]] = None, stack: Optional[list[str]] = None
    ) -> None:
        super().__init__(message)
        self.code = code
        self.issues = issues
        self.stack = stack

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"code": self.code, "message": str(self), "retryable": False}
        if self.issues:
            value["issues"] = self.issues
        if self.stack:
            value["details"] = {"stack": self.stack}
        return value


def invalid_params(issues: list[Issue]) -> RunnerError:
    text = "; ".join(f"{'.'.join(map(str, i['path'])) or 'params'}: {i['message']}" for i in issues)
    return RunnerError("invalid-params", f"params are not valid: {text}", issues)


def from_validation(error: ValidationError) -> RunnerError:
    return invalid_params([{"path": list(one["loc"]), "message": one["msg"]} for one in error.errors()])


def from_exception(thrown: BaseException) -> RunnerError:
    if isinstance(thrown, RunnerError):
        return thrown
    return RunnerError("pipeline-failed", describe(thrown), stack=author_stack(thrown))


def describe(thrown: BaseException) -> str:
    """The error, the author's line that raised it, and its causes, in one line."""
    parts: list[str] = []
    error: Optional[BaseException] = thrown
    while error is not None and len(parts) < MAX_CAUSES:
        parts.append(_in_one_line(error))
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    return "; caused by ".join(parts)[:2000]


def _in_one_line(thrown: BaseException) -> str:
    try:
        message = thrown.msg if isinstance(thrown, SyntaxError) else str(thrown)
    except Exception:
        message = "its message cannot be read"
    stack = author_stack(thrown)
    where = f" ({stack[0].rpartition('(')[2]}" if stack else ""
    return f"{type(thrown).__name__}: {message}{where}"


def set_author(module: str) -> None:
    """Make the package that holds this module the author's. Does not import it."""
    global _author
    try:
        spec = importlib.util.find_spec(module.partition(".")[0])
    except (ImportError, ValueError):
        return
    if spec is None:
        return
    folders = list(spec.submodule_search_locations or [])
    _author = tuple(os.path.join(folder, "") for folder in folders) if folders else (spec.origin or "",)


def author_stack(thrown: BaseException) -> list[str]:
    """Lines of the author's package, the raising line first, as `at load (/app/my_pipeline/pipeline.py:12)`, without
    those of libraries, Python and the SDK; if there are none, those of libraries."""
    places = [(one.name, one.filename, one.lineno) for one in reversed(traceback.extract_tb(thrown.__traceback__))]
    if isinstance(thrown, SyntaxError) and thrown.filename:
        places.insert(0, ("<module>", thrown.filename, thrown.lineno))
    places = [place for place in places if not place[1].startswith(_OURS)]
    own = [place for place in places if _author and place[1].startswith(_author)]
    theirs = [place for place in places if not place[1].startswith(("<frozen", _STDLIB))]
    return [f"at {name} ({file}:{line})" for name, file, line in (own or theirs)[:MAX_LINES]]


class ErrorReports:
    """Exceptions of author code: at most one message per second for each place that raises."""

    def __init__(self, send: Callable[[dict[str, Any]], None]) -> None:
        self._send = send
        self._open: dict[str, tuple[float, int, dict[str, Any]]] = {}

    def report(self, during: str, thrown: BaseException) -> None:
        stack = author_stack(thrown)
        # The exception itself would keep everything in its frames alive.
        error = {"message": describe(thrown), **({"stack": stack} if stack else {})}
        now = time.monotonic()
        since, held, _ = self._open.get(during, (now - INTERVAL_S, 0, error))
        if now - since >= INTERVAL_S:
            self._send({"type": "error", **error, "during": during, "count": held + 1})
            self._open[during] = (now, 0, error)
        else:
            self._open[during] = (since, held + 1, error)

    def flush(self) -> None:
        """Send held-back reports; called regularly."""
        now = time.monotonic()
        for during, (since, held, error) in self._open.items():
            if held and now - since >= INTERVAL_S:
                self._send({"type": "error", **error, "during": during, "count": held})
                self._open[during] = (now, 0, error)
