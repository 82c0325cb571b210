"""The frame ring; docs/frame-ring.md has the layout and the rules of reading and writing."""

from __future__ import annotations

import ctypes
import mmap
from dataclasses import dataclass
from typing import Optional

import numpy as np

MAGIC = 0x5246524D
VERSION = 1
SLOTS = 8
SLOT_BYTES = 3840 * 2160 * 4
PIXELS = 4096
REGION_BYTES = PIXELS + 2 * SLOTS * SLOT_BYTES
HEARTBEAT = 20
COUNTERS = {"input": 64, "output": 128}
RUNNER_COUNTERS = 192
WRITTEN, OVERWRITTEN, TAKEN, SKIPPED, STALE = range(5)
ACCEPTED, FAILED, QUEUED, QUEUE_LOST, PRODUCED, REFUSED = range(6)
FREE, WRITING, FILLED, READING = range(4)
FORMATS = ("yuv420p", "rgb24", "rgba", "gray")
SEQ_CST = 5


def _libatomic() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libatomic.so.1")
    except OSError as error:
        raise RuntimeError("Python pipelines need libatomic.so.1 (apt-get install libatomic1)") from error


class Region:
    """The shared memory, with atomic access to its 32-bit words (byte offsets)."""

    def __init__(self, fd: int) -> None:
        self._map = mmap.mmap(fd, REGION_BYTES)
        self.bytes = np.frombuffer(self._map, dtype=np.uint8)
        self._base = self.bytes.ctypes.data
        lib = _libatomic()
        self._load = lib.__getattr__("__atomic_load_4")
        self._store = lib.__getattr__("__atomic_store_4")
        self._add = lib.__getattr__("__atomic_fetch_add_4")
        self._cas = lib.__getattr__("__atomic_compare_exchange_4")
        pointer, number, order = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
        self._load.argtypes, self._load.restype = (pointer, order), number
        self._store.argtypes, self._store.restype = (pointer, number, order), None
        self._add.argtypes, self._add.restype = (pointer, number, order), number
        self._cas.argtypes = (pointer, ctypes.POINTER(number), number, order, order)
        self._cas.restype = ctypes.c_bool
        if self.load(0) != MAGIC or self.load(4) != VERSION:
            raise RuntimeError(f"frame memory has layout {self.load(4)}, this runner speaks {VERSION}")

    def load(self, offset: int) -> int:
        return int(self._load(self._base + offset, SEQ_CST))

    def store(self, offset: int, value: int) -> None:
        self._store(self._base + offset, value, SEQ_CST)

    def add(self, offset: int, by: int = 1) -> None:
        self._add(self._base + offset, by, SEQ_CST)

    def swap(self, offset: int, expected: int, value: int) -> bool:
        return bool(self._cas(self._base + offset, ctypes.byref(ctypes.c_uint32(expected)), value, SEQ_CST, SEQ_CST))

    def beat(self) -> None:
        self.add(HEARTBEAT)

    def count(self, what: int) -> None:
        self.add(RUNNER_COUNTERS + 4 * what)


@dataclass
class RawFrame:
    data: np.ndarray
    format: str
    width: int
    height: int
    pts: int


class Slot:
    def __init__(self, region: Region, index: int) -> None:
        self.state = 256 + 64 * index
        self.header = region.bytes[self.state : self.state + 64].view(np.int32)
        self.pts = region.bytes[self.state + 32 : self.state + 40].view(np.float64)
        start = PIXELS + index * SLOT_BYTES
        self.pixels = region.bytes[start : start + SLOT_BYTES]

    @property
    def seq(self) -> int:
        return int(self.header[1])


def is_before(seq: int, other: int) -> bool:
    """Sequence numbers wrap at 32 bits."""
    return ((seq - other + 2**31) % 2**32) - 2**31 < 0


class Ring:
    """One direction: input is read here, output written."""

    def __init__(self, region: Region, direction: str) -> None:
        first = 0 if direction == "input" else SLOTS
        self._region = region
        self._slots = [Slot(region, first + index) for index in range(SLOTS)]
        self._counters = COUNTERS[direction]
        self._seq = 0
        self._last: Optional[int] = None

    def _count(self, what: int) -> None:
        self._region.add(self._counters + 4 * what)

    def _filled(self) -> list[Slot]:
        filled = [slot for slot in self._slots if self._region.load(slot.state) == FILLED]
        if len(filled) < 2:
            return filled
        newest = filled[0].seq
        for slot in filled:
            newest = newest if is_before(slot.seq, newest) else slot.seq
        return sorted(filled, key=lambda slot: -((newest - slot.seq) % 2**32))

    def _free(self, slot: Slot, why: int) -> None:
        self._count(why)
        self._region.store(slot.state, FREE)

    def take_next(self, epoch: int, backlog: int) -> Optional[RawFrame]:
        while True:
            filled = self._filled()
            if not filled:
                return None
            oldest_first = len(filled) <= backlog
            slot = filled[0] if oldest_first else filled[-1]
            expected = slot.seq
            if not self._region.swap(slot.state, FILLED, READING):
                continue
            seq = slot.seq
            if self._last is not None and is_before(seq, self._last):
                self._free(slot, SKIPPED)
                continue
            if oldest_first and seq != expected:
                self._region.store(slot.state, FILLED)
                continue
            if int(slot.header[2]) != epoch:
                self._free(slot, STALE)
                continue
            if not oldest_first:
                for other in filled[:-1]:
                    self._pass_over(other, seq, epoch)
            self._last = seq
            _, _, _, code, width, height, size = (int(word) for word in slot.header[:7])
            pts = int(slot.pts[0])
            data = slot.pixels[:size].copy()
            self._free(slot, TAKEN)
            return RawFrame(data, FORMATS[code], width, height, pts)

    def _pass_over(self, slot: Slot, newest: int, epoch: int) -> None:
        if not self._region.swap(slot.state, FILLED, READING):
            return
        if not is_before(slot.seq, newest):
            self._region.store(slot.state, FILLED)
        else:
            self._free(slot, SKIPPED if int(slot.header[2]) == epoch else STALE)

    @property
    def full(self) -> bool:
        return all(self._region.load(slot.state) != FREE for slot in self._slots)

    def write(self, frame: RawFrame, epoch: int) -> None:
        slot = self._claim()
        self._count(WRITTEN)
        if slot is None:
            self._count(OVERWRITTEN)
            return
        size = frame.data.size
        slot.pixels[:size] = frame.data.reshape(-1)
        self._seq = (self._seq + 1 + 2**31) % 2**32 - 2**31
        slot.header[1:7] = (self._seq, epoch, FORMATS.index(frame.format), frame.width, frame.height, size)
        slot.pts[0] = frame.pts
        self._region.store(slot.state, FILLED)

    def _claim(self) -> Optional[Slot]:
        for _ in range(8):
            for slot in self._slots:
                if self._region.swap(slot.state, FREE, WRITING):
                    return slot
            for slot in self._filled():
                if self._region.swap(slot.state, FILLED, WRITING):
                    self._count(OVERWRITTEN)
                    return slot
        return None
