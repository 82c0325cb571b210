"""Control messages: one JSON value per line on descriptor 3; src/pipeline/protocol.ts lists them."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
from collections.abc import Callable
from typing import Any

Message = dict[str, Any]


class Control:
    """Messages are sent complete and in order, from any thread; `on_end` is called when the server is gone."""

    def __init__(self, fd: int, on_message: Callable[[Message], None], on_end: Callable[[], None]) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(True)
        # Programs started by author code must not inherit the channel.
        os.set_inheritable(fd, False)
        self._on_message = on_message
        self._on_end = on_end
        self._rest = b""
        self._lock = threading.Lock()

    def listen(self, loop: asyncio.AbstractEventLoop) -> None:
        loop.add_reader(self._socket.fileno(), self._read)

    def send(self, message: Message) -> None:
        line = json.dumps(message, allow_nan=False, default=str).encode() + b"\n"
        with self._lock:
            view = memoryview(line)
            while view:
                try:
                    view = view[self._socket.send(view) :]
                except OSError:
                    return

    def _read(self) -> None:
        try:
            chunk = self._socket.recv(65536)
        except BlockingIOError:
            return
        except OSError:
            chunk = b""
        if not chunk:
            self._on_end()
            return
        *lines, self._rest = (self._rest + chunk).split(b"\n") if b"\n" in chunk else (self._rest + chunk,)
        for line in lines:
            self._on_message(json.loads(line))
