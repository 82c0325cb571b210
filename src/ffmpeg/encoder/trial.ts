import { AppError } from '../../core/errors.ts'
import type { Log } from '../../core/log.ts'
import { frameBytes } from '../../core/media/frame.ts'
import { deadline } from '../../core/resource.ts'
import { type Ffmpeg, VIDEO_ENCODERS } from '../binary.ts'
import { openVideoEncoder, type VideoEncoder } from './encoder.ts'

const TRIAL_MS = 15_000
const FRAMES = 4
// Hardware refuses much smaller frames.
const SHAPE = { format: 'yuv420p', width: 640, height: 360 } as const

/**
 * Encodes a few frames like the server would: a compiled-in encoder may lack its hardware. Returns why the encoder does
 * not work here, or `undefined` if it does.
 */
export async function tryVideoEncoder(ffmpeg: Ffmpeg, log: Log): Promise<string | undefined> {
  const { promise: encoded, resolve } = Promise.withResolvers<void>()
  let packets = 0
  let pts = 0
  const onPacket = () => {
    packets++
    if (packets === FRAMES) resolve()
  }
  try {
    const options = { ffmpeg, ...SHAPE, bitrateKbps: 1000, trackId: 'trial', onPacket }
    await using encoder = await openVideoEncoder(options, { log })
    const data = new Uint8Array(frameBytes(SHAPE.format, SHAPE.width, SHAPE.height)).fill(128)
    const timer = setInterval(() => {
      encoder.encode({ ...SHAPE, data, pts })
      pts += 3000
    }, 20)
    try {
      await deadline(Promise.race([encoded, endOf(encoder)]), TRIAL_MS, 'encoding a few frames')
    } finally {
      clearInterval(timer)
    }
    return undefined
  } catch (thrown) {
    return reasonOf(AppError.from(thrown))
  }
}

/** The same ffmpeg with the next best encoder that works now; `undefined` if there is none. */
export async function withNextEncoder(ffmpeg: Ffmpeg, log: Log): Promise<Ffmpeg | undefined> {
  for (const videoEncoder of VIDEO_ENCODERS.slice(VIDEO_ENCODERS.indexOf(ffmpeg.videoEncoder) + 1)) {
    const next = { ...ffmpeg, videoEncoder }
    if (ffmpeg.encoders.has(videoEncoder) && (await tryVideoEncoder(next, log)) === undefined) return next
  }
  return undefined
}

async function endOf(encoder: VideoEncoder): Promise<never> {
  const { error } = await encoder.closed
  throw error ?? new AppError('ffmpeg-failed', 'it ended without output')
}

/** ffmpeg's first complaint is the cause; the others follow from it. */
function reasonOf({ message, details }: AppError): string {
  const lines = Array.isArray(details?.stderr) ? details.stderr.map(String) : []
  return lines[0]?.replace(/^\[[^\]]*\] /, '') ?? message
}
