import { NutWriter } from '../codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { type Context, deadline } from '../core/resource.ts'
import { type Ffmpeg, NUT_INPUT } from './binary.ts'
import { openFfmpeg } from './command.ts'

const STILL_MS = 10_000

const OUTPUT = ['-frames:v', '1', '-c:v', 'mjpeg', '-q:v', '3', '-pix_fmt', 'yuvj420p', '-threads', '1', '-f', 'mjpeg']

/** One frame as JPEG. Fails with `ffmpeg-failed`, or with `timeout` after ten seconds. */
export async function encodeJpeg(ffmpeg: Ffmpeg, frame: VideoFrame, context: Context): Promise<Uint8Array> {
  const { format, width, height, data } = frame
  const chunks: Uint8Array[] = []
  await using coder = await openFfmpeg(
    {
      name: 'still',
      path: ffmpeg.path,
      input: NUT_INPUT,
      output: OUTPUT,
      sink: { push: (chunk) => chunks.push(new Uint8Array(chunk)) },
    },
    context,
  )
  const writer = new NutWriter({ kind: 'video', codec: format, width, height }, { num: 1, den: TICKS_PER_SECOND })
  coder.write(writer.header(), writer.frame(0, true, data.length), data)
  coder.end()
  const { error } = await deadline(coder.closed, STILL_MS, 'encoding a still image')
  if (error) throw error
  const jpeg = Buffer.concat(chunks)
  if (jpeg.length === 0) throw new AppError('ffmpeg-failed', 'ffmpeg (still) gave no frame')
  return jpeg
}
