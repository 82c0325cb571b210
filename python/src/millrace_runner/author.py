"""Imports author code and describes it."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from millrace_pipeline import Pipeline

from .errors import RunnerError, from_exception
from .params import validate

REQUIRED = ("width", "height", "show_reloading_frame")


@dataclass
class Author:
    pipeline: type[Pipeline]
    model: type[BaseModel]
    #: Of a PipelineSpec.
    initial: dict[str, Any]


def load(entry: str) -> Author:
    """`entry` is "module:name", a Pipeline class or a PipelineSpec. Raises RunnerError with what is wrong."""
    found = _find(entry)
    initial: dict[str, Any] = {}
    model = None
    if hasattr(found, "pipeline_cls"):
        initial = dict(found.initial_params or {})
        model = _find(found.params_cls) if found.params_cls else None
        entry = found.pipeline_cls
        found = _find(entry)
    if not (isinstance(found, type) and issubclass(found, Pipeline)):
        raise RunnerError("pipeline-failed", f"{entry} is no pipeline: it must be a class that extends Pipeline")
    model = model or found.Params
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise RunnerError("pipeline-failed", f"{entry}: Params must extend BaseParams")
    missing = [name for name in REQUIRED if name not in model.model_fields]
    if missing:
        raise RunnerError("pipeline-failed", f"{entry}: Params must extend BaseParams: {', '.join(missing)} missing")
    return Author(found, model, initial)


def _find(entry: str) -> Any:
    module, _, name = entry.partition(":")
    try:
        found: Any = importlib.import_module(module)
    except Exception as thrown:
        error = from_exception(thrown)
        raise RunnerError("pipeline-failed", f"could not import {module}: {error}", stack=error.stack) from thrown
    for part in name.split("."):
        found = getattr(found, part, None)
    if found is None:
        raise RunnerError("pipeline-failed", f"{module} has no {name}")
    return found


def describe(author: Author, initial: dict[str, Any]) -> dict[str, Any]:
    try:
        defaults = validate(author.model, initial)
    except RunnerError:
        defaults = initial
    wanted = author.pipeline.input or {"format": "rgb24"}
    doc = author.pipeline.__dict__.get("__doc__") or ""
    described = {"input": wanted, "schema": author.model.model_json_schema(), "defaults": defaults}
    first = doc.strip().split("\n")[0]
    return {**described, "description": first} if first else described
