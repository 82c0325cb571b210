import type { AudioFrame } from '../../core/media/audio.ts'
import type { BaseParams, ParamsSchema } from '../base-params.ts'
import { Pipeline } from '../pipeline-class.ts'
import type { AudioSpec } from './spec.ts'

/** A pipeline that processes audio only. Its stream's video passes around it, and the publisher need not send video. */
export abstract class AudioPipeline<P extends ParamsSchema = typeof BaseParams> extends Pipeline<P> {
  static override video = false
  static override audio: AudioSpec | undefined = {}

  /** Takes one audio frame of 10 or 20 ms. If it throws, the frame leaves unchanged. */
  abstract override putAudioFrame(frame: AudioFrame, requestId: string): Promise<void>

  /** Never called. */
  override async putVideoFrame(): Promise<void> {}
}
