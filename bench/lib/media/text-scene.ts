import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { ffmpegPath } from '../../../test/helpers/binaries.ts'
import { textFrame, WORDS } from '../../../test/helpers/media/text-frames.ts'
import type { Size } from './sizes.ts'
import { FPS, FRAME_TICKS, isVideo, type Units } from './units.ts'

const SECONDS = 4
/** Frame height for which the scene's text is laid out. */
const LAID_OUT_FOR = 720

/** Lines of text that move in every direction over gradients. */
export type TextScene = {
  units: Units
  /** The frame with this number before encoding. */
  frame(number: number): VideoFrame
}

export async function textScene(size: Size): Promise<TextScene> {
  const count = SECONDS * FPS
  const scale = size.height / LAID_OUT_FOR
  const words = WORDS.map((word) => ({
    ...word,
    ...{ x: word.x * scale, y: word.y * scale, dx: word.dx * scale, dy: word.dy * scale },
    size: Math.round(word.size * scale),
  }))
  const frame = (number: number) => textFrame(size.width, size.height, number % count, words)
  const packets = await encoded(size, Array.from({ length: count }, (_, number) => number).map(frame))
  return {
    units: { size, at: (number) => ({ ...packets[number % count]!, pts: number * FRAME_TICKS }) },
    frame,
  }
}

async function encoded({ width, height }: Size, frames: VideoFrame[]) {
  const folder = await mkdtemp(join(tmpdir(), 'mr-bench-'))
  try {
    const file = join(folder, 'text.ts')
    const raw = ['-f', 'rawvideo', '-pix_fmt', 'yuv420p', '-s', `${width}x${height}`, '-r', String(FPS), '-i', 'pipe:0']
    // High quality, so that only blurring makes text unreadable.
    const coded = ['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '18', '-g', String(FPS), '-bf', '0', file]
    const ffmpeg = spawn(ffmpegPath(), ['-v', 'error', ...raw, ...coded], { stdio: ['pipe', 'ignore', 'inherit'] })
    const exited = once(ffmpeg, 'exit')
    for (const { data } of frames) if (!ffmpeg.stdin.write(data)) await once(ffmpeg.stdin, 'drain')
    ffmpeg.stdin.end()
    const [code] = await exited
    if (code !== 0) throw new Error(`ffmpeg could not encode the scene (exit code ${code})`)
    const reader = new TsReader()
    const packets: EncodedPacket[] = [...reader.push(await readFile(file)), ...reader.flush()]
    return packets.filter(isVideo)
  } finally {
    await rm(folder, { recursive: true })
  }
}
