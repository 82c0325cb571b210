"""Video frames and outputs."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

from .tensors import to_bytes, to_tensor

if TYPE_CHECKING:
    import torch

TICKS = Fraction(1, 90_000)
FORMATS = ("yuv420p", "rgb24", "rgba", "gray")
MAX_SIDE = 8192


class VideoFrame:
    """One raw frame.

    `data`: uint8, private to the frame, in `format`: (H, W, 3) for rgb24, (H, W, 4) for rgba, (H, W) for gray and (H +
    ceil(H / 2), W) for yuv420p with even width. `tensor`: float32 RGB of shape (1, H, W, 3) in [0, 1], made on first
    access. `timestamp` counts units of `time_base` seconds.
    """

    def __init__(
        self,
        tensor: Optional[torch.Tensor],
        timestamp: int,
        time_base: Any,
        log_timestamps: Optional[dict[str, float]] = None,
        *,
        data: Optional[np.ndarray] = None,
        format: str = "rgb24",
    ) -> None:
        self._tensor = tensor
        self._data = data
        self.format = format
        self.timestamp = timestamp
        self.time_base = time_base
        # The original shares one dict between all frames; here each frame has its own.
        self.log_timestamps: dict[str, float] = {} if log_timestamps is None else log_timestamps
        self.side_data: Any = SideData()

    @property
    def pts(self) -> int:
        """Presentation time in 90 kHz ticks."""
        if self.time_base is TICKS:
            # As frames come; fractions take longer than all else that is done with a frame's time.
            return round(self.timestamp)
        return round(Fraction(self.timestamp) * Fraction(self.time_base) / TICKS)

    @property
    def data(self) -> np.ndarray:
        if self._tensor is not None:
            return to_bytes(self._tensor)
        if self._data is None:
            raise ValueError("this frame has neither data nor a tensor")
        return self._data

    @data.setter
    def data(self, value: np.ndarray) -> None:
        self._data = value
        self._tensor = None

    @property
    def tensor(self) -> torch.Tensor:
        if self._tensor is None:
            if self._data is None:
                return None
            if self.format != "rgb24":
                raise ValueError(f"tensor is made from rgb24 frames; this one is {self.format}")
            self._tensor = to_tensor(self._data)
        return self._tensor

    @tensor.setter
    def tensor(self, value: torch.Tensor) -> None:
        self._tensor = value

    def replace_tensor(self, tensor: torch.Tensor) -> VideoFrame:
        """Return a frame with the same time and other pixels: float RGB, (1, H, W, 3) or (H, W, 3), in [0, 1]."""
        frame = VideoFrame(tensor, self.timestamp, self.time_base, dict(self.log_timestamps))
        frame.side_data = self.side_data
        return frame

    def replace_data(self, data: np.ndarray, format: Optional[str] = None) -> VideoFrame:
        """Return a frame with the same time and other pixels: uint8 in `format`."""
        frame = VideoFrame(
            None, self.timestamp, self.time_base, dict(self.log_timestamps), data=data, format=format or self.format
        )
        frame.side_data = self.side_data
        return frame

    def pixels(self) -> tuple[np.ndarray, str, int, int]:
        """Return contiguous bytes, pixel format, width and height for output. Raises ValueError if they are
        inconsistent."""
        format = "rgb24" if self._tensor is not None else self.format
        if format not in FORMATS:
            raise ValueError(f"a frame's format must be one of {', '.join(FORMATS)}, not {format!r}")
        data = self.data
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
            raise ValueError(f"a frame's data must be a uint8 array, not {getattr(data, 'dtype', type(data).__name__)}")
        channels = {"rgb24": 3, "rgba": 4}.get(format)
        if channels:
            if data.ndim != 3 or data.shape[2] != channels:
                raise ValueError(f"{format} data must be (height, width, {channels}), not {data.shape}")
            height, width = data.shape[:2]
        elif data.ndim != 2:
            raise ValueError(f"{format} data must have two dimensions, not {data.shape}")
        elif format == "gray":
            height, width = data.shape
        else:
            width = data.shape[1]
            height = data.shape[0] * 2 // 3
            if height + (height + 1) // 2 != data.shape[0] or width % 2:
                raise ValueError(f"yuv420p data must be (height * 3 / 2, width) with even sides, not {data.shape}")
        if not (1 <= width <= MAX_SIDE and 1 <= height <= MAX_SIDE):
            raise ValueError(f"a frame must have from 1 to {MAX_SIDE} pixels a side, not {width}x{height}")
        return np.ascontiguousarray(data), format, width, height


class SideData:
    """An author's notes about a frame; they are passed on to frames made from it."""

    def __init__(self) -> None:
        self.input: Any = None
        self.skipped = False


def shape_of(format: str, width: int, height: int) -> tuple[int, ...]:
    """Return the shape of the array that holds a frame."""
    channels = {"rgb24": 3, "rgba": 4}.get(format)
    if channels:
        return (height, width, channels)
    return (height, width) if format == "gray" else (height + (height + 1) // 2, width)


class VideoOutput:
    """An output frame. Only outputs of the current request are shown."""

    def __init__(self, frame: VideoFrame, request_id: str = "", is_loading_frame: bool = False) -> None:
        self.frame = frame
        self.request_id = request_id
        self.is_loading_frame = is_loading_frame

    @property
    def tensor(self) -> Any:
        return self.frame.tensor

    @property
    def timestamp(self) -> int:
        return self.frame.timestamp

    @property
    def time_base(self) -> Any:
        return self.frame.time_base

    @property
    def log_timestamps(self) -> dict[str, float]:
        return self.frame.log_timestamps

    def replace_tensor(self, tensor: Any) -> VideoOutput:
        return VideoOutput(self.frame.replace_tensor(tensor), self.request_id, self.is_loading_frame)
