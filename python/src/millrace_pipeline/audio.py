"""Audio frames and outputs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Optional

import numpy as np

#: Sample rate of all audio, in Hz.
SAMPLE_RATE = 48_000
#: Longest audio of one output, in seconds; longer audio is several outputs.
MAX_SECONDS = 10
MODES = ("process", "listen", "give")


class AudioFrame:
    """A few milliseconds of audio, on the same clock as the video.

    `data`: float32 of shape (samples, channels), from -1 to 1, private to the frame, with 1 or 2 channels. `pts`: time
    of the first sample in 90 kHz ticks. `sample_rate`: 48000.
    """

    def __init__(self, data: np.ndarray, pts: int, sample_rate: int = SAMPLE_RATE) -> None:
        self.data = data
        self.pts = pts
        self.sample_rate = sample_rate

    def replace_data(self, data: np.ndarray) -> AudioFrame:
        """Return a frame with the same time and other samples."""
        return AudioFrame(data, self.pts, self.sample_rate)

    def samples(self) -> np.ndarray:
        """Return the output samples: contiguous float32 of shape (samples, channels). Raises ValueError if they are
        invalid."""
        data = np.asarray(self.data)
        if data.ndim == 1:
            data = data[:, np.newaxis]
        if data.ndim != 2 or data.shape[1] not in (1, 2) or data.shape[0] == 0:
            raise ValueError(f"audio must be of shape (samples, channels) with 1 or 2 channels, not {data.shape}")
        if data.dtype.kind != "f":
            raise ValueError(f"audio must be an array of floats from -1 to 1, not of {data.dtype}")
        if self.sample_rate != SAMPLE_RATE:
            raise ValueError(f"sample_rate must be {SAMPLE_RATE}, not {self.sample_rate}")
        if isinstance(self.pts, bool) or not isinstance(self.pts, (int, np.integer)):
            raise ValueError(f"pts must be a whole number of 90 kHz ticks, not {self.pts!r}")
        if data.shape[0] > MAX_SECONDS * SAMPLE_RATE:
            raise ValueError(f"audio of {data.shape[0] / SAMPLE_RATE:.1f} s; accepted are at most {MAX_SECONDS}")
        if not np.isfinite(data).all():
            raise ValueError("audio has samples that are no numbers")
        return np.ascontiguousarray(data, dtype=np.float32)


class AudioOutput:
    """Output audio. Only outputs of the current request are played."""

    def __init__(self, frame: AudioFrame, request_id: str = "") -> None:
        self.frame = frame
        self.request_id = request_id


def whole_spec(given: dict[str, Any]) -> dict[str, Any]:
    """Return a pipeline's `audio` with its defaults. Raises ValueError that says what is wrong."""
    spec = {"mode": "process", "frame_ms": 20, "channels": 2, **given}
    for name, accepted in (("mode", MODES), ("frame_ms", (10, 20)), ("channels", (1, 2))):
        if spec[name] not in accepted:
            raise ValueError(f"audio: {name} must be {' or '.join(map(str, accepted))}, not {spec[name]!r}")
    unknown = set(spec) - {"mode", "frame_ms", "channels"}
    if unknown:
        raise ValueError(f"audio: there is no {', '.join(sorted(unknown))}; known are mode, frame_ms and channels")
    return spec


def tone(
    frames: int, *, frequency: float = 1000, level: float = 0.5, frame_ms: int = 20, channels: int = 2, pts: int = 0
) -> Iterator[AudioFrame]:
    """Yield a steady tone in consecutive frames without gaps."""
    samples = SAMPLE_RATE * frame_ms // 1000
    for number in range(frames):
        at = np.arange(number * samples, (number + 1) * samples)
        wave = (level * np.sin(2 * np.pi * frequency * at / SAMPLE_RATE)).astype(np.float32)
        yield AudioFrame(np.repeat(wave[:, np.newaxis], channels, axis=1), pts + number * frame_ms * 90)


def in_pieces(samples: np.ndarray, pts: int, longest: int) -> Iterator[tuple[np.ndarray, int]]:
    """Split into pieces of at most `longest` samples per channel, each with its time."""
    for at in range(0, samples.shape[0], longest):
        yield samples[at : at + longest], pts + round(at * 90_000 / SAMPLE_RATE)


def spec_of(pipeline: Any, base: Any) -> Optional[dict[str, Any]]:
    """Return how a class takes audio: its `audio`, or the default if it overrides `put_audio_frame`."""
    given = getattr(pipeline, "audio", None)
    # An attribute of another type is the author's own.
    if isinstance(given, dict):
        return whole_spec(given)
    return whole_spec({}) if pipeline.put_audio_frame is not base.put_audio_frame else None
