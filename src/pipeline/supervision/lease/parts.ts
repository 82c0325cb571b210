import type { AudioFrame } from '../../../core/media/audio.ts'
import type { VideoFrame } from '../../../core/media/frame.ts'
import type { Values } from '../../protocol.ts'
import type { Supervisor } from '../supervisor/supervisor.ts'
import type { Thresholds } from './health.ts'

/** `L` is the lease itself. */
export type LeaseParts<L> = {
  supervisor: Supervisor
  requestId: string
  /** Complete: the variant's own params with the stream's. */
  params: Values
  thresholds: Thresholds
  onFrame(frame: VideoFrame, lease: L): void
  onAudio?(frame: AudioFrame, lease: L): void
  /** Allocates memory for an output; default: new memory. */
  allocate?: ((bytes: number) => Uint8Array) | undefined
  /** Takes the supervisor back. */
  onClose(): Promise<void>
}
