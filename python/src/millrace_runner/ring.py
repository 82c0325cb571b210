"""The frame ring; docs/frame-ring.md specifies its layout and rules."""

from __future__ import annotations

import ctypes
import mmap
import os
import struct
import weakref
from collections.abc import Callable
from dataclasses import dataclass
from typing import Optional

import numpy as np

MAGIC = 0x5246524D
VERSION = 3
SLOTS = 8
SLOT_BYTES = 3840 * 3840 * 4
PIXELS = 4096
REGION_BYTES = PIXELS + 2 * SLOTS * SLOT_BYTES
#: Includes the audio queues behind the pixels.
SHARED_BYTES = REGION_BYTES + 4096 + 2 * 256 * (64 + 960 * 2 * 4)
HEARTBEAT = 20
WORKING = 24
COUNTERS = {"input": 64, "output": 128}
RUNNER_COUNTERS = 192
WRITTEN, OVERWRITTEN, TAKEN, SKIPPED, STALE = range(5)
ACCEPTED, FAILED, QUEUED, QUEUE_LOST, PRODUCED, REFUSED = range(6)
FREE, WRITING, FILLED, READING = range(4)
#: Of a slot, behind its state: sequence number, epoch, format, width, height, bytes, and the time.
HEADER = struct.Struct("<6i4xd")
FORMATS = ("yuv420p", "rgb24", "rgba", "gray")
SEQ_CST = 5


def _libatomic() -> ctypes.CDLL:
    try:
        return ctypes.CDLL("libatomic.so.1")
    except OSError as error:
        raise RuntimeError("Python pipelines need libatomic.so.1 (apt-get install libatomic1)") from error


class Region:
    """The shared memory, by byte offsets. What the other side writes too is read and written atomically."""

    def __init__(self, fd: int) -> None:
        self.memory = mmap.mmap(fd, SHARED_BYTES)
        self.bytes = np.frombuffer(self.memory, dtype=np.uint8)
        #: For what this side alone writes, and to see where an atomic access is worth its price, which is a call of C.
        self.words = memoryview(self.memory).cast("I")
        self.address: int = self.bytes.ctypes.data
        self.pid = os.getpid()
        lib = _libatomic()
        self._load = lib.__getattr__("__atomic_load_4")
        self._store = lib.__getattr__("__atomic_store_4")
        self._cas = lib.__getattr__("__atomic_compare_exchange_4")
        pointer, number, order = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int
        self._load.argtypes, self._load.restype = (pointer, order), number
        self._store.argtypes, self._store.restype = (pointer, number, order), None
        self._cas.argtypes = (pointer, ctypes.POINTER(number), number, order, order)
        self._cas.restype = ctypes.c_bool
        self._expected = number()
        self._expected_at = ctypes.byref(self._expected)
        if self.load(0) != MAGIC or self.load(4) != VERSION:
            raise RuntimeError(f"frame memory has layout {self.load(4)}, this runner speaks {VERSION}")

    def load(self, offset: int) -> int:
        return int(self._load(self.address + offset, SEQ_CST))

    def store(self, offset: int, value: int) -> None:
        self._store(self.address + offset, value, SEQ_CST)

    def swap(self, offset: int, expected: int, value: int) -> bool:
        self._expected.value = expected
        return bool(self._cas(self.address + offset, self._expected_at, value, SEQ_CST, SEQ_CST))

    def add(self, offset: int, by: int = 1) -> None:
        """To a counter that this side alone changes."""
        self.words[offset >> 2] = (self.words[offset >> 2] + by) & 0xFFFFFFFF

    def beat(self) -> None:
        self.add(HEARTBEAT)

    def working(self, inside: bool) -> None:
        """Mark a frame of this stream as being in author code, in a process that several streams share."""
        self.store(WORKING, int(inside))

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
        self.header = self.state + 4
        self._words = region.words
        start = PIXELS + index * SLOT_BYTES
        self.address = region.address + start
        self.pixels = region.bytes[start : start + SLOT_BYTES]

    @property
    def looks(self) -> int:
        """Its state as it seems; only a swap tells for certain."""
        return self._words[self.state >> 2]

    @property
    def seq(self) -> int:
        return self._words[self.header >> 2]

    @property
    def epoch(self) -> int:
        return self._words[(self.header >> 2) + 1]


