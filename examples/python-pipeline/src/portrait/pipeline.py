"""Person segmentation with MediaPipe's selfie model, which is part of its wheel: nothing is downloaded."""

import asyncio

import cv2
import numpy as np
from millrace_pipeline import Pipeline, VideoFrame, VideoOutput

from .params import PortraitGreenParams, PortraitParams

#: The background is blurred at this fraction of the frame's size: it looks the same, at a sixteenth of the cost.
BLUR_SCALE = 4
#: Width of the soft edge between person and background, in units of the mask.
EDGE = 0.1


class Portrait(Pipeline):
    """Blurs or replaces the background behind people."""

    Params = PortraitParams
    input = {"format": "rgb24"}

    async def initialize(self, **params):
        # Imported here: the server asks for params and description without loading TensorFlow Lite.
        from mediapipe.python.solutions.selfie_segmentation import SelfieSegmentation

        self.outputs: asyncio.Queue[VideoOutput] = asyncio.Queue(4)
        self.model = SelfieSegmentation(model_selection=1)
        # The first run builds the graph.
        self.model.process(np.zeros((144, 256, 3), np.uint8))
        await self.update_params(**params)

    async def update_params(self, **params):
        self.params = self.Params(**params)

    async def put_video_frame(self, frame: VideoFrame, request_id: str):
        # In a thread, so that params and outputs are handled meanwhile.
        data = await asyncio.to_thread(self.compose, frame.data, self.params)
        await self.outputs.put(VideoOutput(frame.replace_data(data), request_id))

    async def get_processed_video_frame(self) -> VideoOutput:
        return await self.outputs.get()

    async def stop(self):
        self.model.close()

    def compose(self, data: np.ndarray, params: PortraitParams) -> np.ndarray:
        if params.background == "none":
            return data
        certainty = self.model.process(data).segmentation_mask
        person = np.clip((certainty - params.threshold) / EDGE + 0.5, 0, 1)
        return cv2.blendLinear(data, behind(data, params), person, 1 - person)


def behind(data: np.ndarray, params: PortraitParams) -> np.ndarray:
    height, width = data.shape[:2]
    if params.background == "colour":
        return np.full_like(data, [int(params.colour[at : at + 2], 16) for at in (1, 3, 5)])
    small = cv2.resize(data, (width // BLUR_SCALE, height // BLUR_SCALE), interpolation=cv2.INTER_AREA)
    radius = max(1, round(width * params.blur / 100 / BLUR_SCALE))
    return cv2.resize(cv2.blur(small, (2 * radius + 1, 2 * radius + 1)), (width, height))


class PortraitGreen(Portrait):
    """The same with a green background."""

    Params = PortraitGreenParams
