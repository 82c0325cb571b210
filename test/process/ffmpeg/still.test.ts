import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { frameBytes, PIXEL_FORMATS, type VideoFrame } from '../../../src/core/media/frame.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { encodeJpeg } from '../../../src/ffmpeg/still.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { quiet, runFfmpeg, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

describe('encodeJpeg', () => {
  it.each(PIXEL_FORMATS)('makes a JPEG of the same size and brightness from %s', async (format) => {
    const [width, height] = [320, 182]
    const data = new Uint8Array(frameBytes(format, width, height)).fill(128)
    const white = format === 'yuv420p' ? 235 : 255
    const row = format === 'rgb24' ? width * 3 : format === 'rgba' ? width * 4 : width
    data.fill(white, 0, (row * height) / 2)
    const frame: VideoFrame = { data, format, width, height, pts: 5 }
    const jpeg = await encodeJpeg(ffmpeg, frame, { log: quiet })
    expect([...jpeg.subarray(0, 3), ...jpeg.subarray(-2)]).toEqual([0xff, 0xd8, 0xff, 0xff, 0xd9])
    const args = ['-f', 'mjpeg', '-i', 'pipe:0', '-pix_fmt', 'gray', '-f', 'rawvideo', 'pipe:1']
    const luma = runFfmpeg(ffmpeg.path, args, jpeg)
    expect(luma.length).toBe(width * height)
    expect(luma[width * 20 + 20]).toBeGreaterThan(250)
    expect(Math.abs(luma[width * (height - 20) + 20]! - 128)).toBeLessThan(6)
  })

  it('stops when its signal is aborted', async () => {
    const frame: VideoFrame = { data: new Uint8Array(64 * 64), format: 'gray', width: 64, height: 64, pts: 0 }
    await expect(encodeJpeg(ffmpeg, frame, { log: quiet, signal: AbortSignal.abort() })).rejects.toThrow()
  })
})
