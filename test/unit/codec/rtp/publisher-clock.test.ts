import { expect, test } from 'vitest'
import { PublisherClock } from '../../../../src/codec/rtp/publisher-clock.ts'

/** RTP timestamps of a publisher whose audio is captured `late` ms after the video that arrives at the same time. */
function publisher() {
  const clock = new PublisherClock()
  return { video: clock.stream(90_000, true), audio: clock.stream(48_000, false) }
}
const videoStamp = (ms: number) => (4_294_900_000 + ms * 90) % 2 ** 32
const audioStamp = (ms: number) => (123_456 + ms * 48) % 2 ** 32
const WALL = 4_000_000_000_000

test('without reports, tracks are aligned by arrival', () => {
  const { video, audio } = publisher()
  expect(video.pts(videoStamp(0), 1000)).toBe(0)
  expect(audio.pts(audioStamp(0), 1080)).toBe(7200)
  expect(video.pts(videoStamp(100), 1100)).toBe(9000)
  expect(audio.pts(audioStamp(100), 1180)).toBe(7200 + 9000)
})

test('reports move the audio into sync and leave the frames', () => {
  const { video, audio } = publisher()
  video.pts(videoStamp(0), 1000)
  audio.pts(audioStamp(0), 1080)
  audio.report(WALL + 500, audioStamp(500))
  video.report(WALL + 600, videoStamp(600))
  expect(audio.pts(audioStamp(700), 1780)).toBe(7200 + 63_000)
  audio.report(WALL + 1000, audioStamp(1000))
  expect(audio.pts(audioStamp(2000), 3080)).toBe(180_000)
  expect(video.pts(videoStamp(2000), 3000)).toBe(180_000)
})

test('jitter of reports moves nothing', () => {
  const { video, audio } = publisher()
  video.pts(videoStamp(0), 1000)
  audio.pts(audioStamp(0), 1000)
  for (let second = 1; second < 20; second++) {
    video.report(WALL + second * 1000 + (second % 3) - 1, videoStamp(second * 1000))
    audio.report(WALL + second * 1000 + (second % 2), audioStamp(second * 1000))
    expect(audio.pts(audioStamp(second * 1000), 1000 + second * 1000)).toBe(second * 90_000)
  }
})

test('timestamps are unwrapped in both directions', () => {
  const { video } = publisher()
  expect([0, 900, 700, 800, 1000].map((ms) => video.pts(videoStamp(ms), 1000 + ms))).toEqual([
    0, 81_000, 63_000, 72_000, 90_000,
  ])
})
