import sys
from fractions import Fraction

import numpy as np
import pytest

import app.live.trickle
import runner.app
import runner.live.pipelines.interface
import runner.live.trickle
from app.live.pipelines import PipelineSpec, interface, load_pipeline, trickle
from millrace_pipeline import Pipeline, VideoFrame, VideoOutput


def frame(shape, format="rgb24"):
    return VideoFrame(None, 9000, Fraction(1, 90_000), data=np.zeros(shape, np.uint8), format=format)


def test_old_and_new_names_are_the_same_objects():
    assert runner.live.trickle is app.live.trickle
    assert runner.live.pipelines.interface is interface
    assert trickle.VideoFrame is app.live.trickle.VideoFrame is VideoFrame
    assert "torch" not in sys.modules


def test_time_is_told_in_ticks_whatever_its_base():
    assert VideoFrame(None, 3, Fraction(1, 30)).pts == 9000
    assert VideoFrame(None, 100, Fraction(1, 1000)).pts == 9000
    assert VideoFrame(None, 0, 0).pts == 0


def test_frames_do_not_share_what_authors_write_to():
    one, other = frame((2, 2, 3)), frame((2, 2, 3))
    one.side_data.skipped = True
    one.log_timestamps["put"] = 1.0
    assert other.side_data.skipped is False
    assert other.log_timestamps == {}
    assert one.replace_data(one.data).side_data.skipped is True
    assert VideoOutput(one, "r").log_timestamps == {"put": 1.0}


@pytest.mark.parametrize(
    ("shape", "format", "size"),
    [
        ((48, 64, 3), "rgb24", (64, 48)),
        ((48, 64, 4), "rgba", (64, 48)),
        ((48, 64), "gray", (64, 48)),
        ((72, 64), "yuv420p", (64, 48)),
    ],
)
def test_what_goes_out_has_its_size(shape, format, size):
    data, told, width, height = frame(shape, format).pixels()
    assert (told, width, height, data.size) == (format, *size, int(np.prod(shape)))


@pytest.mark.parametrize(
    ("shape", "format"),
    [((48, 64), "rgb24"), ((48, 64, 4), "rgb24"), ((48, 64, 3), "gray"), ((70, 64), "yuv420p"), ((5,), "rgba")],
)
def test_what_is_no_frame_is_refused(shape, format):
    with pytest.raises(ValueError, match="must"):
        frame(shape, format).pixels()


def test_views_go_out_in_order():
    data = np.arange(12, dtype=np.uint8).reshape(2, 2, 3)
    out = frame((2, 2, 3)).replace_data(data[:, ::-1]).pixels()[0]
    assert out.flags["C_CONTIGUOUS"]
    assert out.ravel().tolist() == [3, 4, 5, 0, 1, 2, 9, 10, 11, 6, 7, 8]


def test_a_spec_names_itself_after_its_class():
    assert PipelineSpec(pipeline_cls="a.b:MyPipeline").name == "my"
    with pytest.raises(ImportError):
        load_pipeline(PipelineSpec(pipeline_cls="not_there:X"))
    assert issubclass(interface.Pipeline, Pipeline)


def test_start_app_says_what_it_needs(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("MILLRACE", raising=False)
    with pytest.raises(RuntimeError, match="needs the Millrace server"):
        runner.app.start_app(PipelineSpec(name="x", pipeline_cls="a:B"))
