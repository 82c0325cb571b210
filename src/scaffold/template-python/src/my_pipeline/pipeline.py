import asyncio

import numpy as np
from millrace_pipeline import Pipeline, VideoFrame, VideoOutput

from .params import MyPipelineParams, MyPipelineSoftParams


class MyPipeline(Pipeline):
    """Turns the frame into its negative."""

    Params = MyPipelineParams
    input = {"format": "rgb24"}

    async def initialize(self, **params):
        # Load the model here: viewers see the overlay meanwhile.
        self.outputs: asyncio.Queue[VideoOutput] = asyncio.Queue(8)
        await self.update_params(**params)

    async def update_params(self, **params):
        strength = self.Params(**params).strength
        levels = np.arange(256)
        self.table = np.round(levels + strength * (255 - 2 * levels)).astype(np.uint8)

    async def put_video_frame(self, frame: VideoFrame, request_id: str):
        await self.outputs.put(VideoOutput(frame.replace_data(self.table[frame.data]), request_id))

    async def get_processed_video_frame(self) -> VideoOutput:
        return await self.outputs.get()


class MyPipelineSoft(MyPipeline):
    """The same, half as strong."""

    Params = MyPipelineSoftParams
