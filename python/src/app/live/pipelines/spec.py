"""The form in which ai-runner 0.14 names a pipeline."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Optional


@dataclass
class PipelineSpec:
    """`pipeline_cls` and `params_cls` are "module:Class"."""

    name: str
    pipeline_cls: str
    params_cls: Optional[str] = None
    initial_params: dict[str, Any] = field(default_factory=dict)
