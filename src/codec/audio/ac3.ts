// ETSI TS 102 366 §4.3 (AC-3) and Annex E.1.2 (E-AC-3): the header of a frame.
// Bound: at most eight headers of seven bytes are read; a few numbers come out.
import type { AudioHeader, ReadAudioHeader } from './header.ts'

const HEADER_BYTES = 7
const SAMPLE_RATES = [48_000, 44_100, 32_000]
/** kbit/s by the upper five bits of frmsizecod. */
const KBPS = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640]
const SAMPLES_PER_BLOCK = 256
const BLOCKS = [1, 2, 3, 6]
/** Full-bandwidth channels by acmod. */
const CHANNELS = [2, 1, 2, 3, 3, 4, 4, 5]
/** Substreams that may belong to one program; each is a frame of its own (Annex E.1.3.1). */
const MAX_SUBSTREAMS = 8

/** Reads a frame with everything of the same time: the substreams of an E-AC-3 program count as one frame. */
export const readAc3Header: ReadAudioHeader = (data, offset) => {
  const first = readFrame(data, offset)
  if (typeof first === 'string') return first
  // A dependent substream cannot begin a frame.
  if (first.extra) return 'bad'
  let { length } = first
  for (let i = 1; i < MAX_SUBSTREAMS; i++) {
    const next = readFrame(data, offset + length)
    if (typeof next === 'string' || !next.extra) break
    length += next.length
  }
  const { samples, sampleRate, channels } = first
  return { skip: 0, length, samples, sampleRate, channels }
}

function readFrame(data: Uint8Array, offset: number): (AudioHeader & { extra: boolean }) | 'short' | 'bad' {
  if (data.length <= offset) return 'short'
  if (data[offset] !== 0x0b || (offset + 1 < data.length && data[offset + 1] !== 0x77)) return 'bad'
  if (offset + HEADER_BYTES > data.length) return 'short'
  const at = (i: number) => data[offset + i] as number
  const bsid = at(5) >> 3
  if (bsid <= 10) return readAc3(at, bsid)
  return bsid <= 16 ? readEac3(at) : 'bad'
}

function readAc3(at: (i: number) => number, bsid: number): (AudioHeader & { extra: boolean }) | 'bad' {
  const code = at(4) & 0x3f
  const kbps = KBPS[code >> 1]
  const base = SAMPLE_RATES[at(4) >> 6]
  if (kbps === undefined || base === undefined) return 'bad'
  const words = Math.floor((kbps * 96_000) / base) + (base === 44_100 ? code & 1 : 0)
  const acmod = at(6) >> 5
  // Mixing levels, if present, precede lfeon.
  const before = (acmod & 1 && acmod !== 1 ? 2 : 0) + (acmod & 4 ? 2 : 0) + (acmod === 2 ? 2 : 0)
  const lfe = (at(6) >> (4 - before)) & 1
  // Each bsid above 8 halves the rates.
  const sampleRate = base >> Math.max(0, bsid - 8)
  return {
    ...{ skip: 0, length: words * 2, samples: 6 * SAMPLES_PER_BLOCK, sampleRate },
    ...{ channels: (CHANNELS[acmod] as number) + lfe, extra: false },
  }
}

function readEac3(at: (i: number) => number): (AudioHeader & { extra: boolean }) | 'bad' {
  const type = at(2) >> 6
  const substream = (at(2) >> 3) & 7
  const length = 2 * ((((at(2) & 7) << 8) | at(3)) + 1)
  const code = at(4) >> 6
  const half = SAMPLE_RATES[(at(4) >> 4) & 3]
  const rate = code === 3 ? half && half / 2 : SAMPLE_RATES[code]
  if (type === 3 || rate === undefined || length < HEADER_BYTES) return 'bad'
  const blocks = code === 3 ? 6 : (BLOCKS[(at(4) >> 4) & 3] as number)
  const channels = (CHANNELS[(at(4) >> 1) & 7] as number) + (at(4) & 1)
  const samples = blocks * SAMPLES_PER_BLOCK
  return { skip: 0, length, samples, sampleRate: rate, channels, extra: type === 1 || substream > 0 }
}