class Lent:
    """Pixels of a slot, lent to an author. The writer gets the slot back when the last array over them is gone."""

    def __init__(self, region: Region, slot: Slot, size: int) -> None:
        self._region = region
        self._state = slot.state
        self.__array_interface__ = {"version": 3, "shape": (size,), "typestr": "|u1", "data": (slot.address, False)}

    def __del__(self) -> None:
        # Runs in any thread, and must do nothing in a process that an author forked.
        if os.getpid() == self._region.pid:
            self._region.store(self._state, FREE)


def is_before(seq: int, other: int) -> bool:
    """Return whether `seq` precedes `other`; sequence numbers wrap at 32 bits."""
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
        self._lent: Callable[[], Optional[Lent]] = lambda: None

    def _count(self, what: int) -> None:
        self._region.add(self._counters + 4 * what)

    def _filled(self) -> list[Slot]:
        filled = [slot for slot in self._slots if slot.looks == FILLED]
        if len(filled) < 2:
            return filled
        newest = filled[0].seq
        for slot in filled:
            newest = newest if is_before(slot.seq, newest) else slot.seq
        return sorted(filled, key=lambda slot: -((newest - slot.seq) % 2**32))

    def _free(self, slot: Slot, why: int) -> None:
        self._count(why)
        self._region.store(slot.state, FREE)

    def take_next(
        self, epoch: int, backlog: int, width: Optional[int] = None, height: Optional[int] = None
    ) -> Optional[RawFrame]:
        """Take the next frame. Frames of another epoch, or of a resolution other than `width` and `height`, are freed
        and counted."""
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
            _, of, code, wide, high, size, pts = HEADER.unpack_from(self._region.memory, slot.header)
            if of != epoch or (width is not None and wide != width) or (height is not None and high != height):
                self._free(slot, STALE)
                continue
            if not oldest_first:
                for other in filled[:-1]:
                    self._pass_over(other, seq, epoch)
            self._last = seq
            self._count(TAKEN)
            # The copy costs more than all else here. One slot can be spared for the author, but not in a burst.
            if len(filled) == 1 and self._lent() is None:
                data = self._lend(slot, size)
            else:
                data = slot.pixels[:size].copy()
                self._region.store(slot.state, FREE)
            return RawFrame(data, FORMATS[code], wide, high, int(pts))

    def _lend(self, slot: Slot, size: int) -> np.ndarray:
        lent = Lent(self._region, slot, size)
        self._lent = weakref.ref(lent)
        return np.asarray(lent)

    def _pass_over(self, slot: Slot, newest: int, epoch: int) -> None:
        if not self._region.swap(slot.state, FILLED, READING):
            return
        if not is_before(slot.seq, newest):
            self._region.store(slot.state, FILLED)
        else:
            self._free(slot, SKIPPED if slot.epoch == epoch else STALE)

    @property
    def full(self) -> bool:
        return all(slot.looks != FREE for slot in self._slots)

    def write(self, frame: RawFrame, epoch: int) -> None:
        slot = self._claim()
        self._count(WRITTEN)
        if slot is None:
            self._count(OVERWRITTEN)
            return
        size = frame.data.size
        slot.pixels[:size] = frame.data.reshape(-1)
        self._seq = (self._seq + 1 + 2**31) % 2**32 - 2**31
        fields = (self._seq, epoch, FORMATS.index(frame.format), frame.width, frame.height, size, frame.pts)
        HEADER.pack_into(self._region.memory, slot.header, *fields)
        self._region.store(slot.state, FILLED)

    def _claim(self) -> Optional[Slot]:
        for _ in range(8):
            for slot in self._slots:
                if slot.looks == FREE and self._region.swap(slot.state, FREE, WRITING):
                    return slot
            for slot in self._filled():
                if self._region.swap(slot.state, FILLED, WRITING):
                    self._count(OVERWRITTEN)
                    return slot
        return None
