import { Pipeline, type VideoFrame, VideoOutput } from 'millrace/pipeline'
import { Detector } from './detector.ts'
import { LABELS } from './labels.ts'
import type { Found } from './messages.ts'
import { ObjectDetectorParams } from './params.ts'

const TICKS_PER_SECOND = 90_000
const COLOUR = [255, 210, 0] as const
/** Line width of a drawn box, in pixels. */
const THICK = 3

/** In pixels of the frame. */
export type Box = { x: number; y: number; width: number; height: number; label: string; score: number }

/** Detects asynchronously: no frame waits for a detection, and the result of one is drawn until the next. */
export class ObjectDetector extends Pipeline<typeof ObjectDetectorParams> {
  static override Params = ObjectDetectorParams
  static override input = { format: 'rgb24' } as const
  static override description = 'Finds eighty kinds of things, and tells where they are'
  #params!: ObjectDetectorParams
  #detector!: Detector
  #running: Promise<void> | undefined
  #failure: unknown
  #requestId = ''
  #began = Number.NEGATIVE_INFINITY
  #boxes: Box[] = []

  override async initialize(params: ObjectDetectorParams): Promise<void> {
    this.#params = params
    this.#detector = await Detector.open()
  }

  override async updateParams(params: ObjectDetectorParams): Promise<undefined> {
    this.#params = params
  }

  override async putVideoFrame(frame: VideoFrame, requestId: string): Promise<void> {
    if (requestId !== this.#requestId) {
      this.#requestId = requestId
      this.#began = Number.NEGATIVE_INFINITY
      this.#boxes = []
    }
    if (this.#failure !== undefined) {
      const failure = this.#failure
      this.#failure = undefined
      throw failure
    }
    const due = frame.pts - this.#began >= this.#params.every * TICKS_PER_SECOND || frame.pts < this.#began
    if (due && !this.#running) {
      this.#began = frame.pts
      this.#running = this.#detect(frame, requestId).catch((thrown) => {
        // Thrown with the next frame, so that it reaches the stream's events.
        this.#failure = thrown
      })
    }
    const data = this.#params.draw && this.#boxes.length > 0 ? drawn(frame, this.#boxes) : frame.data
    this.outputs.put(new VideoOutput({ ...frame, data }, requestId))
  }

  override async stop(): Promise<void> {
    await this.#detector.close()
  }

  async #detect(frame: VideoFrame, requestId: string): Promise<void> {
    try {
      const { confidence, only } = this.#params
      const found = await this.#detector.find(frame)
      if (requestId !== this.#requestId) return
      const wanted: readonly string[] = only.length > 0 ? only : LABELS
      this.#boxes = found
        .filter((one) => one.confidence >= confidence)
        .map((one) => boxOf(one, frame))
        .filter(({ label }) => wanted.includes(label))
      this.outputs.data({ boxes: this.#boxes }, frame.pts)
    } finally {
      this.#running = undefined
    }
  }
}

function boxOf({ left, top, right, bottom, confidence, label }: Found, { width, height }: VideoFrame): Box {
  return {
    x: Math.round(left * width),
    y: Math.round(top * height),
    width: Math.round((right - left) * width),
    height: Math.round((bottom - top) * height),
    label: LABELS[label] ?? `kind ${label}`,
    score: Math.round(confidence * 1000) / 1000,
  }
}

function drawn(frame: VideoFrame, boxes: Box[]): Uint8Array {
  const data = Uint8Array.from(frame.data)
  const fill = (left: number, top: number, width: number, height: number) => {
    for (let y = top; y < Math.min(frame.height, top + height); y++) {
      for (let x = left; x < Math.min(frame.width, left + width); x++) data.set(COLOUR, (y * frame.width + x) * 3)
    }
  }
  for (const { x, y, width, height } of boxes) {
    fill(x, y, width, THICK)
    fill(x, Math.max(y, y + height - THICK), width, THICK)
    fill(x, y, THICK, height)
    fill(Math.max(x, x + width - THICK), y, THICK, height)
  }
  return data
}
