"""The wrapper that some packages put around their PipelineSpec before `start_app`."""

from __future__ import annotations

from dataclasses import dataclass

from ..live.pipelines.spec import PipelineSpec


@dataclass
class LiveVideoToVideoPipeline:
    pipeline_spec: PipelineSpec
