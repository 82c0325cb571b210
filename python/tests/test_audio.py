"""Audio pipelines, without a server."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from millrace_pipeline import AudioFrame, AudioOutput, AudioPipeline, Pipeline, define_pipeline
from millrace_pipeline.audio import in_pieces, spec_of, tone, whole_spec
from millrace_pipeline.testing import PipelineContract, audio_for, frames_for, run_pipeline

Half = define_pipeline(audio=lambda frame, params: frame.replace_data(frame.data / 2))


class TestHalf(PipelineContract):
    pipeline = Half


def test_a_function_is_enough() -> None:
    assert (Half.video, spec_of(Half, Pipeline)) == (False, {"mode": "process", "frame_ms": 20, "channels": 2})
    run = run_pipeline(Half, tone(3))
    assert run.errors == []
    assert [frame.pts for frame in run.audio] == [0, 1800, 3600]
    assert np.allclose(run.audio[0].data, next(tone(1)).data / 2)


def test_without_audio_there_is_none() -> None:
    assert spec_of(define_pipeline(load=lambda params, context: lambda frame, params: frame), Pipeline) is None


def test_a_model_may_work_on_both() -> None:
    both = define_pipeline(
        audio={"frame_ms": 10, "channels": 1},
        load=lambda params, context: {
            "process": lambda frame, params: frame,
            "audio": lambda frame, params: context.emit({"samples": len(frame.data)}, frame.pts),
        },
    )
    assert both.video
    run = run_pipeline(both, [*frames_for(both, 2), *audio_for(both, 2)])
    assert (len(run.outputs), len(run.audio), run.errors) == (2, 2, [])
    assert run.data == [({"samples": 480}, 0), ({"samples": 480}, 900)]


class Echo(AudioPipeline):
    async def put_audio_frame(self, frame: AudioFrame, request_id: str) -> None:
        for _ in "ab":
            self.give_audio(AudioOutput(frame, request_id))


def test_a_class_gives_what_it_likes() -> None:
    assert len(run_pipeline(Echo, tone(1)).audio) == 2


@pytest.mark.parametrize(
    ("data", "more", "why"),
    [
        (np.zeros((4, 3), np.float32), {}, "1 or 2 channels"),
        (np.zeros((0, 1), np.float32), {}, "1 or 2 channels"),
        (np.zeros((4, 1), np.int16), {}, "floats from -1 to 1"),
        (np.array([[np.nan]]), {}, "no numbers"),
        (np.zeros((480_001, 1), np.float32), {}, "at most 10"),
        (np.zeros((4, 1), np.float32), {"sample_rate": 44_100}, "sample_rate must be 48000"),
        (np.zeros((4, 1), np.float32), {"pts": 0.5}, "whole number"),
    ],
)
def test_what_is_no_audio_is_refused(data: Any, more: dict[str, Any], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        AudioFrame(data, **{"pts": 0, **more}).samples()


def test_one_channel_may_be_flat() -> None:
    assert AudioFrame(np.zeros(480), 0).samples().shape == (480, 1)


@pytest.mark.parametrize("given", [{"mode": "both"}, {"frame_ms": 30}, {"channels": 6}, {"rate": 48_000}])
def test_a_wrong_audio_is_told(given: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="audio: "):
        whole_spec(given)


def test_long_audio_goes_in_pieces() -> None:
    pieces = list(in_pieces(np.zeros((2000, 1), np.float32), 90, 960))
    assert [(piece.shape[0], pts) for piece, pts in pieces] == [(960, 90), (960, 1890), (80, 3690)]


def test_what_a_definition_lacks_is_told() -> None:
    with pytest.raises(TypeError, match="load, audio, or both"):
        define_pipeline()
