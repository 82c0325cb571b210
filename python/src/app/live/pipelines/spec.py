"""The form in which ai-runner 0.14 declares a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from importlib import import_module
from typing import Any, Optional

from .interface import Pipeline


@dataclass
class PipelineSpec:
    """`pipeline_cls` and `params_cls` are "module:Class". `name` defaults to the class name in lower case, without a
    trailing "pipeline"."""

    name: str = ""
    pipeline_cls: str = ""
    params_cls: Optional[str] = None
    initial_params: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.name:
            self.name = self.pipeline_cls.rpartition(":")[2].lower().removesuffix("pipeline")


def load_pipeline(spec: PipelineSpec) -> Pipeline:
    """Return an instance of the spec's class. Raises ImportError or AttributeError."""
    module, _, name = spec.pipeline_cls.partition(":")
    pipeline: Pipeline = getattr(import_module(module), name)()
    return pipeline


def builtin_pipeline_spec(name: str) -> Optional[PipelineSpec]:
    """Return None: ai-runner's own pipelines are not part of this package."""
    return None
