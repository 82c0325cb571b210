// ISO/IEC 14496-3 §1.7.2 and §1.7.3: AAC as LATM in LOAS, which states frame lengths.
// Bound: at most 67 bytes of a frame are read; a few numbers come out.
import { BitReader, readOr } from '../bit-reader.ts'
import { ADTS_SAMPLE_RATES } from './adts.ts'
import type { ReadAudioHeader } from './header.ts'

const HEADER_BYTES = 3
/** The fields needed from StreamMuxConfig are in the first bytes of a frame. */
const CONFIG_BYTES = 64
const ESCAPE = 31
/** Object types: spectral band replication, and the same with parametric stereo (Table 1.17). */
const SBR = 5
const PS = 29

type Config = { samples: number; sampleRate: number; channels: number }

/**
 * Reads frame headers. Only some frames contain the configuration, which holds for those after it: before the first of
 * these, and where it is not supported, no frame begins. The frame includes its header.
 */
export function latmHeaderReader(): ReadAudioHeader {
  let config: Config | undefined
  return (data, offset) => {
    const left = data.length - offset
    if (left < HEADER_BYTES) return left > 0 && data[offset] !== 0x56 ? 'bad' : 'short'
    const at = (i: number) => data[offset + i] as number
    // syncword: eleven bits, 0x2b7.
    if (at(0) !== 0x56 || (at(1) & 0xe0) !== 0xe0) return 'bad'
    const length = HEADER_BYTES + (((at(1) & 0x1f) << 8) | at(2))
    if (left < length) return 'short'
    const element = data.subarray(offset + HEADER_BYTES, offset + Math.min(length, HEADER_BYTES + CONFIG_BYTES))
    // useSameStreamMux
    if (element[0] !== undefined && element[0] < 0x80)
      config = readOr(undefined, () => readConfig(new BitReader(element)))
    return config ? { skip: 0, length, ...config } : 'bad'
  }
}

/** AudioMuxElement up to the first AudioSpecificConfig, §1.7.3.1. */
function readConfig(bits: BitReader): Config | undefined {
  bits.skip(1)
  const version = bits.bits(1)
  if (version === 1) {
    // audioMuxVersionA is not specified beyond 0.
    if (bits.flag()) return undefined
    latmValue(bits)
  }
  bits.skip(1)
  const subFrames = bits.bits(6) + 1
  // Several programs or layers are not supported.
  if (bits.bits(4) !== 0 || bits.bits(3) !== 0) return undefined
  if (version === 1) latmValue(bits)
  let type = objectType(bits)
  const base = sampleRate(bits)
  const layout = bits.bits(4)
  let rate = base
  if (type === SBR || type === PS) {
    rate = sampleRate(bits)
    type = objectType(bits)
  }
  // frameLengthFlag of the general audio object types (Table 1.17): Main, LC, SSR, LTP and the error-resilient ones.
  const short = [1, 2, 3, 4, 17, 19, 23].includes(type) && bits.flag()
  if (!base || !rate) return undefined
  const seconds = (subFrames * (short ? 960 : 1024)) / base
  return {
    samples: Math.round(seconds * rate),
    sampleRate: rate,
    channels: layout === 7 ? 8 : layout === 0 ? 2 : layout,
  }
}

function objectType(bits: BitReader): number {
  const type = bits.bits(5)
  return type === ESCAPE ? 32 + bits.bits(6) : type
}

function sampleRate(bits: BitReader): number | undefined {
  const index = bits.bits(4)
  return index === 15 ? bits.bits(24) : ADTS_SAMPLE_RATES[index]
}

/** LatmGetValue, §1.7.3.1: a number of one to four bytes. */
function latmValue(bits: BitReader): void {
  bits.skip(8 * (bits.bits(2) + 1))
}
