import type { AppError } from '../../../core/errors.ts'
import type { Context } from '../../../core/resource.ts'
import type { PipelineEntry } from '../../catalog/entry.ts'
import type { HostEvents, HostOptions } from '../../host/host.ts'
import type { Runner } from '../../host/process.ts'
import type { Reaper } from '../../host/reaper.ts'
import type { Values } from '../../protocol.ts'
import type { EpochAudio } from '../../ring/audio-ring.ts'
import type { EpochFrame } from '../../ring/frame-ring.ts'
import type { Thresholds } from '../lease/health.ts'

/** The current holder of the pipeline. */
export type Stream = {
  requestId: string
  onOutput(output: EpochFrame): void
  onAudio?(output: EpochAudio): void
  /** Allocates memory for an output; default: new memory. */
  allocate?: ((bytes: number) => Uint8Array) | undefined
}

export type SupervisorOptions = {
  entry: PipelineEntry
  /** The variant's own params with the server's settings, to which it returns between streams. */
  initial: Values
  /** The params to load with. */
  params: Values
  modelDir: string
  reaper: Reaper
  thresholds: Thresholds
  /** Opens its processes; `alone`: one of its own, even if the pipeline can be shared. */
  openProcess(
    options: Parameters<NonNullable<HostOptions['openProcess']>>[0],
    alone: boolean,
    context: Context,
  ): Promise<Runner>
  /** Bytes of private memory that a runner may use. */
  memoryLimit: number
}

export type SupervisorStatus = {
  phase: 'loading' | 'ready' | 'reloading' | 'restarting' | 'failed'
  /** On the clock of `nowMs`. */
  since: number
  /** What is happening, for people. */
  text: string
}

export type SupervisorEvents = Omit<HostEvents, 'phase'> & {
  status: SupervisorStatus
  /** A runner ended and another is started. */
  restart: { count: number; reason: AppError; lines: string[] }
  /** Emitted four times a second. */
  tick: undefined
}
