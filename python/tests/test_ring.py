"""Frames in memory that both sides share; the server's side is played by a ring of the same memory."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator

import numpy as np
import pytest

from millrace_runner import ring

EPOCH = 3


@pytest.fixture
def region() -> Iterator[ring.Region]:
    fd = os.memfd_create("frames") if hasattr(os, "memfd_create") else pytest.skip("no shared memory without a name")
    try:
        os.ftruncate(fd, ring.SHARED_BYTES)
        os.pwrite(fd, struct.pack("<II", ring.MAGIC, ring.VERSION), 0)
        yield ring.Region(fd)
    finally:
        os.close(fd)


def frame(number: int) -> ring.RawFrame:
    return ring.RawFrame(np.full(8 * 4, number, np.uint8), "gray", 8, 4, number * 3000)


def states(region: ring.Region) -> list[int]:
    return [region.load(256 + 64 * index) for index in range(ring.SLOTS)]


def counted(region: ring.Region, what: int) -> int:
    return region.load(ring.COUNTERS["input"] + 4 * what)


def take(reader: ring.Ring, backlog: int = 8) -> ring.RawFrame:
    taken = reader.take_next(EPOCH, backlog)
    assert taken is not None
    return taken


def test_a_frame_comes_as_it_was_written(region: ring.Region) -> None:
    writer, reader = ring.Ring(region, "input"), ring.Ring(region, "input")
    for number in (1, 2, 3):
        writer.write(frame(number), EPOCH)
    for number in (1, 2, 3):
        taken = take(reader)
        assert (taken.format, taken.width, taken.height, taken.pts) == ("gray", 8, 4, number * 3000)
        assert taken.data.tolist() == [number] * 32
    assert reader.take_next(EPOCH, 8) is None
    assert [counted(region, what) for what in (ring.WRITTEN, ring.TAKEN, ring.SKIPPED)] == [3, 3, 0]


def test_a_slot_is_the_authors_until_the_last_array_over_it_is_gone(region: ring.Region) -> None:
    writer, reader = ring.Ring(region, "input"), ring.Ring(region, "input")
    writer.write(frame(1), EPOCH)
    taken = take(reader)
    view = taken.data.reshape(4, 8)[1:]
    del taken
    assert states(region).count(ring.READING) == 1
    for number in range(2, 20):
        writer.write(frame(number), EPOCH)
    view[:] += 1
    assert view.tolist() == [[2] * 8] * 3
    other = threading.Thread(target=lambda rows: rows.pop(), args=([view],))
    del view
    other.start()
    other.join()
    del other
    assert ring.READING not in states(region)


def test_whoever_keeps_frames_gets_copies_and_whoever_lets_them_wait_too(region: ring.Region) -> None:
    writer, reader = ring.Ring(region, "input"), ring.Ring(region, "input")
    kept = []
    for number in range(12):
        writer.write(frame(number), EPOCH)
        kept.append(take(reader))
    assert states(region).count(ring.READING) == 1
    assert [one.data[0] for one in kept] == list(range(12))
    kept.clear()
    assert states(region) == [ring.FREE] * ring.SLOTS
    for number in range(12, 15):
        writer.write(frame(number), EPOCH)
    # A burst needs the room.
    first = take(reader)
    assert ring.READING not in states(region)
    assert first.data[0] == 12


def test_a_process_that_an_author_forks_gives_nothing_back(region: ring.Region) -> None:
    writer, reader = ring.Ring(region, "input"), ring.Ring(region, "input")
    writer.write(frame(1), EPOCH)
    taken = [take(reader)]
    child = os.fork()
    if child == 0:
        taken.clear()
        os._exit(0)
    os.waitpid(child, 0)
    assert states(region).count(ring.READING) == 1
    taken.clear()
    assert states(region).count(ring.READING) == 0


def test_the_newest_wins_and_an_earlier_epoch_counts_as_stale(region: ring.Region) -> None:
    writer, reader = ring.Ring(region, "input"), ring.Ring(region, "input")
    writer.write(frame(1), EPOCH - 1)
    for number in (2, 3, 4):
        writer.write(frame(number), EPOCH)
    assert take(reader, backlog=1).data[0] == 4
    assert [counted(region, what) for what in (ring.TAKEN, ring.SKIPPED, ring.STALE)] == [1, 2, 1]
    writer.write(frame(5), EPOCH)
    assert reader.take_next(EPOCH, 8, width=16, height=4) is None
    assert counted(region, ring.STALE) == 2
