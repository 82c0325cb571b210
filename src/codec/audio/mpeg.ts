// ISO/IEC 11172-3 §2.4.1.3 and ISO/IEC 13818-3 §2.4.1.3: the header of an MPEG audio frame (layers I to III).
// Bound: one header of four bytes is read; a few numbers come out.
import type { ReadAudioHeader } from './header.ts'

/** kbit/s by bitrate_index from 1, for MPEG-1 layers I, II, III and MPEG-2 layers I, then II and III. */
const KBPS_1_I = [32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448]
const KBPS_1_II = [32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384]
const KBPS_1_III = [32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
const KBPS_2_I = [32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256]
const KBPS_2_II = [8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
const SAMPLE_RATES = [44100, 48000, 32000]

/** The frame includes its header. Free bit rate is not supported: such frames do not state their length. */
export const readMpegAudioHeader: ReadAudioHeader = (data, offset) => {
  if (offset + 4 > data.length) return data.length > offset && data[offset] !== 0xff ? 'bad' : 'short'
  const at = (i: number) => data[offset + i] as number
  if (at(0) !== 0xff || (at(1) & 0xe0) !== 0xe0) return 'bad'
  const version = (at(1) >> 3) & 3 // 0: MPEG-2.5, 2: MPEG-2, 3: MPEG-1
  const layer = 4 - ((at(1) >> 1) & 3)
  const base = SAMPLE_RATES[(at(2) >> 2) & 3]
  if (version === 1 || layer === 4 || base === undefined) return 'bad'
  const first = version === 3
  const kbps = bitRates(first, layer)[(at(2) >> 4) - 1]
  if (kbps === undefined) return 'bad'
  const sampleRate = first ? base : version === 2 ? base / 2 : base / 4
  const samples = layer === 1 ? 384 : layer === 3 && !first ? 576 : 1152
  const padding = (at(2) >> 1) & 1
  // Layer I counts in slots of four bytes.
  const slot = layer === 1 ? 4 : 1
  const length = (Math.floor((samples / 8 / slot) * ((kbps * 1000) / sampleRate)) + padding) * slot
  return { skip: 0, length, samples, sampleRate, channels: at(3) >> 6 === 3 ? 1 : 2 }
}

function bitRates(first: boolean, layer: number): readonly number[] {
  if (first) return layer === 1 ? KBPS_1_I : layer === 2 ? KBPS_1_II : KBPS_1_III
  return layer === 1 ? KBPS_2_I : KBPS_2_II
}
