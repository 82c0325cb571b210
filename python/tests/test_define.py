import asyncio
from fractions import Fraction

import numpy as np
import pytest
from pydantic import Field, ValidationError

from millrace_pipeline import BaseParams, VideoFrame, define_pipeline
from millrace_pipeline.testing import PipelineContract, at_work, frames_for, run_pipeline


class FadeParams(BaseParams):
    amount: float = Field(default=1.0, ge=0, le=1)
    model: str = "a"


loads: list[str] = []


async def load(params, context):
    loads.append(f"{context.name} {params.model}")
    return {"process": lambda frame, params: frame.replace_data(np.round(frame.data * params.amount).astype(np.uint8))}


Fade = define_pipeline(
    params=FadeParams, load=load, description="Fades.", reload_when=lambda now, next_: now.model != next_.model
)


class TestFade(PipelineContract):
    pipeline = Fade
    change = {"amount": 0.5}


def test_process_gets_the_params_in_force():
    [frame] = frames_for(Fade, 1)
    for amount in (0.0, 0.25, 1.0):
        [output] = run_pipeline(Fade, [frame], {"amount": amount}).outputs
        np.testing.assert_array_equal(output.data, np.round(frame.data * amount))
        assert output.pts == frame.pts


def test_a_reload_loads_again_with_the_new_params():
    async def work():
        async with at_work(Fade, {"model": "b"}, name="fade-b") as tested:
            assert await tested.update({"amount": 0.5}) is False
            assert await tested.update({"model": "c"}) is True
            assert tested.pipeline._params.amount == 0.5

    asyncio.run(work())
    assert loads[-2:] == ["fade-b b", "fade-b c"]


def test_params_that_the_model_refuses_change_nothing():
    async def work():
        async with at_work(Fade) as tested:
            with pytest.raises(ValidationError, match="less than or equal to 1"):
                await tested.update({"amount": 2})
            assert tested.pipeline._params.amount == 1.0

    asyncio.run(work())


@pytest.mark.parametrize(
    ("made", "outputs"), [(lambda f: None, 0), (lambda f: [f, f], 2), (lambda f: [], 0), (lambda f: iter([f]), 1)]
)
def test_process_gives_none_one_or_several(made, outputs):
    pipeline = define_pipeline(load=lambda params, context: lambda frame, params: made(frame))
    run = run_pipeline(pipeline, frames_for(pipeline, 1))
    assert run.errors == []
    assert len(run.outputs) == outputs


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (lambda f: f.data, "must return a VideoFrame"),
        (lambda f: 7, "must return a VideoFrame"),
        (lambda f: [f, f.replace_data(f.data[0])], "must be"),
        (lambda f: f.replace_data(f.data.astype(np.float32)), "uint8"),
    ],
)
def test_what_is_no_frame_is_an_error_and_nothing_goes_out(made, reason):
    pipeline = define_pipeline(load=lambda params, context: lambda frame, params: made(frame))
    run = run_pipeline(pipeline, frames_for(pipeline, 1))
    assert run.outputs == []
    assert reason in str(run.errors[0])


def test_a_frame_without_pixels_can_be_made():
    assert VideoFrame(None, 0, 0).tensor is None


def test_what_is_said_beside_the_video_goes_with_the_time_of_its_frame():
    def load(params, context):
        def process(frame, params):
            context.emit({"mean": frame.data.mean()}, frame.pts)
            return frame

        return process

    pipeline = define_pipeline(load=load)
    run = run_pipeline(pipeline, [VideoFrame(None, 3000, Fraction(1, 90_000), data=np.full((4, 4, 3), 9, np.uint8))])
    assert run.data == [({"mean": 9.0}, 3000)]
