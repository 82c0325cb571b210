import { expect, test } from 'vitest'
import { factsOf } from '../../../src/ffmpeg/file/facts.ts'

const about = (...lines: string[]) => ["Input #0, mov, from 'a.mp4':", ...lines.map((line) => `  ${line}`)].join('\n')

test('size, rate, duration, audio and colours are parsed from the output of ffmpeg', () => {
  const text = about(
    'Duration: 01:02:03.50, start: 0.000000, bitrate: 325 kb/s',
    'Stream #0:0[0x1](und): Video: h264 (High) (avc1 / 0x31637661), yuv420p(tv, bt709/unknown/smpte170m, progressive), 1920x1080 [SAR 1:1 DAR 16:9], 240 kb/s, 29.97 fps, 30 tbr, 15360 tbn (default)',
    'Stream #0:1[0x2](und): Audio: aac (LC) (mp4a / 0x6134706D), 44100 Hz, mono, fltp, 69 kb/s (default)',
    'Stream #0:2: Audio: opus, 48000 Hz, stereo, fltp',
  )
  expect(factsOf(text)).toEqual({
    width: 1920,
    height: 1080,
    fps: 29.97,
    seconds: 3723.5,
    audio: ['aac', 'opus'],
    colour: { matrix: 'bt709', transfer: 'smpte170m' },
  })
})

test('one colour tag applies to all three, and unknown ones are left out', () => {
  const colours = (text: string) =>
    factsOf(about(`Stream #0:0: Video: hevc (Main 10), yuv420p10le(${text}), 64x64, 25 fps`))?.colour
  expect(colours('tv, bt709')).toEqual({ matrix: 'bt709', primaries: 'bt709', transfer: 'bt709' })
  expect(colours('tv, bt2020nc/bt2020/smpte2084, progressive')).toEqual({
    matrix: 'bt2020nc',
    primaries: 'bt2020',
    transfer: 'smpte2084',
  })
  expect(colours('pc, gbr/bt470m/log')).toEqual({})
  expect(colours('progressive')).toEqual({})
})

test('cover art of an audio file is no video, and an unknown duration is absent', () => {
  const cover = 'Stream #0:1: Video: mjpeg (Baseline), yuvj420p(pc), 500x500, 90k tbr, 90k tbn (attached pic)'
  expect(factsOf(about(cover))).toBeUndefined()
  const song = about('Duration: 00:03:05.00, start: 0.0', 'Stream #0:0: Audio: mp3, 44100 Hz, stereo, fltp', cover)
  expect(factsOf(song)).toEqual({ seconds: 185, audio: ['mp3'], colour: {} })
  const live = about('Duration: N/A, bitrate: N/A', 'Stream #0:0: Video: rawvideo, yuv420p, 64x48, 25 tbr, 25 tbn')
  expect(factsOf(live)).toEqual({ width: 64, height: 48, fps: 25, audio: [], colour: {} })
})
