"""Uses text drawn by OpenCV."""

import asyncio

import cv2
import numpy as np
import pytest
from millrace_pipeline import VideoFrame
from millrace_pipeline.testing import PipelineContract, at_work, run_pipeline
from reader.pipeline import COLOUR, Reader


class TestContract(PipelineContract):
    pipeline = Reader
    change = {"draw": False}


def written(*lines: str) -> np.ndarray:
    picture = np.full((360, 640, 3), 255, np.uint8)
    for number, line in enumerate(lines):
        cv2.putText(picture, line, (40, 100 + 100 * number), cv2.FONT_HERSHEY_SIMPLEX, 1.6, (20, 20, 20), 3, cv2.LINE_AA)
    return picture


def read(picture: np.ndarray, **params):
    run = run_pipeline(Reader, [VideoFrame(None, 2, 1, data=picture)], params, settle_s=1.0)
    assert run.errors == []
    return run


def test_lines_are_told_with_the_time_of_the_frame_that_was_read():
    [(value, pts)] = read(written("MILLRACE", "Platform 42")).data
    assert pts == 2 * 90_000
    assert value["text"].split("\n") == ["MILLRACE", "Platform 42"]
    left, top = value["polygons"][0]["points"][0]
    right, bottom = value["polygons"][0]["points"][2]
    assert 20 < left < 50 < right < 400
    assert 30 < top < 65 < 95 < bottom < 120


def test_a_picture_without_text_says_so():
    assert read(np.full((360, 640, 3), 90, np.uint8)).data == [({"polygons": [], "text": ""}, 2 * 90_000)]


def test_lines_that_are_known_are_framed_unless_draw_is_off():
    picture = written("MILLRACE")

    async def drawn(draw: bool) -> np.ndarray:
        async with at_work(Reader, {"draw": draw}) as tested:
            await tested.put(VideoFrame(None, 0, 1, data=picture))
            await tested.pipeline.reading
            await tested.put(VideoFrame(None, 1, 1, data=picture))
            await tested.settled()
            return tested.run.outputs[1].data

    assert (asyncio.run(drawn(True)) == COLOUR).all(axis=2).sum() > 200
    np.testing.assert_array_equal(asyncio.run(drawn(False)), picture)


@pytest.mark.parametrize("params", [{"every": -1}, {"confidence": 2}, {"draw": "maybe"}])
def test_params_are_checked(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        read(written("x"), **params)
