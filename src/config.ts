import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { AppError } from './core/errors.ts'
import { SECRET_SETTINGS } from './core/secrets.ts'
import { VIDEO_ENCODERS } from './ffmpeg/binary.ts'
import {
  cidrs,
  iceServers,
  json,
  list,
  liveKitUrls,
  millraceServers,
  origins,
  portRange,
  price,
  text,
  webhookSecret,
  webUrl,
  whole,
} from './setting-forms.ts'
import { HeaderList } from './tracing/header-list.ts'
import { isTurnUrl } from './webrtc/ice/turn.ts'

const MIB = 1024 * 1024

/** All settings by environment name; documented in docs/settings.md. */
const Settings = z.object({
  PORT: whole(0, 65_535).default(8000),
  HOST: text.optional(),
  AUTH_TOKEN: text.optional(),
  VIEW_TOKEN: text.optional(),
  JWT_SECRET: text.min(32, 'must have at least 32 characters').optional(),
  JWKS_URL: webUrl.optional(),
  AUTH_URL: webUrl.optional(),
  WEBHOOK_URL: webUrl.optional(),
  WEBHOOK_SECRET: webhookSecret.optional(),
  PIPELINE: text.optional(),
  MODEL_ID: text.optional(),
  PIPELINE_PARAMS: json('a JSON object')
    .pipe(z.record(z.string(), z.unknown(), 'must be a JSON object'))
    .default({}),
  MODEL_DIR: text.default('./models'),
  PIPELINE_DIR: text.default('./.millrace/pipelines'),
  PYTHON: text.optional(),
  VIRTUAL_ENV: text.optional(),
  AUTO_INSTALL_PIPELINE: list.default([]),
  PREPARE_MODELS: z.enum(['0', '1', 'true', 'false']).default('0'),
  MAX_STREAMS: whole(1, 1000).default(Math.max(2, availableParallelism())),
  WARM_PIPELINES: whole(0, 100).default(1),
  MAX_VIEWERS: whole(1, 10_000).default(100),
  PUBLIC_IP: z.union([z.ipv4(), z.ipv6()], 'must be an IP address').optional(),
  UDP_PORT: whole(0, 65_535).optional(),
  UDP_PORTS: portRange.optional(),
  ICE_SERVERS: iceServers.default([]),
  TURN_SECRET: text.optional(),
  FFMPEG_PATH: text.optional(),
  VIDEO_ENCODER: z.enum(['auto', ...VIDEO_ENCODERS]).default('auto'),
  VIDEO_BITRATE_KBPS: whole(50, 100_000).default(2500),
  KEYFRAME_SECONDS: whole(1, 60).default(2),
  MAX_PIXELS: text
    .transform((value) => {
      const size = /^(\d+)\s*[x×]\s*(\d+)$/.exec(value)
      return size ? Number(size[1]) * Number(size[2]) : Number(value)
    })
    .refine(
      (n) => Number.isInteger(n) && n >= 64 * 64 && n <= 3840 * 2160,
      'must be a size such as 1920x1088, from 64x64 to 3840x2160',
    )
    .default(1920 * 1088),
  MAX_FPS: whole(1, 1000).default(60),
  STREAM_LINGER_SECONDS: whole(0, 3600).default(10),
  DRAIN_SECONDS: whole(0, 86_400).default(0),
  MAX_SESSIONS_PER_MINUTE: whole(0, 1_000_000).default(120),
  MAX_READS_PER_ADDRESS: whole(0, 1_000_000).default(200),
  MAX_WAITING_STREAMS: whole(0, 1000).default(16),
  MAX_BODY_BYTES: whole(1024, 8 * 1024 * 1024).default(1024 * 1024),
  TRICKLE_MEMORY_MB: whole(16, 1_000_000).default(512),
  TRUST_PROXY: cidrs.default([]),
  ALLOWED_URLS: origins.default([]),
  VERIFY_TLS: z.enum(['0', '1', 'true', 'false']).optional(),
  INPUT_TIMEOUT_SECONDS: whole(1, 3600).default(60),
  LIVEPEER_BUSY: z.enum(['preempt', 'refuse']).default('preempt'),
  LIVEPEER_STATUS_SECONDS: whole(1, 30).default(10),
  LIVEPEER_ORCHESTRATOR: webUrl.optional(),
  LIVEPEER_ORCH_SECRET: text.optional(),
  LIVEPEER_RUNNER_URL: webUrl.optional(),
  LIVEPEER_APP: text.optional(),
  LIVEPEER_PRICE: price.default({ price: 0, currency: 'usd', unit: 'hour' }),
  LIVEKIT_URL: liveKitUrls.optional(),
  LIVEKIT_API_KEY: text.optional(),
  LIVEKIT_API_SECRET: text.optional(),
  MILLRACE_SERVERS: millraceServers.default([]),
  DISPATCH_RULES: text.optional(),
  RECORD_DIR: text.default('./recordings'),
  RECORD: z.enum(['input', 'output']).optional(),
  RECORD_MAX_MB: whole(1, 100_000_000).default(10_240),
  RECORD_MIN_FREE_MB: whole(0, 100_000_000).default(512),
  RECORD_SPLIT_SECONDS: whole(0, 86_400).default(0),
  RECORD_SPLIT_MB: whole(0, 1_000_000).default(0),
  OTEL_EXPORTER_OTLP_ENDPOINT: webUrl.optional(),
  OTEL_EXPORTER_OTLP_HEADERS: HeaderList.default({}),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).optional(),
  VERBOSE_LOGGING: z.enum(['0', '1', 'true', 'false']).default('0'),
})

