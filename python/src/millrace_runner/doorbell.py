"""One socket on which a byte means: look at the memory. All streams of the process share it."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable


class Doorbell:
    def __init__(self, fd: int) -> None:
        self._socket = socket.socket(fileno=fd)
        self._socket.setblocking(False)
        os.set_inheritable(fd, False)
        self._listeners: list[Callable[[], None]] = []

    def listen(self, listener: Callable[[], None]) -> None:
        if not self._listeners:
            asyncio.get_running_loop().add_reader(self._socket.fileno(), self._rung)
        self._listeners.append(listener)

    def forget(self, listener: Callable[[], None]) -> None:
        with contextlib.suppress(ValueError):
            self._listeners.remove(listener)
        if not self._listeners:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())

    def ring(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.send(b"\1")

    def _rung(self) -> None:
        try:
            if not self._socket.recv(4096):
                asyncio.get_running_loop().remove_reader(self._socket.fileno())
        except OSError:
            pass
        for listener in self._listeners:
            listener()
