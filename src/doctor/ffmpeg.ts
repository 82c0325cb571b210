import { AppError } from '../core/errors.ts'
import type { Log } from '../core/log.ts'
import { findFfmpeg } from '../ffmpeg/probe.ts'
import { type Finding, fine, missing, warn } from './finding.ts'

export type FfmpegOptions = { path: string | undefined; videoEncoder: string; log: Log }

/** Required encoders, and what fails without them. */
const NEEDED: [encoder: string, without: string][] = [
  ['libopus', 'audio other than Opus is left out'],
  ['mjpeg', 'there are no still images'],
  ['aac', 'the test pattern has no audio'],
]
const INSTALL = 'install ffmpeg 5.1 or newer with the package manager (apt install ffmpeg), or set FFMPEG_PATH to one'

/** Starts ffmpeg, and encodes a few frames with the encoder that the server would use. */
export async function checkFfmpeg({ path, videoEncoder, log }: FfmpegOptions): Promise<Finding[]> {
  try {
    const { version, encoders, ...found } = await findFfmpeg({ path, videoEncoder, log })
    const text = `${version.text} at ${found.path}`
    const old = version.major < 5
    const program = old ? warn('ffmpeg', `${text} is old: it works, with more delay`, INSTALL) : fine('ffmpeg', text)
    const lacks = NEEDED.filter(([encoder]) => !encoders.has(encoder)).map(([encoder, without]) =>
      warn('ffmpeg', `has no encoder ${encoder}: ${without}`, 'use an ffmpeg that was built with it'),
    )
    return [program, ...lacks, encoderFinding(found.videoEncoder)]
  } catch (thrown) {
    return [missing('ffmpeg', AppError.from(thrown).message, INSTALL)]
  }
}

function encoderFinding(name: string): Finding {
  if (name !== 'libx264') return fine('Video encoder', `${name}, in hardware`)
  return fine('Video encoder', 'libx264, on the CPU')
}
