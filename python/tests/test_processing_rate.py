from __future__ import annotations

from millrace_runner import ring
from millrace_runner.loop import ProcessingRate


def test_keeps_what_fits_while_the_pipeline_warms_up() -> None:
    rate = ProcessingRate()
    assert rate.backlog(0) == ring.SLOTS
    rate.add(0, 0.4)
    rate.add(0.4, 0.41)
    assert rate.backlog(0.9) == ring.SLOTS
    rate.idle(0.9)
    assert rate.backlog(1.1) == ring.SLOTS
    rate.idle(1.1)
    assert rate.backlog(1.1) == 6


def test_and_not_for_ever() -> None:
    rate = ProcessingRate()
    rate.add(0, 0.2)
    assert rate.backlog(2.9) == ring.SLOTS
    assert rate.backlog(3.1) == 0
    rate.reset()
    assert rate.backlog(3.1) == ring.SLOTS
