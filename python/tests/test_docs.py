import re
from pathlib import Path

import pytest

from millrace_pipeline import AudioPipeline, Pipeline
from millrace_pipeline.testing import audio_for, frames_for, run_pipeline

PAGE = (Path(__file__).parents[2] / "docs/pipeline-sdk-python.md").read_text()
BLOCKS = re.findall(r"^```python\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


@pytest.fixture(scope="module")
def names():
    """The names that the page's examples define, in order."""
    found: dict[str, object] = {"__name__": "page"}
    for block in BLOCKS:
        exec(block, found)
    return found


def test_its_tests_pass(names):
    tests = [one for name, one in names.items() if name.startswith("test_")]
    assert len(tests) == 1
    for one in tests:
        one()
    contract = names["TestContract"]()
    cases = [name for name in dir(contract) if name.startswith("test_")]
    assert len(cases) >= 6
    for name in cases:
        getattr(contract, name)()


def test_its_pipelines_run(names):
    pipelines = [one for name, one in names.items() if isinstance(one, type) and issubclass(one, Pipeline)]
    own = [one for one in pipelines if one not in (Pipeline, AudioPipeline)]
    of_video = [one for one in own if one.video]
    assert (len(of_video), len(own)) == (2, 5)
    for pipeline in of_video:
        run = run_pipeline(pipeline, frames_for(pipeline, 3))
        assert (len(run.outputs), run.errors) == (3, [])
    for pipeline in (one for one in own if not one.video):
        run = run_pipeline(pipeline, audio_for(pipeline, 3))
        assert (len(run.audio) + len(run.data), run.errors) == (3, [])
