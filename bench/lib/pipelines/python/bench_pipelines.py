"""Pipelines that give each frame back, for `../../../runners.ts`."""

import asyncio

from millrace_pipeline import Pipeline, VideoFrame, VideoOutput


class Noop(Pipeline):
    async def initialize(self, **params):
        self.outputs = asyncio.Queue(8)

    async def put_video_frame(self, frame: VideoFrame, request_id: str):
        await self.outputs.put(VideoOutput(self.change(frame), request_id))

    def change(self, frame: VideoFrame) -> VideoFrame:
        # Read and set, as an author would.
        return frame.replace_data(frame.data)

    async def get_processed_video_frame(self) -> VideoOutput:
        return await self.outputs.get()


class Yuv420p(Noop):
    input = {"format": "yuv420p"}


class Rgb24(Noop):
    input = {"format": "rgb24"}


class Tensor(Noop):
    """As ai-runner's own noop: a float tensor, and its clone."""

    def change(self, frame: VideoFrame) -> VideoFrame:
        return frame.replace_tensor(frame.tensor.clone())
