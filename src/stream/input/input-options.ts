import type { Colour } from '../../core/media/colour.ts'
import type { IngestSource } from '../../core/media/endpoints.ts'
import type { VideoFrame } from '../../core/media/frame.ts'
import type { FrameMemory } from '../../core/media/frame-pool.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import type { Context } from '../../core/resource.ts'
import type { Ffmpeg } from '../../ffmpeg/probe.ts'
import type { AudioRoute } from '../audio/route.ts'
import type { StreamEvents } from '../events.ts'
import type { LatencyTracker } from '../latency.ts'
import type { Timeline } from '../timeline.ts'
import type { FrameForm } from './form.ts'

export type InputOptions = {
  ffmpeg: Ffmpeg
  source: IngestSource
  timeline: Timeline
  latency: LatencyTracker
  events: StreamEvents
  /** How long the publisher waited before it was read, in milliseconds. */
  heldUpMs: number
  /** The frame form that the pipeline wants. Read when a decoder opens, and after `reformed`. */
  form(): FrameForm
  /** Larger frames are scaled down to this many pixels. */
  maxPixels: number
  /** Faster streams are thinned to this frame rate. */
  maxFps: number
  onFrame(frame: VideoFrame): void
  /** Allocates frame memory; frames that are not passed on are returned to it. */
  memory: FrameMemory
  /** Video as it arrived, on the stream's clock. */
  onVideo(packet: EncodedPacket): void
  /** Opens the route of the publisher's audio, which lives until the signal aborts. */
  openAudio(context: Context & { signal: AbortSignal }): AudioRoute
  /** Audio with that time arrived. */
  onAudio(pts: number): void
  /** True when the decoder keeps failing and is retried only now and then; false when frames come again. */
  onFailing(failing: boolean): void
  /** Called with the colours of frames from a time on, before the first of them. */
  onColour(colour: Colour, from: number): void
}
