/** The server's requests and responses, as described in `/openapi.json`. */

/** Params by name, as in the pipeline's params schema. */
export type Params = Record<string, unknown>

export type StreamState = 'OFFLINE' | 'LOADING' | 'ONLINE' | 'DEGRADED_INPUT' | 'DEGRADED_INFERENCE' | 'ERROR'

/** The pipeline's output, or a small view of its input without audio. */
export type View = 'input' | 'output'

/** In milliseconds. */
export type Percentiles = { p50: number; p95: number; p99: number }

export type StreamStatus = {
  name: string
  state: StreamState
  /** ISO 8601, like `startedAt`. */
  stateSince: string
  pipeline: string | null
  startedAt: string
  /** Whether the stream has a publisher. */
  publishing: boolean
  /** State of the pull source of the stream. */
  pull: {
    type: string
    /** Scheme, host and port. */
    from: string
    state: 'connecting' | 'running' | 'waiting'
    /** Bytes received over all attempts. */
    bytes: number
    /** Packets lost or damaged over all attempts. */
    lost: number
    failures: number
    lastError: Record<string, unknown> | null
    retryAt: string | null
  } | null
  ingest?: {
    /** `whip`, `mpegts`, `trickle` and others. */
    kind: string
    /** Number of the MPEG-TS program in use. */
    program: number | null
    codec: string | null
    width: number
    height: number
    fps: number
    kbps: number
    /** Packets lost or damaged. */
    lost: number
    /** Frames dropped because of MAX_FPS. */
    thinned: number
    /** Resolution given to the pipeline, when not the source's own. */
    scaledTo: { width: number; height: number } | null
    interlaced: boolean
    /** Width to height of one pixel, when not square. */
    pixelAspect: { width: number; height: number } | null
    audio: { codec: string; sampleRate: number; channels: number } | null
  }
  inference: { fps: number; lastError: unknown; restarts: number }
  /** The pipelines of a chain in frame order; empty for a single pipeline. */
  stages: {
    /** Key of its params: the pipeline’s name, with a number if it is repeated. */
    name: string
    pipeline: string
    state: StreamState
    fps: number
    /** From a frame to its output. */
    latencyMs: Percentiles
    dropped: { beforePipeline: number; afterPipeline: number; failed: number }
    restarts: number
    lastError: unknown
    params: { revision: number; value: Params }
    process: number | null
  }[]
  /** Delay added by the server, per stage. */
  latencyMs: { decode: Percentiles; pipeline: Percentiles; encode: Percentiles; total: Percentiles }
  /** Messages that the pipeline sent with the video. */
  data: { messages: number; lost: number; missed: number }
  /** Frames since the start. */
  dropped: { beforePipeline: number; afterPipeline: number; failed: number; viewers: number }
  egress: {
    width: number
    height: number
    fps: number
    kbps: number
    /** Encoder target bitrate, lowered while viewers' networks carry less. */
    targetKbps: number
    encoder: string
    viewers: number
    inputViewers: number
    /** Retransmitted packets, and refused retransmission requests. */
    resent: number
    resendsRefused: number
    trickleSegments: number
    /** The second encoder, which runs while viewers without H.264 watch. */
    vp8: { viewers: number; encoder: string; fps: number; kbps: number; targetKbps: number } | null
  }
  params: { revision: number; hash: string; value: Params } | null
  /** Process ids. */
  processes: Record<
    'decoder' | 'encoder' | 'vp8Encoder' | 'inputEncoder' | 'inputVp8Encoder' | 'pipeline',
    number | null
  >
}

/** The last five minutes: columns of equal length, oldest first. */
export type StreamHistory = {
  everyMs: number
  /** ISO 8601 time of the newest sample. */
  until: string
  states: { state: StreamState; since: string }[]
  samples: Record<
    'ingestFps' | 'egressFps' | 'ingestKbps' | 'egressKbps' | 'decodeMs' | 'pipelineMs' | 'encodeMs' | 'dropped',
    number[]
  >
}

export type ParamsAnswer = {
  stream: string
  pipeline: string
  /** Increases with each applied change. */
  revision: number
  hash: string
  params: Params
  /** JSON Pointers of values that were sent but are unknown to the pipeline. */
  ignored?: string[]
}

export type PipelineSummary = {
  name: string
  language: 'typescript' | 'python'
  package: string
  version: string
  description: string
  presets: Record<string, Params>
}

export type PipelineDetails = Omit<PipelineSummary, 'language'> & {
  /** `mixed`: a chain with both languages. */
  language: PipelineSummary['language'] | 'mixed'
  /** The pipelines of a chain, in order; empty for a single pipeline. */
  stages: (PipelineSummary & { stage: string })[]
  /** JSON Schema. */
  params: Record<string, unknown>
  defaults: Params
  input: { format?: string; width?: number; height?: number }
}