export type SettingName = keyof typeof Settings.shape
export const SETTING_NAMES: readonly string[] = Object.keys(Settings.shape)

export type IceServer = { urls: string | string[]; username?: string | undefined; credential?: string | undefined }

/** The parsed settings. */
export type Config = Readonly<{
  port: number
  host: string
  /** True if the server listens beyond loopback without a token. */
  unprotected: boolean
  /** True if it listens on loopback only and has no token: only this machine may publish and control. */
  localOnly: boolean
  authToken: string | undefined
  viewToken: string | undefined
  jwtSecret: string | undefined
  jwksUrl: string | undefined
  authUrl: string | undefined
  /** Receiver of the events of all streams. */
  webhook: { url: string; secret: string } | undefined
  pipeline: string
  pipelineParams: Record<string, unknown>
  modelDir: string
  pipelineDir: string
  /** The interpreter or virtual environment whose packages are searched for pipelines. */
  python: string
  /** Packages to install before pipelines are discovered. */
  autoInstall: string[]
  /** Prepare models and exit, instead of serving. */
  prepareModels: boolean
  maxStreams: number
  warmPipelines: number
  maxViewers: number
  publicIp: string | undefined
  /** As set: 0 is any free port; undefined is the default port, or any if that is taken. */
  udpPort: number | undefined
  /** Used instead of the one port: a port per session. */
  udpPorts: [number, number] | undefined
  iceServers: IceServer[]
  /** Shared with the TURN servers, for credentials that expire. */
  turnSecret: string | undefined
  ffmpegPath: string | undefined
  videoEncoder: string
  videoBitrateKbps: number
  keyframeSeconds: number
  maxPixels: number
  maxFps: number
  streamLingerMs: number
  /** How long SIGTERM lets running streams continue. */
  drainMs: number
  /** Per address; 0 is no limit. */
  maxSessionsPerMinute: number
  /** Per address at once; 0 is no limit. */
  maxReadsPerAddress: number
  maxWaitingStreams: number
  maxBodyBytes: number
  /** Limit for the segments of all trickle channels. */
  trickleBytes: number
  /** Addresses and CIDRs. */
  trustProxy: string[]
  allowedUrls: string[]
  /** Whether to verify certificates of trickle servers and orchestrators, and of media servers. */
  verifyTls: boolean
  verifyMediaTls: boolean
  inputTimeoutMs: number
  record: {
    folder: string
    always: 'input' | 'output' | undefined
    maxBytes: number
    minFreeBytes: number
    splitMs: number
    splitBytes: number
  }
  livepeer: {
    busy: 'preempt' | 'refuse'
    statusEventMs: number
    registration: LivepeerRegistrationConfig | undefined
  }
  livekit: { urls: string[]; apiKey: string; apiSecret: string } | undefined
  /** Servers and rules of `millrace dispatch`. */
  dispatch: { servers: string[]; rules: string | undefined }
  /** Destination of spans. */
  tracing: { endpoint: string; headers: Record<string, string> } | undefined
  logLevel: string
}>

