import type { Percentiles } from '../../../core/counters.ts'
import type { AppError, AppErrorJson } from '../../../core/errors.ts'
import type { Values } from '../../protocol.ts'
import type { SupervisorStatus } from '../supervisor/options.ts'
import type { PipelineState } from './health.ts'

export type LeaseStatus = Omit<SupervisorStatus, 'phase'> & {
  /** `stalled`: it is loaded and takes frames, but gave no output for too long. */
  phase: SupervisorStatus['phase'] | 'stalled'
}

export type ParamsReply = {
  /** `accepted`: valid, and applied once the pipeline has loaded. */
  status: 'applied' | 'accepted'
  revision: number
  params: Values
  /** JSON Pointers of the names in the update that the pipeline does not know. */
  ignored: string[]
}

export type PipelineError = {
  message: string
  /** The pipeline's method, or what else went wrong. */
  during: string
  /** How often since the last report. */
  count: number
  /** Milliseconds since 1970. */
  time: number
  /** The stage of a chain where it went wrong. */
  stage?: string
}

export type LeaseEvents = {
  state: { state: PipelineState; previous: PipelineState }
  status: LeaseStatus
  error: PipelineError
  /** The runner ended and is restarted; `logs` are its last lines. */
  restart: { count: number; reason: string; logs: string[]; error: AppError; stage?: string }
  /** A data message with the time of its frame; `lost`: messages dropped since the runner started. */
  data: { pts: number; value: unknown; lost: number }
  log: { level: 'debug' | 'info' | 'warn' | 'error'; line: string; fields?: Values; stage?: string }
  /** The params in effect; `rejected` with the error if an update changed nothing. */
  params: { status: 'applied' | 'rejected'; revision: number; params: Values; error?: AppErrorJson }
}

export type PipelineStats = {
  /** Frames offered and delivered per second, over a rolling window. */
  inputFps: number
  fps: number
  /** Milliseconds since 1970 of the last input frame, output and change of params. */
  lastInputTime: number | undefined
  lastOutputTime: number | undefined
  lastParamsTime: number | undefined
  lastError: PipelineError | undefined
  /** `logs` are the last lines of the previous runner. */
  lastRestart: { time: number; logs: string[] } | undefined
  restarts: number
  dropped: { beforePipeline: number; afterPipeline: number; failed: number }
  /** For a pipeline with one output per input: in = out + all of `dropped` + inside. */
  frames: { in: number; out: number; inside: number }
  /** From the offer of a frame to the delivery of the output with its time. */
  latencyMs: Percentiles
  pid: number | undefined
}
