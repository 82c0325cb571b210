import { decodeAudio, decodeGray, type MediaInput, type SoundPiece } from './probe-ts.ts'

/** A flash and its beep. */
export type Sync = {
  /** First flash frame, in 90 kHz ticks. */
  flashPts: number
  /** First loud sample, in 90 kHz ticks. */
  beepPts: number
  /** Beep minus flash in ms: positive if audio is late. */
  offsetMs: number
}

const FLASH_SIZE = { width: 32, height: 16 }
/** A beep farther from a flash than this belongs to another one. */
const PAIR_LIMIT_TICKS = 45_000

/** Pairs the flashes and beeps of a `flash-beep` clip, after any number of decoders and encoders. */
export async function measureSync(input: MediaInput): Promise<Sync[]> {
  const beeps = beepStarts(await decodeAudio(input))
  return (await flashStarts(input)).flatMap((flashPts) => {
    const beepPts = nearest(beeps, flashPts)
    if (beepPts === undefined || Math.abs(beepPts - flashPts) > PAIR_LIMIT_TICKS) return []
    return [{ flashPts, beepPts, offsetMs: (beepPts - flashPts) / 90 }]
  })
}

async function flashStarts(input: MediaInput): Promise<number[]> {
  const { width, height } = FLASH_SIZE
  const filter = `crop=iw:trunc(ih/2):0:trunc(ih/2),scale=${width}:${height}:flags=area,format=gray`
  const { frames } = await decodeGray(input, filter, width * height)
  const bright = frames.map(({ luma }) => luma.reduce((sum, value) => sum + value, 0) / luma.length > 140)
  // A flash in the first frame may have begun earlier.
  return frames.filter((_, index) => index > 0 && bright[index] && !bright[index - 1]).map(({ pts }) => pts)
}

/** Where it becomes loud after 0.3 s of silence. */
function beepStarts(pieces: SoundPiece[]): number[] {
  const loud = 6000
  const quietTicks = 27_000
  const starts: number[] = []
  let lastLoud = pieces[0]?.pts ?? 0
  for (const { pts, samples } of pieces) {
    for (const [index, sample] of samples.entries()) {
      if (Math.abs(sample) < loud) continue
      const now = pts + Math.round((index * 90_000) / 48_000)
      if (now - lastLoud > quietTicks) starts.push(now)
      lastLoud = now
    }
  }
  return starts
}

function nearest(values: number[], to: number): number | undefined {
  return values.toSorted((a, b) => Math.abs(a - to) - Math.abs(b - to))[0]
}
