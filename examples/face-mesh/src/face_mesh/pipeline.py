"""Face landmarks with MediaPipe's face mesh, which is part of its wheel: nothing is downloaded."""

import asyncio
from typing import Optional

import cv2
import numpy as np
from millrace_pipeline import Pipeline, VideoFrame, VideoOutput

from .params import FaceMeshParams

#: Landmarks that applications commonly use, of the mesh's 468.
FEATURES = {"leftEye": 263, "rightEye": 33, "nose": 1, "mouthLeft": 291, "mouthRight": 61, "chin": 152}


class FaceMesh(Pipeline):
    """Draws a mesh over faces, and outputs the positions of their features."""

    Params = FaceMeshParams
    input = {"format": "rgb24"}

    async def initialize(self, **params):
        self.outputs: asyncio.Queue[VideoOutput] = asyncio.Queue(4)
        self.params = self.Params(**params)
        self.load()

    def load(self):
        # Imported here: the server asks for params and description without loading TensorFlow Lite.
        from mediapipe.python.solutions import face_mesh, face_mesh_connections

        self.lines = {
            "mesh": np.array(sorted(face_mesh_connections.FACEMESH_TESSELATION)),
            "contours": np.array(sorted(face_mesh_connections.FACEMESH_CONTOURS)),
        }
        self.model = face_mesh.FaceMesh(
            max_num_faces=self.params.faces,
            min_detection_confidence=self.params.confidence,
            min_tracking_confidence=self.params.confidence,
        )
        # The first run builds the graph.
        self.model.process(np.zeros((96, 128, 3), np.uint8))

    async def update_params(self, **params) -> Optional[asyncio.Task]:
        given = self.Params(**params)
        loads = (given.faces, given.confidence) != (self.params.faces, self.params.confidence)
        self.params = given
        # A task is a reload: the overlay shows until it is done.
        return asyncio.create_task(self.reload()) if loads else None

    async def reload(self):
        self.model.close()
        await asyncio.to_thread(self.load)

    async def put_video_frame(self, frame: VideoFrame, request_id: str):
        # In a thread, so that params and outputs are handled while the model works.
        faces = await asyncio.to_thread(self.find, frame.data)
        self.emit({"boxes": [describe(points) for points in faces]}, frame.pts)
        if self.params.draw != "nothing" and faces:
            frame = frame.replace_data(self.drawn(frame.data, faces))
        await self.outputs.put(VideoOutput(frame, request_id))

    async def get_processed_video_frame(self) -> VideoOutput:
        return await self.outputs.get()

    async def stop(self):
        self.model.close()

    def find(self, data: np.ndarray) -> list[np.ndarray]:
        """The landmarks of each face as an array of shape (468, 2), in pixels."""
        height, width = data.shape[:2]
        faces = self.model.process(data).multi_face_landmarks or []
        return [np.array([(point.x * width, point.y * height) for point in face.landmark]) for face in faces]

    def drawn(self, data: np.ndarray, faces: list[np.ndarray]) -> np.ndarray:
        colour = [int(self.params.colour[at : at + 2], 16) for at in (1, 3, 5)]
        for points in faces:
            ends = points.round().astype(np.int32)[self.lines[self.params.draw]]
            cv2.polylines(data, list(ends), False, colour, 1, cv2.LINE_AA)
        return data


def describe(points: np.ndarray) -> dict:
    """A face as a box that the page draws, with its features."""
    x, y = points.min(axis=0).round(1)
    width, height = np.ptp(points, axis=0).round(1)
    features = {name: points[at].round(1) for name, at in FEATURES.items()}
    return {"x": x, "y": y, "width": width, "height": height, "label": "face", "features": features}
