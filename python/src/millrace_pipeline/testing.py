"""Runs a pipeline without a server, treated as by the runner; and a test class that every pipeline should pass."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, Optional, Union

import numpy as np

from .audio import AudioFrame, AudioOutput, spec_of, tone
from .frames import VideoFrame, VideoOutput, shape_of
from .pipeline import Pipeline

Values = dict[str, Any]
REQUEST = "test-request"
TIME_BASE = Fraction(1, 90_000)


@dataclass
class PipelineRun:
    #: In order of arrival.
    outputs: list[VideoFrame] = field(default_factory=list)
    #: Output audio, in order of arrival.
    audio: list[AudioFrame] = field(default_factory=list)
    #: Errors raised by put and get methods; the frame is dropped, as in the server.
    errors: list[BaseException] = field(default_factory=list)
    #: Emitted data, each with the `pts` of its frame.
    data: list[tuple[Any, int]] = field(default_factory=list)


def frames_for(
    pipeline: type[Pipeline], count: int = 8, width: Optional[int] = None, height: Optional[int] = None
) -> Iterator[VideoFrame]:
    """Yield frames of noise in a pipeline's input format, 30 per second; 128 x 96 unless it, or an argument, says
    otherwise."""
    wanted = pipeline.input or {}
    format = wanted.get("format", "rgb24")
    shape = shape_of(format, width or wanted.get("width", 128), height or wanted.get("height", 96))
    for number in range(count):
        data = np.random.default_rng(number).integers(0, 256, shape, dtype=np.uint8)
        yield VideoFrame(None, number * 3000, TIME_BASE, data=data, format=format)


def audio_for(pipeline: type[Pipeline], count: int = 8, **options: Any) -> Iterator[AudioFrame]:
    """Yield a tone in a pipeline's audio format, nothing if it takes no audio; `options` are those of
    `millrace_pipeline.audio.tone`."""
    spec = spec_of(pipeline, Pipeline)
    if spec is not None and spec["mode"] != "give":
        yield from tone(count, **{"frame_ms": spec["frame_ms"], "channels": spec["channels"], **options})


def run_pipeline(
    pipeline: type[Pipeline],
    frames: Iterable[Union[VideoFrame, AudioFrame]],
    params: Optional[Values] = None,
    *,
    name: str = "test",
    model_dir: Optional[str] = None,
    settle_s: float = 0.1,
) -> PipelineRun:
    """Load a pipeline, give it video or audio frames one after the other, collect outputs until none came for
    `settle_s` seconds, and stop it. Raises the errors of loading and stopping, and ValidationError for params that it
    refuses."""

    async def work() -> PipelineRun:
        async with at_work(pipeline, params, name=name, model_dir=model_dir) as tested:
            await tested.put_all(frames)
            await tested.settled(settle_s)
            return tested.run

    return asyncio.run(work())


@asynccontextmanager
async def at_work(
    pipeline: type[Pipeline], params: Optional[Values] = None, *, name: str = "test", model_dir: Optional[str] = None
) -> AsyncIterator[TestedPipeline]:
    """A loaded pipeline, stopped at the end."""
    given = params or {}
    pipeline.check_params(pipeline.Params.model_validate(given))
    before = {key: os.environ.get(key) for key in ("MODEL_DIR", "PIPELINE", "MODEL_ID")}
    named = pipeline.name
    with TemporaryDirectory() as folder:
        os.environ.update({"MODEL_DIR": model_dir or folder, "PIPELINE": name, "MODEL_ID": name})
        pipeline.name = name
        tested = TestedPipeline(pipeline(), given)
        try:
            await tested.pipeline.initialize(**given)
            taking = [asyncio.create_task(tested.take_outputs()), asyncio.create_task(tested.take_audio())]
            try:
                yield tested
            finally:
                for task in taking:
                    task.cancel()
        finally:
            stop = getattr(tested.pipeline, "stop", None)
            if stop is not None:
                await stop()
            pipeline.name = named
            for key, value in before.items():
                os.environ.pop(key, None) if value is None else os.environ.update({key: value})


class TestedPipeline:
    __test__ = False

    def __init__(self, pipeline: Pipeline, given: Values) -> None:
        self.pipeline = pipeline
        self.run = PipelineRun()
        pipeline._emit = lambda value, pts: self.run.data.append((value, pts))
        self._given = given

    async def put(self, frame: VideoFrame) -> None:
        """Give it a copy of a frame; an error is added to `run.errors`."""
        own = frame.replace_data(frame.data.copy())
        try:
            await self.pipeline.put_video_frame(own, REQUEST)
        except Exception as thrown:
            self.run.errors.append(thrown)
        await asyncio.sleep(0)

    async def put_audio(self, frame: AudioFrame) -> None:
        """Give it a copy of an audio frame; an error is added to `run.errors`."""
        try:
            await self.pipeline.put_audio_frame(frame.replace_data(frame.data.copy()), REQUEST)
        except Exception as thrown:
            self.run.errors.append(thrown)
        await asyncio.sleep(0)

    async def put_all(self, frames: Iterable[Union[VideoFrame, AudioFrame]]) -> None:
        for frame in frames:
            if isinstance(frame, AudioFrame):
                await self.put_audio(frame)
            else:
                await self.put(frame)

    async def update(self, values: Values) -> bool:
        """Merge values into the params; return True if the pipeline reloaded. Raises and changes nothing if the model
        or the pipeline refuses them."""
        given = {**self._given, **values}
        type(self.pipeline).Params.model_validate(given)
        reload = await self.pipeline.update_params(**given)
        if reload is not None:
            await reload
        self._given = given
        return reload is not None

    async def settled(self, seconds: float = 0.1) -> None:
        """Return when no output has come for `seconds`."""
        seen = -1
        while seen != len(self.run.outputs) + len(self.run.audio):
            seen = len(self.run.outputs) + len(self.run.audio)
            await asyncio.sleep(seconds)

    async def take_outputs(self) -> None:
        while True:
            try:
                output = await self.pipeline.get_processed_video_frame()
                if not isinstance(output, VideoOutput):
                    raise TypeError(f"get_processed_video_frame must give a VideoOutput, not {type(output).__name__}")
                if output.request_id != REQUEST:
                    raise ValueError(f"output of request {output.request_id}, which is not running")
                output.frame.pixels()
                self.run.outputs.append(output.frame)
            except Exception as thrown:
                self.run.errors.append(thrown)
            await asyncio.sleep(0)

    async def take_audio(self) -> None:
        while True:
            try:
                output = await self.pipeline.get_processed_audio_frame()
                if not isinstance(output, AudioOutput):
                    raise TypeError(f"get_processed_audio_frame must give an AudioOutput, not {type(output).__name__}")
                if output.request_id != REQUEST:
                    raise ValueError(f"output of request {output.request_id}, which is not running")
                output.frame.samples()
                self.run.audio.append(output.frame)
            except Exception as thrown:
                self.run.errors.append(thrown)
            await asyncio.sleep(0)


class PipelineContract:
    """What the server expects of every pipeline, for pytest::

    class TestContract(PipelineContract):
        pipeline = MyPipeline
        change = {"strength": 0.2}
    """

    pipeline: ClassVar[type[Pipeline]]
    #: Initial params of every case, for pipelines that need some.
    params: ClassVar[Values] = {}
    #: A change of params that the pipeline accepts.
    change: ClassVar[Values] = {}
    #: Frames given in each case, and the minimum number of outputs.
    frames: ClassVar[int] = 8
    min_outputs: ClassVar[int] = 8
    #: How long stopping may take before the server kills the process.
    stop_s: ClassVar[float] = 2.0

    def _run(self, **size: int) -> PipelineRun:
        run = run_pipeline(self.pipeline, self._inputs(**size), self.params)
        assert run.errors == []
        if self.pipeline.video:
            assert len(run.outputs) >= self.min_outputs, f"{len(run.outputs)} outputs of {self.frames} frames"
        return run

    def _inputs(self, **size: int) -> Iterator[Union[VideoFrame, AudioFrame]]:
        if self.pipeline.video:
            yield from frames_for(self.pipeline, self.frames, **size)
        else:
            yield from audio_for(self.pipeline, self.frames)

    def test_params_are_described(self) -> None:
        properties = self.pipeline.Params.model_json_schema()["properties"]
        assert {"width", "height", "show_reloading_frame"} <= set(properties), "Params must extend BaseParams"

    def test_frames_come_out_with_their_time(self) -> None:
        times = [frame.pts for frame in self._run().outputs]
        assert times == sorted(times)
        assert set(times) <= {number * 3000 for number in range(self.frames)}

    def test_audio_comes_out_with_its_time(self) -> None:
        run = run_pipeline(self.pipeline, audio_for(self.pipeline, self.frames), self.params)
        assert run.errors == []
        times = [frame.pts for frame in run.audio]
        assert times == sorted(set(times))

    def test_streams_of_several_sizes_follow_each_other(self) -> None:
        for width, height in ((64, 64), (192, 128)):
            self._run(width=width, height=height)

    def test_two_of_them_share_nothing(self) -> None:
        async def work() -> None:
            async with at_work(self.pipeline, self.params) as one, at_work(self.pipeline, self.params) as other:
                await one.put_all(self._inputs())
                await one.settled()
                assert other.run.outputs == [] and other.run.audio == []

        asyncio.run(work())

    def test_a_change_of_params_is_applied(self) -> None:
        async def work() -> None:
            async with at_work(self.pipeline, self.params) as tested:
                await tested.update(self.change)
                await tested.put_all(self._inputs())
                await tested.settled()
                assert tested.run.errors == []
                assert not self.pipeline.video or len(tested.run.outputs) >= self.min_outputs

        asyncio.run(work())

    def test_it_stops_in_time(self) -> None:
        async def work() -> float:
            async with at_work(self.pipeline, self.params) as tested:
                await tested.put_all(self._inputs())
                began = time.monotonic()
            return time.monotonic() - began

        assert asyncio.run(work()) < self.stop_s
