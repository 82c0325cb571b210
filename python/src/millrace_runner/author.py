"""Imports author code and describes it."""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from millrace_pipeline import Pipeline
from millrace_pipeline.audio import spec_of

from .errors import RunnerError, from_exception, set_author
from .shown_params import check

REQUIRED = ("width", "height", "show_reloading_frame")


@dataclass
class Author:
    pipeline: type[Pipeline]
    model: type[BaseModel]
    #: Params of a PipelineSpec, which are defaults below any given ones.
    own: dict[str, Any]


def load(entry: str, name: str) -> Author:
    """`entry` is "module:name", a Pipeline class or a PipelineSpec; `name` is the variant's, which authors read as
    `self.name`. Raises RunnerError with what is wrong."""
    # Set before the constructor runs, whether or not it calls its base's.
    Pipeline.name = name
    set_author(entry.partition(":")[0])
    found = _find(entry)
    own: dict[str, Any] = {}
    model = None
    if hasattr(found, "pipeline_cls"):
        own = dict(found.initial_params or {})
        model = _find(found.params_cls) if found.params_cls else None
        entry = found.pipeline_cls
        set_author(entry.partition(":")[0])
        found = _find(entry)
    if not (isinstance(found, type) and issubclass(found, Pipeline)):
        raise RunnerError("pipeline-failed", f"{entry} is no pipeline: it must be a class that extends Pipeline")
    model = model or found.Params
    if not (isinstance(model, type) and issubclass(model, BaseModel)):
        raise RunnerError("pipeline-failed", f"{entry}: Params must extend BaseParams")
    missing = [name for name in REQUIRED if name not in model.model_fields]
    if missing:
        raise RunnerError("pipeline-failed", f"{entry}: Params must extend BaseParams: {', '.join(missing)} missing")
    return Author(found, model, own)


def checker(pipeline: type[Pipeline]) -> Callable[[BaseModel], None]:
    """Return its `check_params`; a method of another kind with this name is the author's own."""
    kind = inspect.getattr_static(pipeline, "check_params", None)
    return pipeline.check_params if isinstance(kind, (classmethod, staticmethod)) else lambda params: None


async def prepare(pipeline: type[Pipeline]) -> None:
    """Call `prepare_models`: a classmethod, a static method or an instance method, possibly async."""
    found = getattr(pipeline, "prepare_models", None)
    if found is None:
        return
    if not callable(found):
        raise RunnerError("pipeline-failed", f"{pipeline.__name__}.prepare_models must be a classmethod")
    # For a plain function, the author has omitted @classmethod.
    plain = inspect.isfunction(found) and not isinstance(
        inspect.getattr_static(pipeline, "prepare_models"), staticmethod
    )
    prepared = found(pipeline) if plain else found()
    if inspect.isawaitable(prepared):
        await prepared


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
        defaults = check(author.model, initial).shown
    except RunnerError:
        defaults = initial
    wanted = author.pipeline.input or {"format": "rgb24"}
    doc = author.pipeline.__dict__.get("__doc__") or ""
    audio = spec_of(author.pipeline, Pipeline)
    video = author.pipeline.video is not False
    if not video and audio is None:
        raise RunnerError("pipeline-failed", "a pipeline with video = False must take or give audio")
    if author.pipeline.streams != 1 and (audio is not None or not video):
        raise RunnerError("pipeline-failed", "a pipeline for several streams takes video only")
    described: dict[str, Any] = {
        "input": wanted,
        "video": video,
        "schema": author.model.model_json_schema(),
        "defaults": defaults,
        "streams": author.pipeline.streams,
    }
    if audio is not None:
        described["audio"] = {"mode": audio["mode"], "frameMs": audio["frame_ms"], "channels": audio["channels"]}
    first = doc.strip().split("\n")[0]
    return {**described, "description": first} if first else described
