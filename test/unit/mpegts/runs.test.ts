import { describe, expect, it } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { tsRuns } from '../../../src/mpegts/runs.ts'
import { frames } from '../codec/mpegts/ts-samples.ts'

const [KEY, DELTA] = frames(2).map(({ data }) => data) as [Uint8Array, Uint8Array]
const video = (pts: number, key = false, width = 640): EncodedPacket => ({
  track: { id: 'video', kind: 'video', codec: 'h264', width, height: 360 },
  data: key ? KEY : DELTA,
  pts,
  key,
})
const audio = (pts: number): EncodedPacket => ({
  track: { id: 'audio', kind: 'audio', codec: 'opus', sampleRate: 48_000, channels: 2 },
  data: Uint8Array.of(0xfc, 1, 2, 3),
  pts,
  key: true,
})

/** The runs of these packets: tracks in the first tables and timestamps of each. */
async function runsOf(packets: EncodedPacket[], expectsAudio = false) {
  const runs: Buffer[][] = []
  async function* all() {
    yield* packets
  }
  for await (const { bytes, begins } of tsRuns(all(), () => expectsAudio)) {
    if (begins) runs.push([])
    runs.at(-1)?.push(Buffer.from(bytes))
  }
  return runs.map((chunks) => {
    const reader = new TsReader()
    reader.push(chunks[0]!)
    const { program } = reader
    const all = new TsReader()
    const read = [...all.push(Buffer.concat(chunks)), ...all.flush()]
    const times = (kind: string) => read.filter(({ track }) => track.kind === kind).map(({ pts }) => pts)
    return { hasAudio: program?.audio !== undefined, video: times('video'), audio: times('audio') }
  })
}

describe('tsRuns', () => {
  it('start at a keyframe, with the audio in the first tables that arrives within some frames', async () => {
    const packets = [video(0), audio(900), video(3000, true), video(6000), audio(7000), video(9000)]
    expect(await runsOf(packets)).toEqual([{ hasAudio: true, video: [3000, 6000, 9000], audio: [7000] }])
  })

  it('go without audio when none arrives, and start anew at the next keyframe when it does', async () => {
    const times = Array.from({ length: 8 }, (_, i) => i * 3000)
    const silent = times.map((pts) => video(pts, pts === 0))
    const packets = [
      ...silent,
      audio(24_000),
      video(27_000),
      video(30_000, true),
      audio(32_000),
      video(33_000),
      video(36_000),
    ]
    expect(await runsOf(packets)).toEqual([
      { hasAudio: false, video: [...times, 27_000], audio: [] },
      { hasAudio: true, video: [30_000, 33_000, 36_000], audio: [32_000] },
    ])
  })

  it('wait for audio that is known to come, but not longer than two seconds', async () => {
    const times = Array.from({ length: 70 }, (_, i) => i * 3000)
    const silent = times.map((pts) => video(pts, pts === 0))
    const late = [...silent.slice(0, 50), audio(2000), ...silent.slice(50)]
    expect(await runsOf(late, true)).toEqual([{ hasAudio: true, video: times, audio: [2000] }])
    expect(await runsOf(silent, true)).toEqual([{ hasAudio: false, video: times, audio: [] }])
    expect(await runsOf(late, false)).toMatchObject([{ hasAudio: false }])
  })

  it('leave out audio that begins before the first frame once encoded as AAC, and none later', async () => {
    const packets = [video(3000, true), audio(4900), video(6000), video(9000), audio(4910), audio(4920), audio(0)]
    expect(await runsOf(packets)).toMatchObject([{ audio: [4920, 0] }])
  })

  it('start anew where the resolution changes', async () => {
    const packets = [
      audio(0),
      video(0, true),
      video(3000),
      video(6000, true),
      video(9000, true, 320),
      audio(9000),
      video(12_000),
      video(15_000),
    ]
    expect((await runsOf(packets)).map((run) => run.video)).toEqual([
      [0, 3000, 6000],
      [9000, 12_000, 15_000],
    ])
  })
})
