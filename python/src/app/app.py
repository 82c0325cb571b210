"""`start_app`, the last call in the `main.py` of a package for ai-runner 0.14."""

from __future__ import annotations

import asyncio
import hashlib
import inspect
import os
import shlex
import shutil
import sys
import tempfile
from importlib import import_module
from pathlib import Path
from typing import Any, Optional, Union

from .live.pipelines.spec import PipelineSpec
from .pipelines.live_video_to_video import LiveVideoToVideoPipeline


def start_app(
    pipeline: Union[PipelineSpec, LiveVideoToVideoPipeline, None] = None,
    host: Optional[str] = None,
    port: Optional[int] = None,
    **_: Any,
) -> None:
    """Serve the pipeline: this process becomes the Millrace server, which runs the pipeline in a process of its own.

    With `PREPARE_MODELS=1` or `--prepare-models` it prepares the models instead, and returns. The server is `millrace`
    on PATH, or the command in the environment variable `MILLRACE`. Raises RuntimeError if there is none.
    """
    spec = pipeline.pipeline_spec if isinstance(pipeline, LiveVideoToVideoPipeline) else pipeline
    if spec is not None and (os.getenv("PREPARE_MODELS") == "1" or "--prepare-models" in sys.argv):
        _prepare(spec)
        return
    command = shlex.split(os.getenv("MILLRACE", "")) or [shutil.which("millrace") or ""]
    if not command[0]:
        raise RuntimeError(
            "start_app needs the Millrace server: npm install --global millrace, or set MILLRACE to its command"
        )
    environment = {**os.environ, "PYTHON": sys.executable}
    if host is not None:
        environment["HOST"] = host
    if port is not None:
        environment["PORT"] = str(port)
    if spec is not None:
        environment.update({"PIPELINE": spec.name, "MODEL_ID": spec.name})
        # The pipeline's process must be able to import what this program can, and the server finds the spec there.
        path = [_declare(spec), *(entry or os.getcwd() for entry in sys.path)]
        environment["PYTHONPATH"] = os.pathsep.join(path)
    sys.stdout.flush()
    os.execvpe(command[0], command, environment)


def _prepare(spec: PipelineSpec) -> None:
    module, _, name = spec.pipeline_cls.partition(":")
    prepared = getattr(import_module(module), name).prepare_models()
    if inspect.isawaitable(prepared):

        async def wait() -> None:
            await prepared

        asyncio.run(wait())


def _declare(spec: PipelineSpec) -> str:
    """Return a folder with the spec as a package with an entry point, which is how the server finds pipelines."""
    folder = _folder_of(spec)
    info = folder / "millrace_app-0.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {spec.name}\nVersion: 0\n")
    (info / "entry_points.txt").write_text(f"[ai_runner.pipelines]\n{spec.name} = _millrace_app:spec\n")
    (folder / "_millrace_app.py").write_text(
        f"from app.live.pipelines import PipelineSpec\n\nspec = PipelineSpec(**{vars(spec)!r})\n"
    )
    return str(folder)


def _folder_of(spec: PipelineSpec) -> Path:
    """Return the same folder at each start, because nobody removes it; a temporary one if the user has no cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    digest = hashlib.sha256(repr(sorted(vars(spec).items())).encode()).hexdigest()[:16]
    folder = Path(cache) / "millrace" / "apps" / digest
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return Path(tempfile.mkdtemp(prefix="millrace-app-"))
    return folder
