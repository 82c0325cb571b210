"""ai-runner's newer name for `app`: the same module objects."""

import importlib
import sys

for _name in (
    "app",
    "live",
    "live.pipelines",
    "live.pipelines.interface",
    "live.pipelines.spec",
    "live.pipelines.trickle",
    "live.trickle",
    "live.trickle.frame",
    "pipelines",
    "pipelines.live_video_to_video",
):
    _module = importlib.import_module(f"app.{_name}")
    sys.modules[f"{__name__}.{_name}"] = _module
    if "." not in _name:
        globals()[_name] = _module
