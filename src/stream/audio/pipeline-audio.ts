import type { AudioFrame } from '../../core/media/audio.ts'

/**
 * `process`: the pipeline's audio replaces the publisher's. `listen`: it gets a copy. `give`: it gets none, and its own
 * audio replaces the publisher's.
 */
export type AudioMode = 'process' | 'listen' | 'give'

/** What a stream needs to know about its pipeline to give it audio. */
export type PipelineAudio = {
  /** Undefined: audio passes around the pipeline. */
  readonly audio: { mode: AudioMode; frameMs: number; channels: number } | undefined
  /** Whether it can take audio now. */
  readonly audioReady: boolean
  /** Output audio dropped on the way from the runner. */
  readonly audioLost: number
  /** False if there was no room; the pipeline then misses the frame. */
  offerAudio(frame: AudioFrame): boolean
}
