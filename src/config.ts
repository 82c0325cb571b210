import { availableParallelism } from 'node:os'
import { resolve } from 'node:path'
import { z } from 'zod'
import { AppError } from './core/errors.ts'
import { SECRET_SETTINGS } from './core/secrets.ts'
import { VIDEO_ENCODERS } from './ffmpeg/probe.ts'

const text = z.string().trim().min(1)
const whole = (min: number, max: number) =>
  z
    .string()
    .trim()
    .regex(/^\d+$/, `must be a whole number from ${min} to ${max}`)
    .transform(Number)
    .refine((n) => n >= min && n <= max, `must be a whole number from ${min} to ${max}`)

const json = (what: string) =>
  z.string().transform((value, context) => {
    try {
      return JSON.parse(value) as unknown
    } catch {
      context.addIssue({ code: 'custom', message: `must be ${what}` })
      return z.NEVER
    }
  })

const portRange = z.string().transform((value, context) => {
  const match = /^(\d+)-(\d+)$/.exec(value.trim())
  const [min, max] = [Number(match?.[1]), Number(match?.[2])]
  if (!match || min < 1 || max > 65_535 || min > max) {
    context.addIssue({ code: 'custom', message: 'must be two ports with a dash between, such as 50000-50200' })
    return z.NEVER
  }
  return [min, max] as [number, number]
})

const iceServers = json('a JSON list of { urls, username?, credential? }').pipe(
  z.array(
    z.object({
      urls: z.union([text, z.array(text)]),
      username: z.string().optional(),
      credential: z.string().optional(),
    }),
  ),
)

const list = text.transform((value) =>
  value
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== ''),
)

const origins = list.transform((values, context) =>
  values.map((value) => {
    const url = URL.parse(value)
    if (url && /^https?:$/.test(url.protocol) && url.pathname === '/' && !url.search && !url.username) return url.origin
    context.addIssue({ code: 'custom', message: 'must be origins with commas between, such as http://10.0.0.5:8935' })
    return z.NEVER
  }),
)

const webUrl = text
  .refine(
    (value) => /^https?:$/.test(URL.parse(value)?.protocol ?? ''),
    'must be a URL that begins with http:// or https://',
  )
  .transform((value) => value.replace(/\/+$/, ''))

/** Livepeer's price units; dollars an hour when none is named. */
const price = text
  .regex(/^\d+(\.\d+)?(\/(hour|720p|fixed))?$/, 'must be US dollars and a unit, such as 0.35/hour; also 720p and fixed')
  .transform((value) => {
    const [amount, unit = 'hour'] = value.split('/')
    return { price: Number(amount), currency: 'usd', unit }
  })

/** Every setting, by its name in the environment; docs/settings.md says what each means. */
const Settings = z.object({
  PORT: whole(0, 65_535).default(8000),
  HOST: text.optional(),
  AUTH_TOKEN: text.optional(),
  VIEW_TOKEN: text.optional(),
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
  UDP_PORTS: portRange.default([50_000, 50_200]),
  ICE_SERVERS: iceServers.default([]),
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
  ALLOWED_URLS: origins.default([]),
  VERIFY_TLS: z.enum(['0', '1', 'true', 'false']).default('0'),
  INPUT_TIMEOUT_SECONDS: whole(1, 3600).default(60),
  LIVEPEER_BUSY: z.enum(['preempt', 'refuse']).default('preempt'),
  LIVEPEER_STATUS_SECONDS: whole(1, 30).default(10),
  LIVEPEER_ORCHESTRATOR: webUrl.optional(),
  LIVEPEER_ORCH_SECRET: text.optional(),
  LIVEPEER_RUNNER_URL: webUrl.optional(),
  LIVEPEER_APP: text.optional(),
  LIVEPEER_PRICE: price.default({ price: 0, currency: 'usd', unit: 'hour' }),
  LOG_LEVEL: z.enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent']).optional(),
  VERBOSE_LOGGING: z.enum(['0', '1', 'true', 'false']).default('0'),
})

