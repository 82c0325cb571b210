"""ai-runner's newer name for `app`: the same module objects."""

import importlib
import sys

for _name in (
    "live",
    "live.pipelines",
    "live.pipelines.interface",
    "live.pipelines.spec",
    "live.pipelines.trickle",
    "live.trickle",
    "live.trickle.frame",
):
    sys.modules[f"{__name__}.{_name}"] = importlib.import_module(f"app.{_name}")
live = sys.modules[f"{__name__}.live"]
