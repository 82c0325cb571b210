import numpy as np
import pytest
from millrace_pipeline.testing import PipelineContract, frames_for, run_pipeline
from my_pipeline.pipeline import MyPipeline, MyPipelineSoft


class TestContract(PipelineContract):
    pipeline = MyPipeline
    change = {"strength": 0.2}


@pytest.mark.parametrize(
    ("pipeline", "params", "strength"),
    [(MyPipeline, {}, 0.8), (MyPipeline, {"strength": 1}, 1.0), (MyPipelineSoft, {}, 0.4)],
)
def test_strength(pipeline, params, strength):
    [frame] = frames_for(pipeline, 1)
    [output] = run_pipeline(pipeline, [frame], params).outputs
    expected = frame.data + strength * (255.0 - 2.0 * frame.data)
    np.testing.assert_allclose(output.data, expected, atol=0.51)
