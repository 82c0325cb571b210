// ISO/IEC 14496-3 §1.A.2.2: ADTS, the AAC framing that states frame lengths.
// Bound: one header of seven bytes is read; a few numbers come out.
import type { ReadAudioHeader } from './header.ts'

/** samplingFrequencyIndex, §1.6.3.4. */
export const ADTS_SAMPLE_RATES = [
  96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350,
]
const HEADER_BYTES = 7
const SAMPLES_PER_BLOCK = 1024

/** The frame includes its header. */
export const readAdtsHeader: ReadAudioHeader = (data, offset) => {
  if (offset + HEADER_BYTES > data.length) return data.length > offset && data[offset] !== 0xff ? 'bad' : 'short'
  const at = (i: number) => data[offset + i] as number
  // syncword and layer (always 0)
  if (at(0) !== 0xff || (at(1) & 0xf6) !== 0xf0) return 'bad'
  const sampleRate = ADTS_SAMPLE_RATES[(at(2) >> 2) & 15]
  const layout = ((at(2) & 1) << 2) | (at(3) >> 6)
  const length = ((at(3) & 3) << 11) | (at(4) << 3) | (at(5) >> 5)
  const crc = (at(1) & 1) === 0
  if (sampleRate === undefined || length < HEADER_BYTES + (crc ? 2 : 0)) return 'bad'
  // Layout 7 has eight channels (Table 1.19); layout 0 states them in the data, in practice two.
  const channels = layout === 7 ? 8 : layout === 0 ? 2 : layout
  return { skip: 0, length, samples: ((at(6) & 3) + 1) * SAMPLES_PER_BLOCK, sampleRate, channels }
}
