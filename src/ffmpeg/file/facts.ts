import { execFile } from 'node:child_process'
import { AppError } from '../../core/errors.ts'
import type { FfmpegProgram } from '../binary.ts'

/** Properties of a file; undefined where it states none. */
export type FileFacts = {
  /** Undefined without video. */
  width?: number
  height?: number
  /** Approximate frames per second. */
  fps?: number
  seconds?: number
  /** Codec of each audio track. */
  audio: string[]
  /** Colours of its video, in ffmpeg's names. */
  colour: { matrix?: string; primaries?: string; transfer?: string }
}

const READ_MS = 30_000

/** Reads a file's properties with ffmpeg. Rejects with `unsupported-media` for one with neither video nor audio. */
export async function readFileFacts(ffmpeg: FfmpegProgram, input: readonly string[], name: string): Promise<FileFacts> {
  const text = await new Promise<string>((resolve) => {
    // It exits with an error because no output is named; the properties are printed before that.
    execFile(
      ffmpeg.path,
      ['-hide_banner', '-nostdin', ...input],
      { timeout: READ_MS, maxBuffer: 8 * 1024 * 1024 },
      (_error, _stdout, stderr) => resolve(stderr),
    )
  })
  const facts = factsOf(text)
  if (facts) return facts
  const found = /^Input #0/m.test(text)
  const why = found ? 'it has neither video nor audio' : (lastLine(text) ?? 'ffmpeg says nothing of it')
  throw new AppError('unsupported-media', `${name} cannot be read: ${why}`)
}

/** Parses ffmpeg's description of an input; undefined without video and audio. */
export function factsOf(text: string): FileFacts | undefined {
  const lines = text.split('\n')
  // The cover image of an audio file does not count as video.
  const video = lines.find((line) => /^\s*Stream #0:\S+.*: Video: /.test(line) && !line.includes('(attached pic)'))
  const [, width, height] = (video && /, (\d{1,5})x(\d{1,5})[ ,]/.exec(`${video},`)) || []
  const audio = lines.map((line) => /^\s*Stream #0:\S+.*: Audio: (\w+)/.exec(line)?.[1] ?? '').filter(Boolean)
  const size = width && height ? { width: Number(width), height: Number(height) } : undefined
  if (!size && audio.length === 0) return undefined
  const fps = Number(/, ([\d.]+k?) fps\b/.exec(video ?? '')?.[1] ?? /, ([\d.]+) tbr\b/.exec(video ?? '')?.[1])
  const [, hours, minutes, seconds] = /^\s*Duration: (\d+):(\d\d):(\d\d(?:\.\d+)?)/m.exec(text) ?? []
  return {
    ...size,
    ...(fps > 0 && { fps }),
    ...(seconds !== undefined && { seconds: Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds) }),
    audio,
    colour: colourOf(/ Video: .*?, \w+\(([^)]*)\)/.exec(video ?? '')?.[1] ?? ''),
  }
}

/** Names that ffmpeg both prints and accepts. */
const COLOUR_NAMES = new Set(
  'bt709 bt470bg smpte170m smpte240m bt2020nc bt2020c bt2020 bt2020-10 bt2020-12 smpte2084 arib-std-b67 iec61966-2-1'.split(
    ' ',
  ),
)

/** Parses `tv, bt709, progressive` or `tv, bt470bg/bt470bg/smpte170m`; unknown values are left out. */
function colourOf(text: string): FileFacts['colour'] {
  const said = text
    .split(',')
    .map((part) => part.trim())
    .find((part) => part.includes('/') || COLOUR_NAMES.has(part))
  if (!said) return {}
  const [matrix, primaries = matrix, transfer = matrix] = said.split('/')
  const known = Object.entries({ matrix, primaries, transfer }).filter(([, value]) => value && COLOUR_NAMES.has(value))
  return Object.fromEntries(known)
}

function lastLine(text: string): string | undefined {
  return text
    .split('\n')
    .map((line) => line.trim())
    .filter(Boolean)
    .at(-1)
}
