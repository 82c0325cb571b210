export type PipelineState = 'OFFLINE' | 'LOADING' | 'ONLINE' | 'DEGRADED_INPUT' | 'DEGRADED_INFERENCE' | 'ERROR'

/** Observations at one moment. Times are milliseconds on one clock; undefined: it never happened. */
export type Observations = {
  /** There is no runner, and none will be started. */
  failed: boolean
  /** Loaded, and not reloading. */
  ready: boolean
  /** A stream is attached. */
  streaming: boolean
  /** Frames are held back while another stage of its chain takes none. */
  held?: boolean
  processStartedAt: number
  readyAt?: number
  streamStartedAt?: number
  lastInputAt?: number
  /** The pipeline's own output. */
  lastOutputAt?: number
  /** How long an output has been due, without pauses of the input; 0 or undefined: none is due. */
  owedMs?: number
  lastParamsAt?: number
  lastErrorAt?: number
  lastRestartAt?: number
  /** Over a rolling window; undefined until measured. */
  inputFps?: number
  outputFps?: number
  /** By the time stamps of its frames, after `MAX_FPS`: the expected rate without loss. Undefined while unknown. */
  sourceFps?: number
}

export type Thresholds = {
  /** Longer loading or reloading is a failure. */
  loadMs: number
  /** Grace period after anything that makes a pipeline start over. */
  settleMs: number
  /** Time limit for the first output. */
  firstOutputMs: number
  /** An output due for longer, while inputs come, is a failure. */
  silenceMs: number
  /** Without input for longer than these, the pipeline is idle, and then nothing is expected of it. */
  idleInputMs: number
  lostInputMs: number
  /** Larger gaps between inputs, unless the source is as slow, and outputs due for longer, count as degraded. */
  gapMs: number
  /** Inputs per second that suffice for any source, and the share of its own rate that suffices for a slower one. */
  minInputFps: number
  minInputShare: number
  /** Outputs per second that suffice for any input, and the share of the input's rate that suffices below it. */
  minOutputFps: number
  minOutputShare: number
  /** How long an error and a restart affect the state. */
  errorMs: number
  restartMs: number
}

/** Values of the runner contract, §3.7. */
export const THRESHOLDS: Thresholds = {
  loadMs: 180_000,
  settleMs: 2000,
  firstOutputMs: 10_000,
  silenceMs: 5000,
  idleInputMs: 3000,
  lostInputMs: 60_000,
  gapMs: 2000,
  minInputFps: 15,
  minInputShare: 0.8,
  minOutputFps: 10,
  minOutputShare: 0.8,
  errorMs: 15_000,
  restartMs: 60_000,
}

/** In a window of two seconds, one frame more or less is no sign. */
const ONE_FRAME = 0.5

export type Verdict = {
  state: PipelineState
  /** Why the runner must be restarted. */
  restart?: 'load-timeout' | 'no-output'
}

/** The state of a pipeline: a pure function of observations and time. The first matching rule wins. */
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
  if (seen.held) return { state: 'ONLINE' }
  // A source that went quiet, such as a static screen share, is no fault of the pipeline and never an error.
  if (inputAge > limits.lostInputMs) return { state: 'DEGRADED_INPUT' }
  if (outputAge >= sinceLoad) {
    if (sinceLoad < limits.gapMs) return { state: 'ONLINE' }
    if (seen.lastInputAt === undefined || seen.lastInputAt < loadedAt) return { state: 'DEGRADED_INPUT' }
    // Loaded long ago, but the first frame came only now.
    if (owedMs < limits.gapMs) return { state: 'DEGRADED_INPUT' }
    if (Math.min(sinceLoad, owedMs) < limits.firstOutputMs) return { state: 'DEGRADED_INFERENCE' }
    return { state: 'ERROR', restart: 'no-output' }
  }
  if (owedMs > limits.silenceMs) return { state: 'ERROR', restart: 'no-output' }
  const recent = (at: number | undefined, ms: number) => at !== undefined && now - at < ms
  if (recent(seen.lastErrorAt, limits.errorMs) || recent(seen.lastRestartAt, limits.restartMs))
    return { state: 'DEGRADED_INFERENCE' }
  const { inputFps, outputFps, sourceFps } = seen
  // A slow camera, a screen share or MAX_FPS is no fault; missing frames are.
  const gapMs = Math.max(limits.gapMs, sourceFps ? 2000 / sourceFps : 0)
  if (inputAge > gapMs || isTooFew(inputFps, limits.minInputFps, limits.minInputShare, sourceFps))
    return { state: 'DEGRADED_INPUT' }
  if (owedMs > limits.gapMs || isTooFew(outputFps, limits.minOutputFps, limits.minOutputShare, inputFps))
    return { state: 'DEGRADED_INFERENCE' }
  return { state: 'ONLINE' }
}

/** A share of `expected` suffices, with a tolerance of one frame in the window over which both are measured. */
function isTooFew(fps: number | undefined, enough: number, share: number, expected = Number.POSITIVE_INFINITY) {
  return fps !== undefined && fps < Math.min(enough, share * expected - ONE_FRAME)
}