export type LivepeerRegistrationConfig = {
  orchestrator: string
  secret: string
  /** Address of this server for the orchestrator; default: the server's own address. */
  runnerUrl: string | undefined
  app: string
  price: { price: number; currency: string; unit: string }
}

/**
 * Parses the settings; an empty value counts as unset.
 * @throws AppError `invalid-request` with one line that names the setting, its value and what it accepts.
 */
export function readConfig(environment: Record<string, string | undefined>): Config {
  const given = Object.fromEntries(
    Object.entries(environment).filter(([, value]) => value !== undefined && value !== ''),
  )
  const result = Settings.safeParse(given)
  if (!result.success) {
    const issue = result.error.issues[0]
    const name = String(issue?.path[0] ?? '')
    const secret = SECRET_SETTINGS.some((setting) => setting === name)
    const got = secret ? 'a value' : JSON.stringify(given[name])
    throw new AppError('invalid-request', `${name} is ${got}: ${issue?.message ?? 'not accepted'}`)
  }
  const s = result.data
  const pipeline = pipelineName(s.PIPELINE, s.MODEL_ID)
  const guarded = [s.AUTH_TOKEN, s.JWT_SECRET, s.JWKS_URL, s.AUTH_URL].some(Boolean)
  const host = s.HOST ?? (guarded ? '0.0.0.0' : '127.0.0.1')
  return Object.freeze({
    port: s.PORT,
    host,
    unprotected: !guarded && !isLoopback(host),
    localOnly: !guarded && isLoopback(host),
    authToken: s.AUTH_TOKEN,
    viewToken: s.VIEW_TOKEN,
    jwtSecret: s.JWT_SECRET,
    jwksUrl: s.JWKS_URL,
    authUrl: s.AUTH_URL,
    webhook: webhook(s),
    pipeline,
    pipelineParams: s.PIPELINE_PARAMS,
    modelDir: resolve(s.MODEL_DIR),
    pipelineDir: resolve(s.PIPELINE_DIR),
    python: s.PYTHON ?? s.VIRTUAL_ENV ?? 'python3',
    autoInstall: s.AUTO_INSTALL_PIPELINE,
    prepareModels: s.PREPARE_MODELS === '1' || s.PREPARE_MODELS === 'true',
    maxStreams: s.MAX_STREAMS,
    warmPipelines: s.WARM_PIPELINES,
    maxViewers: s.MAX_VIEWERS,
    publicIp: s.PUBLIC_IP,
    udpPort: s.UDP_PORT,
    udpPorts: s.UDP_PORTS,
    iceServers: s.ICE_SERVERS,
    turnSecret: turnSecret(s),
    ffmpegPath: s.FFMPEG_PATH,
    videoEncoder: s.VIDEO_ENCODER,
    videoBitrateKbps: s.VIDEO_BITRATE_KBPS,
    keyframeSeconds: s.KEYFRAME_SECONDS,
    maxPixels: s.MAX_PIXELS,
    maxFps: s.MAX_FPS,
    streamLingerMs: s.STREAM_LINGER_SECONDS * 1000,
    drainMs: s.DRAIN_SECONDS * 1000,
    maxSessionsPerMinute: s.MAX_SESSIONS_PER_MINUTE,
    maxReadsPerAddress: s.MAX_READS_PER_ADDRESS,
    maxWaitingStreams: s.MAX_WAITING_STREAMS,
    maxBodyBytes: s.MAX_BODY_BYTES,
    trickleBytes: s.TRICKLE_MEMORY_MB * MIB,
    trustProxy: s.TRUST_PROXY,
    allowedUrls: s.ALLOWED_URLS,
    verifyTls: isOn(s.VERIFY_TLS ?? '0'),
    verifyMediaTls: isOn(s.VERIFY_TLS ?? '1'),
    inputTimeoutMs: s.INPUT_TIMEOUT_SECONDS * 1000,
    record: {
      folder: resolve(s.RECORD_DIR),
      always: s.RECORD,
      maxBytes: s.RECORD_MAX_MB * MIB,
      minFreeBytes: s.RECORD_MIN_FREE_MB * MIB,
      splitMs: s.RECORD_SPLIT_SECONDS * 1000,
      splitBytes: s.RECORD_SPLIT_MB * MIB,
    },
    livepeer: {
      busy: s.LIVEPEER_BUSY,
      statusEventMs: s.LIVEPEER_STATUS_SECONDS * 1000,
      registration: registration(s, pipeline),
    },
    livekit: livekit(s),
    dispatch: { servers: s.MILLRACE_SERVERS, rules: s.DISPATCH_RULES },
    tracing: s.OTEL_EXPORTER_OTLP_ENDPOINT
      ? { endpoint: s.OTEL_EXPORTER_OTLP_ENDPOINT, headers: s.OTEL_EXPORTER_OTLP_HEADERS }
      : undefined,
    logLevel: s.LOG_LEVEL ?? (isOn(s.VERBOSE_LOGGING) ? 'debug' : 'info'),
  })
}