export type SettingName = keyof typeof Settings.shape

export type IceServer = { urls: string | string[]; username?: string | undefined; credential?: string | undefined }

/** The settings as the server uses them. */
export type Config = Readonly<{
  port: number
  host: string
  /** True when the server listens beyond loopback without a token. */
  unprotected: boolean
  /** True when it listens on loopback only and has no token: nobody but this machine may publish and control. */
  localOnly: boolean
  authToken: string | undefined
  viewToken: string | undefined
  pipeline: string
  pipelineParams: Record<string, unknown>
  modelDir: string
  pipelineDir: string
  /** The interpreter, or virtual environment, whose packages are searched for pipelines. */
  python: string
  /** Packages to install before pipelines are looked for. */
  autoInstall: string[]
  /** Prepare models and end, instead of serving. */
  prepareModels: boolean
  maxStreams: number
  warmPipelines: number
  maxViewers: number
  publicIp: string | undefined
  udpPorts: [number, number]
  iceServers: IceServer[]
  ffmpegPath: string | undefined
  videoEncoder: string
  videoBitrateKbps: number
  keyframeSeconds: number
  maxPixels: number
  maxFps: number
  streamLingerMs: number
  /** How long SIGTERM lets running streams go on. */
  drainMs: number
  /** From one address; 0 is no limit. */
  maxSessionsPerMinute: number
  allowedUrls: string[]
  verifyTls: boolean
  inputTimeoutMs: number
  livepeer: {
    busy: 'preempt' | 'refuse'
    statusEventMs: number
    registration: LivepeerRegistrationConfig | undefined
  }
  logLevel: string
}>

export type LivepeerRegistrationConfig = {
  orchestrator: string
  secret: string
  /** Where the orchestrator reaches this server; the server's own address when unset. */
  runnerUrl: string | undefined
  app: string
  price: { price: number; currency: string; unit: string }
}

/**
 * Reads the settings; an empty value counts as unset.
 * @throws AppError `invalid-request` with one line that names the setting, what it got and what it accepts.
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
  const host = s.HOST ?? (s.AUTH_TOKEN ? '0.0.0.0' : '127.0.0.1')
  return Object.freeze({
    port: s.PORT,
    host,
    unprotected: !s.AUTH_TOKEN && !isLoopback(host),
    localOnly: !s.AUTH_TOKEN && isLoopback(host),
    authToken: s.AUTH_TOKEN,
    viewToken: s.VIEW_TOKEN,
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
    udpPorts: s.UDP_PORTS,
    iceServers: s.ICE_SERVERS,
    ffmpegPath: s.FFMPEG_PATH,
    videoEncoder: s.VIDEO_ENCODER,
    videoBitrateKbps: s.VIDEO_BITRATE_KBPS,
    keyframeSeconds: s.KEYFRAME_SECONDS,
    maxPixels: s.MAX_PIXELS,
    maxFps: s.MAX_FPS,
    streamLingerMs: s.STREAM_LINGER_SECONDS * 1000,
    drainMs: s.DRAIN_SECONDS * 1000,
    maxSessionsPerMinute: s.MAX_SESSIONS_PER_MINUTE,
    allowedUrls: s.ALLOWED_URLS,
    verifyTls: isOn(s.VERIFY_TLS),
    inputTimeoutMs: s.INPUT_TIMEOUT_SECONDS * 1000,
    livepeer: {
      busy: s.LIVEPEER_BUSY,
      statusEventMs: s.LIVEPEER_STATUS_SECONDS * 1000,
      registration: registration(s, pipeline),
    },
    logLevel: s.LOG_LEVEL ?? (isOn(s.VERBOSE_LOGGING) ? 'debug' : 'info'),
  })
}

/** Livepeer sets PIPELINE to the kind of job and MODEL_ID to the pipeline; the seed's form sets both to its name. */
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

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host)
}
