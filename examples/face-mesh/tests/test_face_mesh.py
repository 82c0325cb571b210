"""Uses the portrait of Grace Hopper (US Navy, public domain) from matplotlib, a dependency of mediapipe."""

import cv2
import matplotlib.cbook
import numpy as np
import pytest
from face_mesh.pipeline import FaceMesh
from millrace_pipeline import VideoFrame
from millrace_pipeline.testing import PipelineContract, run_pipeline


class TestContract(PipelineContract):
    pipeline = FaceMesh
    change = {"draw": "contours", "faces": 1}


@pytest.fixture(scope="module")
def hopper() -> np.ndarray:
    file = str(matplotlib.cbook.get_sample_data("grace_hopper.jpg", asfileobj=False))
    return cv2.resize(cv2.cvtColor(cv2.imread(file), cv2.COLOR_BGR2RGB), (512, 600))


def run(picture: np.ndarray, **params):
    made = run_pipeline(FaceMesh, [VideoFrame(None, 7, 1, data=picture)], params)
    assert made.errors == []
    return made


def test_features_are_where_they_are(hopper):
    [(value, pts)] = run(hopper).data
    assert pts == 7 * 90_000
    [box] = value["boxes"]
    face = box["features"]
    (left_x, left_y), (right_x, right_y) = face["leftEye"], face["rightEye"]
    # The sitter's right eye is on the left of the image; the mouth is below both, and the chin ends the face.
    assert box["x"] < right_x < face["nose"][0] < left_x < box["x"] + box["width"]
    assert abs(left_y - right_y) < 30
    assert max(left_y, right_y) < face["nose"][1] < face["mouthLeft"][1] < face["chin"][1] < box["y"] + box["height"] + 1
    assert 150 < box["x"] + box["width"] / 2 < 350
    assert 100 < box["y"] + box["height"] / 2 < 300


def test_the_mesh_is_drawn_over_the_face_only(hopper):
    made = run(hopper, colour="#00ff00")
    changed = np.abs(made.outputs[0].data.astype(int) - hopper).max(axis=2) > 40
    box = made.data[0][0]["boxes"][0]
    ys, xs = np.nonzero(changed)
    assert len(xs) > 2000
    assert xs.min() > box["x"] - 3
    assert xs.max() < box["x"] + box["width"] + 3
    assert ys.min() > box["y"] - 3
    assert ys.max() < box["y"] + box["height"] + 3


def test_nothing_leaves_the_frame_as_it_came(hopper):
    np.testing.assert_array_equal(run(hopper, draw="nothing").outputs[0].data, hopper)


def test_nobody_is_no_face():
    assert run(np.full((240, 320, 3), 90, np.uint8)).data == [({"boxes": []}, 7 * 90_000)]


@pytest.mark.parametrize("params", [{"draw": "all"}, {"faces": 0}, {"confidence": 2}, {"colour": "green"}])
def test_params_are_checked(params):
    with pytest.raises(ValueError, match=next(iter(params))):
        run(np.zeros((64, 64, 3), np.uint8), **params)
