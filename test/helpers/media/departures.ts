import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { nowMs, ticksToMs } from '../../../src/core/clock.ts'

/** When audio and video of the same time leave a server. */
export type Departures = {
  /** How much later than audio of its time video leaves, in milliseconds: the median over all its packets. */
  videoBehindAudioMs: number
  packets: { audio: number; video: number }
}

/** Reads `frames` video frames of an endless transport stream, after `skipped` others. */
export async function measureDepartures(url: string, frames: number, skipped = 0): Promise<Departures> {
  const reader = new TsReader()
  const offsets = { audio: [] as number[], video: [] as number[] }
  const stop = new AbortController()
  const { body } = await fetch(url, { signal: stop.signal })
  try {
    for await (const chunk of body!) {
      const now = nowMs()
      for (const { track, pts } of reader.push(chunk)) offsets[track.kind].push(now - ticksToMs(pts))
      if (offsets.video.length >= skipped + frames) break
    }
  } finally {
    stop.abort()
  }
  const share = skipped / (skipped + frames)
  const median = (all: number[]) => {
    const kept = all.slice(Math.floor(all.length * share)).sort((a, b) => a - b)
    return kept[kept.length >> 1] ?? Number.NaN
  }
  return {
    videoBehindAudioMs: median(offsets.video) - median(offsets.audio),
    packets: { audio: offsets.audio.length, video: offsets.video.length },
  }
}
