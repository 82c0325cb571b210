"""Writes the wheels to a folder: `python make_wheels.py FOLDER`. Uses only the standard library, so that an
installation needs neither a build tool nor an index for them. Prints each wheel's path."""

from __future__ import annotations

import base64
import hashlib
import pathlib
import sys
import zipfile

VERSION = "0.1.0"
SOURCES = pathlib.Path(__file__).parent / "src"
WHEELS = {
    "millrace-pipeline": (["millrace_pipeline", "millrace_runner"], ["numpy>=1.26", "pydantic>=2.5"]),
    # Packages written for ai-runner depend on this name.
    "ai-runner-base": (["app", "runner"], [f"millrace-pipeline=={VERSION}"]),
    # Those for its version 0.14 depend on this one, with an extra, and often with that version.
    "ai-runner": ([], [f"ai-runner-base=={VERSION}"]),
}
EXTRAS = ["realtime", "batch"]
AS_VERSION = {"ai-runner": "0.14.1"}


def write(name: str, folders: list[str], needs: list[str], out: pathlib.Path) -> pathlib.Path:
    version = AS_VERSION.get(name, VERSION)
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    metadata = ["Metadata-Version: 2.1", f"Name: {name}", f"Version: {version}", "Requires-Python: >=3.10"]
    metadata += [f"Requires-Dist: {need}" for need in needs]
    if name == "ai-runner":
        metadata += [f"Provides-Extra: {extra}" for extra in EXTRAS]
    contents = {
        f"{info}/METADATA": "\n".join(metadata).encode() + b"\n",
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nGenerator: millrace\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    for folder in folders:
        for file in sorted((SOURCES / folder).rglob("*.py")):
            contents[file.relative_to(SOURCES).as_posix()] = file.read_bytes()
    record = []
    path = out / f"{stem}-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for entry, data in contents.items():
            digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
            record.append(f"{entry},sha256={digest},{len(data)}")
            wheel.writestr(entry, data)
        record.append(f"{info}/RECORD,,")
        wheel.writestr(f"{info}/RECORD", "\n".join(record) + "\n")
    return path


if __name__ == "__main__":
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    for name, (folders, needs) in WHEELS.items():
        print(write(name, folders, needs, folder))
