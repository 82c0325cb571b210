"""Batches of several streams for one model."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from millrace_pipeline import BaseParams, BatchItem, Pipeline, VideoFrame, define_pipeline
from millrace_runner.author import Author
from millrace_runner.errors import RunnerError
from millrace_runner.shared import Batcher, SharedModel, check_streams


class Params(BaseParams):
    model: str = "small"


def item(name: str) -> BatchItem:
    frame = VideoFrame(None, 0, 1, data=np.zeros((2, 2, 3), np.uint8))
    return BatchItem(frame, Params(), name, lambda value: None)


def batcher(process: Any, hung: list[int]) -> Batcher:
    return Batcher(process, lambda seat, inside: None, hung.append)


def test_what_waits_goes_in_one_batch() -> None:
    batches: list[list[str]] = []

    async def process(items: list[BatchItem]) -> list[str]:
        batches.append([one.request_id for one in items])
        return [one.request_id.upper() for one in items]

    async def main() -> None:
        batch = batcher(process, [])
        made = await asyncio.gather(*(batch.process(seat, item(name)) for seat, name in enumerate("abc")))
        assert made == ["A", "B", "C"]

    asyncio.run(main())
    assert batches == [["a", "b", "c"]]


def test_a_stream_whose_frame_fails_loses_it_alone_and_is_called_by_itself() -> None:
    batches: list[list[str]] = []

    def process(items: list[BatchItem]) -> list[str]:
        names = [one.request_id for one in items]
        batches.append(names)
        if "bad" in names:
            raise ValueError("no")
        return names

    async def main() -> None:
        batch = batcher(process, [])
        for _ in range(2):
            made = await asyncio.gather(
                *(batch.process(seat, item(name)) for seat, name in enumerate(("a", "bad", "c"))),
                return_exceptions=True,
            )
            assert [made[0], made[2]] == ["a", "c"]
            assert isinstance(made[1], ValueError)

    asyncio.run(main())
    assert batches[:4] == [["a", "bad", "c"], ["a"], ["bad"], ["c"]]
    assert sorted(batches[4:]) == [["a", "c"], ["bad"]]


def test_results_must_be_as_many_as_frames() -> None:
    async def main() -> None:
        with pytest.raises(TypeError, match="must give 1 results"):
            await batcher(lambda items: [], []).process(0, item("a"))

    asyncio.run(main())


def test_a_stream_that_is_over_waits_for_nothing() -> None:
    async def main() -> None:
        batch = batcher(lambda items: [None for _ in items], [])
        waiting = asyncio.ensure_future(batch.process(0, item("a")))
        await asyncio.sleep(0)
        batch.forget(0)
        with pytest.raises(RuntimeError, match="over"):
            await waiting

    asyncio.run(main())


def test_others_do_not_wait_for_a_frame_that_comes_to_no_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("millrace_runner.shared.FIRST_S", 0.05)
    monkeypatch.setattr("millrace_runner.shared.HANG_S", 60.0)
    batches: list[list[str]] = []

    async def process(items: list[BatchItem]) -> list[str]:
        names = [one.request_id for one in items]
        batches.append(names)
        if "bad" in names:
            await asyncio.Event().wait()
        return names

    async def main() -> None:
        hung: list[int] = []
        batch = batcher(process, hung)
        names = list(enumerate(("bad", "a")))
        made = await asyncio.gather(*(batch.process(seat, item(name)) for seat, name in names), return_exceptions=True)
        assert [type(one) for one in made] == [TimeoutError, TimeoutError]
        guilty, other = (asyncio.ensure_future(batch.process(seat, item(name))) for seat, name in names)
        assert await other == "a"
        assert batches[1:] == [["bad"], ["a"]]
        assert not guilty.done()
        with pytest.raises(TimeoutError):
            await guilty
        assert hung == [0]

    asyncio.run(main())


def test_params_that_need_another_model_are_refused() -> None:
    Shared = define_pipeline(
        params=Params,
        streams=2,
        reload_when=lambda now, next: now.model != next.model,
        load=lambda params, context: {"process_batch": lambda items: [one.frame for one in items]},
    )
    author = Author(Shared, Params, {})
    assert check_streams(author) == 2
    model = SharedModel(author, {}, lambda seat, inside: None, lambda seat: None)
    model.check_params(Params())
    with pytest.raises(RunnerError, match="another model"):
        model.check_params(Params(model="large"))


def test_a_class_needs_no_more_than_process_batch() -> None:
    class Batched(Pipeline):
        Params = Params
        streams = 2

        async def initialize(self, **params: Any) -> None:
            self.loaded = True

        async def process_batch(self, items: list[BatchItem]) -> list[Any]:  # type: ignore[override]
            return [one.frame for one in items if self.loaded]

    async def main() -> None:
        model = SharedModel(Author(Batched, Params, {}), {}, lambda seat, inside: None, lambda seat: None)
        await model.load()
        one = item("a")
        assert await model.batcher.process(0, one) is one.frame
        with pytest.raises(TypeError, match="items of process_batch"):
            model.pipeline.emit({}, 0)

    asyncio.run(main())


def test_a_number_of_streams_that_is_none_is_named() -> None:
    Shared = define_pipeline(load=lambda params, context: lambda frame, params: frame, streams=0)
    with pytest.raises(RunnerError, match="from 1 to 64, not 0"):
        check_streams(Author(Shared, Params, {}))
