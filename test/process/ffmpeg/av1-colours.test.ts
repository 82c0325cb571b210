import { beforeAll, expect, test } from 'vitest'
import { sourceForm } from '../../../src/codec/source-form.ts'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import type { VideoTrack } from '../../../src/core/media/packet.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { openVideoDecoder } from '../../../src/ffmpeg/decoder/decoder.ts'
import { quiet, readNut, runFfmpeg, testFfmpeg } from './clips.ts'

const TOLERANCE = 2
const [WIDTH, HEIGHT] = [192, 96]

let ffmpeg: Ffmpeg
beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})

/** Matrix by its name in the scale filter; primaries, transfer and matrix of the bitstream by name and code point. */
test.each([
  { matrix: 'bt601', tags: ['smpte170m', 'smpte170m', 'smpte170m'], codes: [6, 6, 6], range: 'tv', rgb: [196, 58, 37] },
  { matrix: 'bt709', tags: ['bt709', 'bt709', 'bt709'], codes: [1, 1, 1], range: 'tv', rgb: [38, 170, 92] },
  { matrix: 'bt709', tags: ['bt709', 'bt709', 'bt709'], codes: [1, 1, 1], range: 'pc', rgb: [52, 60, 201] },
  { matrix: 'bt2020', tags: ['bt2020', 'bt2020-10', 'bt2020nc'], codes: [9, 14, 9], range: 'tv', rgb: [201, 168, 44] },
  { matrix: 'bt2020', tags: ['bt2020', 'bt2020-10', 'bt2020nc'], codes: [9, 14, 9], range: 'pc', rgb: [40, 150, 190] },
])('AV1 in $matrix, range $range, is decoded within 2 levels', async ({ matrix, tags, codes, range, rgb }) => {
  const hex = rgb.map((part) => part.toString(16).padStart(2, '0')).join('')
  const [primaries = '', transfer = '', space = ''] = tags
  const coded = runFfmpeg(ffmpeg.path, [
    ...['-f', 'lavfi', '-i', `color=c=0x${hex}:s=${WIDTH}x${HEIGHT}:r=10`, '-frames:v', '2'],
    ...['-vf', `format=gbrp,scale=out_color_matrix=${matrix}:out_range=${range}:flags=accurate_rnd,format=yuv420p`],
    ...['-c:v', 'libaom-av1', '-usage', 'realtime', '-cpu-used', '8', '-lag-in-frames', '0', '-crf', '4', '-b:v', '0'],
    ...['-colorspace', space, '-color_primaries', primaries, '-color_trc', transfer, '-color_range', range],
    ...['-f', 'nut', 'pipe:1'],
  ])
  const { frames: packets } = readNut(coded)
  const source = sourceForm('av1', packets[0]!.data)
  expect(source?.colour).toEqual({
    primaries: codes[0],
    transfer: codes[1],
    matrix: codes[2],
    fullRange: range === 'pc',
  })
  const track: VideoTrack = { id: 'v', kind: 'video', codec: 'av1', width: WIDTH, height: HEIGHT }
  const seen: VideoFrame[] = []
  const onFrame = (frame: VideoFrame) => seen.push(frame)
  const decoder = await openVideoDecoder({ ffmpeg, track, format: 'rgb24', source, onFrame }, { log: quiet })
  for (const [i, { key, data }] of packets.entries()) decoder.write({ track, pts: i * 9000, key, data })
  decoder.end()
  await decoder.closed
  expect(seen.length).toBe(packets.length)
  const middle = 3 * ((HEIGHT / 2) * WIDTH + WIDTH / 2)
  const wrong = rgb.map((part, i) => Math.abs(seen[0]!.data[middle + i]! - part))
  expect(Math.max(...wrong), `${seen[0]!.data.subarray(middle, middle + 3)}`).toBeLessThanOrEqual(TOLERANCE)
})
