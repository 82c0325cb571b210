import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { nowMs } from '../../../src/core/clock.ts'
import { LatencyMeter } from '../../../src/core/counters.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { openVideoDecoder } from '../../../src/ffmpeg/decoder/decoder.ts'
import { openVideoEncoder } from '../../../src/ffmpeg/encoder/encoder.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { encodeClip, numbered, quiet, range, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

describe('packets through decoder and encoder', () => {
  it('keep their timestamps, come without delay, and are keyframes on request', async () => {
    const base = 2 ** 33 - 100_000
    const pts = (i: number) => base + i * 3000 + ((i * 613) % 900)
    const clip = await encodeClip(
      range(90).map((i) => numbered(i, pts(i), 1280, 720)),
      'h264',
      ['-bf', '0'],
    )
    const decoded = new Map<number, number>()
    const packets: (EncodedPacket & { at: number })[] = []
    const encoder = await openVideoEncoder(
      {
        ffmpeg,
        format: 'yuv420p',
        width: 1280,
        height: 720,
        bitrateKbps: 2500,
        trackId: 'out',
        onPacket: (packet) => packets.push({ ...packet, at: nowMs() }),
      },
      { log: quiet },
    )
    const decoder = await openVideoDecoder(
      {
        ffmpeg,
        track: clip.track,
        format: 'yuv420p',
        onFrame: (frame) => {
          decoded.set(frame.pts, nowMs())
          encoder.encode(frame, { key: decoded.size % 20 === 0 })
        },
      },
      { log: quiet },
    )
    const delays = { decode: new LatencyMeter(), encode: new LatencyMeter(), total: new LatencyMeter() }
    for (const [i, packet] of clip.packets.entries()) {
      const written = nowMs()
      decoder.write(packet)
      // The next one goes in only after this one is out: nothing is buffered.
      await waitFor(`packet ${i}`, () => packets.length > i, { everyMs: 0.2 })
      if (i < 10) continue
      const seen = decoded.get(packet.pts)!
      delays.decode.add(seen - written)
      delays.encode.add(packets[i]!.at - seen)
      delays.total.add(packets[i]!.at - written)
    }
    await decoder.close()
    await encoder.close()
    expect(packets.map((packet) => packet.pts)).toEqual(range(90).map(pts))
    expect(packets.flatMap(({ key }, i) => (key ? [i] : []))).toEqual([0, 19, 39, 59, 79])
    // About 3, 4 and 7 ms on a quiet machine.
    expect(delays.decode.percentiles().p50).toBeLessThan(60)
    expect(delays.encode.percentiles().p50).toBeLessThan(80)
    expect(delays.total.percentiles().p50).toBeLessThan(120)
  })
})
