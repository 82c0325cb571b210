"""Frames as authors see them."""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Any, Optional

import numpy as np

if TYPE_CHECKING:
    import torch

TICKS = Fraction(1, 90_000)


def _torch() -> Any:
    try:
        import torch
    except ImportError as error:
        raise RuntimeError("VideoFrame.tensor needs torch in the pipeline's environment: pip install torch") from error
    return torch


class VideoFrame:
    """One raw frame.

    `data`: uint8, private to the frame, in `format`: (H, W, 3) for rgb24, (H, W, 4) for rgba, (H, W) for gray and
    (H + ceil(H / 2), W) for yuv420p of even width. `tensor`: float32 RGB of shape (1, H, W, 3) in [0, 1], made on first
    access. `timestamp` counts `time_base` seconds.
    """

    def __init__(
        self,
        tensor: Optional["torch.Tensor"],
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
        # The original shares one dict between all frames; each frame has its own here.
        self.log_timestamps: dict[str, float] = {} if log_timestamps is None else log_timestamps
        self.side_data: Any = _SideData()

    @property
    def pts(self) -> int:
        """Presentation time in 90 kHz ticks."""
        return round(Fraction(self.timestamp) * Fraction(self.time_base) / TICKS)

    @property
    def data(self) -> np.ndarray:
        if self._tensor is not None:
            return _to_bytes(self._tensor)
        if self._data is None:
            raise ValueError("this frame has neither data nor a tensor")
        return self._data

    @data.setter
    def data(self, value: np.ndarray) -> None:
        self._data = value
        self._tensor = None

    @property
    def tensor(self) -> "torch.Tensor":
        if self._tensor is None:
            if self._data is None:
                return None  # type: ignore[return-value]
            if self.format != "rgb24":
                raise ValueError(f"tensor is made from rgb24 frames; this one is {self.format}")
            torch = _torch()
            source = torch.from_numpy(self._data)
            if torch.cuda.is_available():
                source = source.pin_memory().to("cuda", non_blocking=True)
            self._tensor = source.to(torch.float32).mul_(1 / 255).unsqueeze(0)
        return self._tensor

    @tensor.setter
    def tensor(self, value: "torch.Tensor") -> None:
        self._tensor = value

    def replace_tensor(self, tensor: "torch.Tensor") -> "VideoFrame":
        """A frame of the same time with other pixels."""
        frame = VideoFrame(tensor, self.timestamp, self.time_base, dict(self.log_timestamps))
        frame.side_data = self.side_data
        return frame

    def replace_data(self, data: np.ndarray, format: Optional[str] = None) -> "VideoFrame":
        """A frame of the same time with other pixels, uint8 in `format`."""
        frame = VideoFrame(
            None, self.timestamp, self.time_base, dict(self.log_timestamps), data=data, format=format or self.format
        )
        frame.side_data = self.side_data
        return frame

    def pixels(self) -> tuple[np.ndarray, str, int, int]:
        """What goes out: contiguous bytes, pixel format, width, height. Raises ValueError for what is no frame."""
        format = "rgb24" if self._tensor is not None else self.format
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
        return np.ascontiguousarray(data), format, width, height


class _SideData:
    def __init__(self) -> None:
        self.input: Any = None
        self.skipped = False


def _to_bytes(tensor: Any) -> np.ndarray:
    """float32 (1, H, W, 3) or (H, W, 3) in [0, 1] to uint8 (H, W, 3): clamped and rounded, NaN is 0."""
    torch = _torch()
    if tensor.dim() == 4:
        if tensor.shape[0] != 1:
            raise ValueError(f"an output tensor must be (1, height, width, 3), not {tuple(tensor.shape)}")
        tensor = tensor.squeeze(0)
    if tensor.dim() != 3 or tensor.shape[2] != 3:
        raise ValueError(f"an output tensor must be (1, height, width, 3), not {tuple(tensor.shape)}")
    scaled = torch.nan_to_num(tensor.detach().to(torch.float32), nan=0.0, posinf=1.0, neginf=0.0).mul(255)
    return scaled.clamp_(0, 255).round_().to(torch.uint8).cpu().numpy()


class VideoOutput:
    """A processed frame on its way out. Only outputs of the request that runs are shown."""

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

    def replace_tensor(self, tensor: Any) -> "VideoOutput":
        return VideoOutput(self.frame.replace_tensor(tensor), self.request_id, self.is_loading_frame)
