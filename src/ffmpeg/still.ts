import { NutWriter } from '../codec/nut/writer.ts'
import { TICKS_PER_SECOND } from '../core/clock.ts'
import { AppError } from '../core/errors.ts'
import { type Colour, DEFAULT_COLOUR } from '../core/media/colour.ts'
import type { VideoFrame } from '../core/media/frame.ts'
import { type Context, deadline } from '../core/resource.ts'
import { type Ffmpeg, NUT_INPUT } from './binary.ts'
import { fromColours, toColours } from './colour-options.ts'
import { openFfmpeg } from './command.ts'

const STILL_MS = 10_000

const OUTPUT = ['-frames:v', '1', '-c:v', 'mjpeg', '-q:v', '3', '-pix_fmt', 'yuvj420p', '-threads', '1', '-f', 'mjpeg']
/** JFIF has no other. */
const JFIF = toColours({ ...DEFAULT_COLOUR, fullRange: true })
/** Through RGB, because ffmpeg's direct conversion between YUV ranges is off by 3 levels. */
const FILTERS = ['format=gbrp', `scale=${[...JFIF, 'flags=accurate_rnd'].join(':')}`]

/**
 * One frame as JPEG; `colour` is that of a `yuv420p` frame, default BT.601 in limited range. Rejects with
 * `ffmpeg-failed`, or with `timeout` after ten seconds.
 */
export async function encodeJpeg(
  ffmpeg: Ffmpeg,
  frame: VideoFrame,
  context: Context,
  colour: Colour = DEFAULT_COLOUR,
): Promise<Uint8Array> {
  const { format, width, height, data } = frame
  const chunks: Uint8Array[] = []
  const source = format === 'yuv420p' ? [`scale=${fromColours(colour).join(':')}`] : []
  await using coder = await openFfmpeg(
    {
      name: 'still',
      path: ffmpeg.path,
      input: NUT_INPUT,
      output: ['-vf', [...source, ...FILTERS].join(','), ...OUTPUT],
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
