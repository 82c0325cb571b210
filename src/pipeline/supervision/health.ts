export type PipelineState = 'OFFLINE' | 'LOADING' | 'ONLINE' | 'DEGRADED_INPUT' | 'DEGRADED_INFERENCE' | 'ERROR'

/** What is known at one moment. Times are milliseconds on one clock; absent: it never happened. */
export type Observations = {
  /** No runner is there, and none will be started again. */
  failed: boolean
  /** Loaded, and not reloading. */
  ready: boolean
  /** A stream is attached. */
  streaming: boolean
  processStartedAt: number
  readyAt?: number
  streamStartedAt?: number
  lastInputAt?: number
  /** Of the pipeline's own outputs. */
  lastOutputAt?: number
  /** For how long the pipeline has owed an output, without the pauses of its input; 0 or absent: it owes none. */
  owedMs?: number
  lastParamsAt?: number
  lastErrorAt?: number
  lastRestartAt?: number
  /** Over a rolling window; absent until it has been measured. */
  inputFps?: number
  outputFps?: number
}

export type Thresholds = {
  /** Loading, or reloading, for longer is a failure. */
  loadMs: number
  /** Grace after anything that makes a pipeline start over. */
  settleMs: number
  /** The first output may take as long. */
  firstOutputMs: number
  /** An output owed for longer, while inputs come, is a failure. */
  silenceMs: number
  /** No input for longer than these: idle, degraded, given up. */
  idleInputMs: number
  lostInputMs: number
  endedInputMs: number
  /** Inputs further apart, and outputs owed for longer, are degraded. */
  gapMs: number
  minInputFps: number
  /** Outputs a second that are enough for any input, and the share of the input's rate that is enough below it. */
  minOutputFps: number
  minOutputShare: number
  /** How long an error and a restart are felt. */
  errorMs: number
  restartMs: number
}

/** Those of the runner contract, §3.7. */
export const THRESHOLDS: Thresholds = {
  loadMs: 180_000,
  settleMs: 2000,
  firstOutputMs: 10_000,
  silenceMs: 5000,
  idleInputMs: 3000,
  lostInputMs: 60_000,
  endedInputMs: 90_000,
  gapMs: 2000,
  minInputFps: 15,
  minOutputFps: 10,
  minOutputShare: 0.8,
  errorMs: 15_000,
  restartMs: 60_000,
}

export type Verdict = {
  state: PipelineState
  /** Why the runner must be ended and started anew. */
  restart?: 'load-timeout' | 'no-output'
}

/** The state of a pipeline: a pure function of what is known and of the time. The first rule that matches wins. */
export function assess(seen: Observations, now: number, limits: Thresholds = THRESHOLDS): Verdict {
  const started = Math.max(seen.processStartedAt, seen.streamStartedAt ?? 0)
  const inputAge = now - Math.max(seen.lastInputAt ?? 0, started)
  const outputAge = seen.lastOutputAt === undefined ? Number.POSITIVE_INFINITY : now - seen.lastOutputAt
  const owedMs = seen.owedMs ?? 0
  const loadedAt = Math.max(started, seen.readyAt ?? 0, seen.lastParamsAt ?? 0)
  const sinceLoad = Math.max(0, now - loadedAt - limits.settleMs)

  if (seen.failed) return { state: 'ERROR' }
  if (!seen.ready) return sinceLoad > limits.loadMs ? { state: 'ERROR', restart: 'load-timeout' } : { state: 'LOADING' }
  if (!seen.streaming) {
    const idle = inputAge > limits.idleInputMs || seen.lastInputAt === undefined
    return { state: idle ? 'OFFLINE' : 'DEGRADED_INPUT' }
  }
  // A source that went away is no fault of the pipeline's: nothing is restarted for it.
  if (inputAge > limits.lostInputMs) return { state: inputAge < limits.endedInputMs ? 'DEGRADED_INPUT' : 'ERROR' }
  if (outputAge >= sinceLoad) {
    if (sinceLoad < limits.gapMs) return { state: 'ONLINE' }
    if (seen.lastInputAt === undefined || seen.lastInputAt < loadedAt) return { state: 'DEGRADED_INPUT' }
    // Loaded long ago, and the first frame came only now.
    if (owedMs < limits.gapMs) return { state: 'DEGRADED_INPUT' }
    if (Math.min(sinceLoad, owedMs) < limits.firstOutputMs) return { state: 'DEGRADED_INFERENCE' }
    return { state: 'ERROR', restart: 'no-output' }
  }
  if (owedMs > limits.silenceMs) return { state: 'ERROR', restart: 'no-output' }
  const recent = (at: number | undefined, ms: number) => at !== undefined && now - at < ms
  if (recent(seen.lastErrorAt, limits.errorMs) || recent(seen.lastRestartAt, limits.restartMs))
    return { state: 'DEGRADED_INFERENCE' }
  const { inputFps, outputFps } = seen
  if (inputAge > limits.gapMs || (inputFps !== undefined && inputFps < limits.minInputFps))
    return { state: 'DEGRADED_INPUT' }
  const enough = Math.min(limits.minOutputFps, limits.minOutputShare * (inputFps ?? Number.POSITIVE_INFINITY))
  if (owedMs > limits.gapMs || (outputFps !== undefined && outputFps < enough)) return { state: 'DEGRADED_INFERENCE' }
  return { state: 'ONLINE' }
}