/** A running or recently ended recording. */
export type Recording = {
  id: string
  stream: string
  view: View
  state: 'recording' | 'finished' | 'failed'
  /** Milliseconds since 1970. */
  startedAt: number
  /** File names, oldest first; the last one grows during the recording. */
  files: string[]
  bytes: number
  /** Packets dropped because the disk was too slow. */
  dropped: number
  error?: Record<string, unknown>
}

/** A file at `recordings/{file}`, fragmented MP4. */
export type RecordedFile = {
  file: string
  stream: string
  bytes: number
  /** Milliseconds since 1970. */
  startedAt: number
  growing: boolean
}

/** An error inside an event. */
export type EventError = Record<string, unknown>

/** An event of a stream. `id` rises by one; `timestamp` is in milliseconds since 1970. */
export type StreamEvent = { id: number; timestamp: number } & (
  | { type: 'state'; state: StreamState; previous: StreamState }
  | { type: 'publisher'; event: 'joined' | 'left'; kind: string; reason?: string }
  | { type: 'pipeline'; status: 'loading' | 'on-air' | 'failed'; pipeline: string; error?: EventError }
  | { type: 'params'; status: 'applied' | 'rejected'; revision: number; hash: string; error?: EventError }
  | {
      type: 'recording'
      status: 'started' | 'finished' | 'failed'
      recording: string
      view: View
      files?: string[]
      error?: EventError
    }
  | {
      type: 'output'
      status: 'running' | 'lost' | 'ended'
      output: string
      kind: string
      /** Scheme, host and port. */
      to: string
      error?: EventError
    }
  /** `stage`: the pipeline within a chain; also in the two events below. */
  | { type: 'error'; source: string; message: string; stage?: string }
  | { type: 'restart'; source: string; count: number; logs?: string[]; stage?: string }
  | { type: 'log'; level: string; line: string; stage?: string }
  | { type: 'viewers'; viewers: number; inputViewers: number }
  | { type: 'status'; status: StreamStatus }
  | { type: 'ended'; why: string; error?: EventError }
)

/** A message that a pipeline sends with the video. */
export type DataMessage = {
  /** Time of its frame in 90 kHz ticks. */
  pts: number
  data: unknown
  /** Messages before this one that were dropped because they came too fast. */
  lost?: number
  /** From a player only: the RTP time stamp of its frame, as `requestVideoFrameCallback` reports it. */
  rtpTimestamp?: number
}

export type MillraceOptions = {
  /** Bearer token: `AUTH_TOKEN`, `VIEW_TOKEN` or a JWT. A function is called for each request. */
  token?: string | (() => string | undefined)
  /**
   * Called when the server answers 401. Resolve with true if `token()` now returns another token: the request is sent
   * once more. `background` is true for requests that no user action started, such as a player's reconnect.
   */
  onUnauthorized?: (request: { background: boolean }) => Promise<boolean>
}

export type RequestOptions = {
  signal?: AbortSignal
  /** See `onUnauthorized`; true for reads by default. */
  background?: boolean
}

export type SendOptions = RequestOptions & {
  body?: BodyInit
  headers?: Record<string, string>
  /** Lets the request finish after the page is left. */
  keepalive?: boolean
}

export type StartOptions = {
  /** Default: the server's default pipeline. */
  pipeline?: string
  /** Params to start with; absent ones are at their defaults. */
  params?: Params
}

export type PublishOptions = StartOptions & {
  /** Upper limit of the browser's video encoder in kbit/s; default 2500. */
  maxKbps?: number
  /** Stops the media's tracks, and so the camera, when publishing ends or fails to start; default true. */
  stopTracks?: boolean
}

export type PlayOptions = {
  /** Default `output`. */
  view?: View
  /** Also emits `data`, the messages of the pipeline; default false. */
  data?: boolean
}

export type EventsOptions = {
  /** Starts with the past events that the server keeps (500); default false. */
  past?: boolean
  /** Ends the iteration. */
  signal?: AbortSignal
}

/** Measurements of this browser as a viewer. */
export type PlayerStats = {
  fps: number
  /** Time that a frame waits in the browser before it is shown. */
  bufferMs: number
  /** 0 while unknown. */
  roundTripMs: number
  /** Packets since the connection was made. */
  lost: number
  width: number
  height: number
}

/** Measurements of this browser as a publisher. */
export type PublisherStats = { fps: number; kbps: number; roundTripMs: number; width: number; height: number }

export type PlayerState = 'connecting' | 'playing' | 'waiting' | 'closed'

export type PlayerEvents = {
  /** `error` says why it waits, if known. */
  state: { state: PlayerState; error?: Error }
  /** In order; a message arrives with its frame, or shortly before or after it. */
  data: DataMessage
}

export type PublisherState = 'starting' | 'publishing' | 'waiting' | 'closed'

export type PublisherEvents = {
  state: { state: PublisherState }
  /** Emitted once, when it is over for good; with an error if something broke. */
  ended: { error?: Error }
}