function webhook({ WEBHOOK_URL: url, WEBHOOK_SECRET: secret }: z.output<typeof Settings>): Config['webhook'] {
  if (url !== undefined && secret !== undefined) return { url, secret }
  if (url === undefined) return undefined
  throw new AppError('invalid-request', 'WEBHOOK_SECRET is not set: WEBHOOK_URL needs it to sign webhooks')
}

function livekit(s: z.output<typeof Settings>): Config['livekit'] {
  const { LIVEKIT_URL: urls, LIVEKIT_API_KEY: apiKey, LIVEKIT_API_SECRET: apiSecret } = s
  if (!urls && apiKey === undefined && apiSecret === undefined) return undefined
  if (urls && apiKey !== undefined && apiSecret !== undefined) return { urls, apiKey, apiSecret }
  const unset = (['LIVEKIT_URL', 'LIVEKIT_API_KEY', 'LIVEKIT_API_SECRET'] as const).find(
    (name) => s[name] === undefined,
  )
  throw new AppError(
    'invalid-request',
    `${unset} is not set: LIVEKIT_URL, LIVEKIT_API_KEY and LIVEKIT_API_SECRET go together`,
  )
}

function turnSecret({ TURN_SECRET, ICE_SERVERS }: z.output<typeof Settings>): string | undefined {
  if (TURN_SECRET === undefined || ICE_SERVERS.some(({ urls }) => [urls].flat().some(isTurnUrl))) return TURN_SECRET
  throw new AppError(
    'invalid-request',
    'TURN_SECRET is set, but ICE_SERVERS names no TURN server: add one, such as [{"urls":"turn:turn.example.com"}]',
  )
}

/** Livepeer sets PIPELINE to the kind of job and MODEL_ID to the pipeline; otherwise both have the pipeline's name. */
function pipelineName(pipeline: string | undefined, modelId: string | undefined): string {
  if (pipeline === 'live-video-to-video') return modelId ?? 'noop'
  if (pipeline && modelId && pipeline !== modelId) {
    throw new AppError(
      'invalid-request',
      `MODEL_ID is "${modelId}" but PIPELINE is "${pipeline}": set one of them, both to one name, or PIPELINE to live-video-to-video`,
    )
  }
  return pipeline ?? modelId ?? 'noop'
}

function registration(s: z.output<typeof Settings>, pipeline: string): LivepeerRegistrationConfig | undefined {
  if (!s.LIVEPEER_ORCHESTRATOR) return undefined
  if (!s.LIVEPEER_ORCH_SECRET) {
    throw new AppError(
      'invalid-request',
      'LIVEPEER_ORCH_SECRET is not set: LIVEPEER_ORCHESTRATOR needs it, the -orchSecret of that orchestrator',
    )
  }
  return {
    orchestrator: s.LIVEPEER_ORCHESTRATOR,
    secret: s.LIVEPEER_ORCH_SECRET,
    runnerUrl: s.LIVEPEER_RUNNER_URL,
    app: s.LIVEPEER_APP ?? pipeline,
    price: s.LIVEPEER_PRICE,
  }
}

function isOn(value: string): boolean {
  return value === '1' || value === 'true'
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}
