"""Reads text with PP-OCRv4, which is part of the wheel of rapidocr-onnxruntime: nothing is downloaded."""

import asyncio
from typing import Optional

import cv2
import numpy as np
from millrace_pipeline import Pipeline, VideoFrame, VideoOutput

from .params import ReaderParams

#: Longer side of the image that is read, in pixels: larger costs more time than live video has.
READ_SIDE = 960
TICKS_PER_SECOND = 90_000
#: Colour of the box around a line of text.
COLOUR = (255, 210, 0)


class Reader(Pipeline):
    """Reads the text in the video, draws a box around each line and outputs its text."""

    Params = ReaderParams
    input = {"format": "rgb24"}

    async def initialize(self, **params):
        # Imported here: the server asks for params and description without loading onnxruntime.
        from rapidocr_onnxruntime import RapidOCR

        self.outputs: asyncio.Queue[VideoOutput] = asyncio.Queue(4)
        # One core for the model; the others are for the decoder, the encoder and the server.
        self.model = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)
        self.reading: Optional[asyncio.Task] = None
        self.read_at = -float("inf")
        self.lines: list[dict] = []
        # The first run allocates memory that later runs reuse.
        self.model(np.zeros((64, 64, 3), np.uint8))
        await self.update_params(**params)

    async def update_params(self, **params):
        self.params = self.Params(**params)

    async def put_video_frame(self, frame: VideoFrame, request_id: str):
        # Reading takes longer than a frame interval, so it runs beside the video, which does not wait for it.
        due = frame.pts - self.read_at >= self.params.every * TICKS_PER_SECOND or frame.pts < self.read_at
        if due and (self.reading is None or self.reading.done()):
            last, self.reading = self.reading, None
            if last is not None:
                last.result()  # What went wrong in it is reported as this frame's error.
            self.read_at = frame.pts
            self.reading = asyncio.create_task(self.read(frame.data.copy(), frame.pts))
        if self.params.draw and self.lines:
            data = frame.data
            for line in self.lines:
                cv2.polylines(data, [np.int32(line["points"])], True, COLOUR, 2, cv2.LINE_AA)
            frame = frame.replace_data(data)
        await self.outputs.put(VideoOutput(frame, request_id))

    async def get_processed_video_frame(self) -> VideoOutput:
        return await self.outputs.get()

    async def stop(self):
        if self.reading is not None:
            await asyncio.wait([self.reading])

    async def read(self, picture: np.ndarray, pts: int):
        self.lines = await asyncio.to_thread(self.find, picture, self.params.confidence)
        self.emit({"polygons": self.lines, "text": "\n".join(line["label"] for line in self.lines)}, pts)

    def find(self, picture: np.ndarray, confidence: float) -> list[dict]:
        """Lines of text from top to bottom, in the form that the page draws; corners in the frame's pixels."""
        scale = min(1, READ_SIDE / max(picture.shape[:2]))
        small = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found, _ = self.model(cv2.cvtColor(small, cv2.COLOR_RGB2BGR))
        return [
            {
                "label": text,
                "score": round(float(sure), 3),
                "points": (np.array(corners) / scale).round(1).tolist(),
            }
            for corners, text, sure in found or []
            if sure >= confidence
        ]
