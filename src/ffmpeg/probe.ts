import { execFile } from 'node:child_process'
import { constants } from 'node:fs'
import { access } from 'node:fs/promises'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { VIDEO_CODECS, type VideoCodec } from '../core/media/packet.ts'
import { type Ffmpeg, type FfmpegProgram, VIDEO_ENCODERS, type VideoEncoderName } from './binary.ts'
import { tryVideoEncoder } from './encoder/trial.ts'

export type { Ffmpeg } from './binary.ts'

export type FindFfmpegOptions = {
  /** The ffmpeg to use; default: the one on PATH, else the npm package `@ffmpeg-installer/ffmpeg`. */
  path?: string | undefined
  /** `auto`, or the name of an encoder in `VIDEO_ENCODERS`. */
  videoEncoder: string
  log: Log
}

const RUN_MS = 20_000
/** Decoders of a codec that need no special hardware; ffmpeg's own for AV1 does. */
const DECODERS: Record<VideoCodec, readonly string[]> = {
  h264: ['h264', 'libopenh264'],
  hevc: ['hevc'],
  vp8: ['vp8', 'libvpx'],
  vp9: ['vp9', 'libvpx-vp9'],
  av1: ['libdav1d', 'libaom-av1', 'libgav1'],
}
const INSTALL = 'install ffmpeg with your package manager, or set FFMPEG_PATH to one'

/** Finds ffmpeg and tests it and its encoder. Rejects with `ffmpeg-failed`, which says what setting to change. */
export async function findFfmpeg({ path, videoEncoder, log }: FindFfmpegOptions): Promise<Ffmpeg> {
  const accepted = ['auto', ...VIDEO_ENCODERS]
  if (!accepted.includes(videoEncoder)) {
    throw failed(`VIDEO_ENCODER is "${videoEncoder}"; accepted are ${accepted.join(', ')}`)
  }
  const found = await findProgram({ path, log })
  const encoder = await chooseEncoder(found, videoEncoder as VideoEncoderName | 'auto', log)
  return { ...found, videoEncoder: encoder }
}

/** The same for uses that choose their own encoder or need none. */
export async function findProgram({ path, log }: Omit<FindFfmpegOptions, 'videoEncoder'>): Promise<FfmpegProgram> {
  const program = path ? resolve(path) : ((await onPath()) ?? (await fromPackage(log)))
  const setting = path ? `FFMPEG_PATH is "${path}"` : `ffmpeg was found at ${program}`
  const version = readVersion(await run(program, ['-version'], setting), setting)
  const listed = async (what: string) => readCoders(await run(program, ['-hide_banner', what], setting))
  const [encoders, decoders] = await Promise.all([listed('-encoders'), listed('-decoders')])
  const decodes = VIDEO_CODECS.filter((codec) => DECODERS[codec].some((name) => decoders.has(name)))
  return { path: program, version, encoders, decodes }
}

async function chooseEncoder(
  found: FfmpegProgram,
  wanted: VideoEncoderName | 'auto',
  log: Log,
): Promise<VideoEncoderName> {
  const reasons: string[] = []
  for (const name of wanted === 'auto' ? VIDEO_ENCODERS : [wanted]) {
    const reason = found.encoders.has(name)
      ? await tryVideoEncoder({ ...found, videoEncoder: name }, log)
      : 'it is not compiled into this ffmpeg'
    if (reason === undefined) return name
    log.debug({ encoder: name, reason }, 'video encoder does not work')
    reasons.push(`${name}: ${reason}`)
  }
  throw failed(`VIDEO_ENCODER is "${wanted}", but ${found.path} cannot use it (${reasons.join('; ')})`)
}

async function onPath(): Promise<string | undefined> {
  const names = process.platform === 'win32' ? ['ffmpeg.exe'] : ['ffmpeg']
  for (const dir of (process.env.PATH ?? '').split(delimiter)) {
    if (!dir) continue
    for (const name of names) {
      const candidate = resolve(join(dir, name))
      const usable = await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
      if (usable) return candidate
    }
  }
  return undefined
}

async function fromPackage(log: Log): Promise<string> {
  try {
    const { default: installer } = await import('@ffmpeg-installer/ffmpeg')
    const { path, version } = installer
    log.warn({ path, version, mend: INSTALL }, 'no ffmpeg on PATH, using the old one of an npm package')
    return path
  } catch (cause) {
    throw failed(`no ffmpeg found: FFMPEG_PATH is not set and there is none on PATH; ${INSTALL}`, cause)
  }
}

async function run(program: string, args: string[], setting: string): Promise<string> {
  try {
    const { stdout } = await promisify(execFile)(program, args, { timeout: RUN_MS, maxBuffer: 8 * 1024 * 1024 })
    return stdout
  } catch (thrown) {
    const cause = thrown as Error & { code?: unknown }
    const why = cause.code === 'ENOENT' ? 'there is no such file' : cause.message.trim()
    throw failed(`${setting}, which cannot be run: ${why}; accepted is an ffmpeg of version 4 or newer`, cause)
  }
}

// Releases by library version, for development builds, whose own version says nothing.
const RELEASES = new Map([
  [58, 4],
  [59, 5],
  [60, 6],
  [61, 7],
  [62, 8],
])

function readVersion(text: string, setting: string): Ffmpeg['version'] {
  const first = text.split('\n', 1)[0] ?? ''
  const name = /^ffmpeg version (\S+)/.exec(first)?.[1]
  const codec = /^libavcodec\s+(\d+)\./m.exec(text)?.[1]
  if (!name || !codec) throw failed(`${setting}, which is no ffmpeg: it says "${first.slice(0, 80)}"`)
  const numbers = /^n?(\d+)\.(\d+)/.exec(name)
  const release = RELEASES.get(Number(codec)) ?? (Number(codec) > 62 ? Number(codec) - 54 : 0)
  const version = { major: Number(numbers?.[1] ?? release), minor: Number(numbers?.[2] ?? 0), text: name }
  if (version.major < 4) throw failed(`${setting}, version ${name}; accepted is version 4 or newer`)
  return version
}

/** Parses the names of a list of encoders or decoders. */
function readCoders(text: string): ReadonlySet<string> {
  return new Set([...text.matchAll(/^ [VAS][A-Z.]{5} (\S+)/gm)].map(([, name]) => name!).filter((name) => name !== '='))
}

function failed(message: string, cause?: unknown): AppError {
  return new AppError('ffmpeg-failed', message, { cause })
}
