"""Uses the portrait of Grace Hopper (US Navy, public domain) from matplotlib, a dependency of mediapipe."""

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from millrace_pipeline import VideoFrame
from millrace_pipeline.testing import PipelineContract, run_pipeline
from portrait.pipeline import Portrait, PortraitGreen


class TestContract(PipelineContract):
    pipeline = Portrait
    change = {"background": "colour", "colour": "#ff0000"}


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    file = str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return cv2.resize(cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB), (512, 600))


def shown(pipeline, picture: np.ndarray, **params) -> np.ndarray:
    run = run_pipeline(pipeline, [VideoFrame(None, 0, 1, data=picture)], params)
    assert run.errors == []
    return run.outputs[0].data


FACE = (slice(150, 230), slice(230, 300))
WALL = (slice(5, 60), slice(5, 60))


def test_the_person_stays_and_the_wall_turns_green(hopper):
    output = shown(PortraitGreen, hopper)
    assert np.abs(output[FACE].astype(int) - hopper[FACE]).mean() < 2
    np.testing.assert_allclose(output[WALL], np.broadcast_to([0x00, 0xB1, 0x40], output[WALL].shape), atol=3)


def test_the_wall_is_blurred(hopper):
    noisy = hopper.copy()
    noisy[WALL] = np.random.default_rng(0).integers(0, 256, noisy[WALL].shape)
    output = shown(Portrait, noisy)
    assert output[WALL].std() < noisy[WALL].std() / 3
    assert np.abs(output[FACE].astype(int) - noisy[FACE]).mean() < 2


def test_none_leaves_the_frame_as_it_came(hopper):
    np.testing.assert_array_equal(shown(Portrait, hopper, background="none"), hopper)


@pytest.mark.parametrize("params", [{"background": "sky"}, {"blur": 0}, {"colour": "green"}, {"threshold": 1}])
def test_params_are_checked(hopper, params):
    with pytest.raises(ValueError, match=next(iter(params))):
        shown(Portrait, hopper, **params)
