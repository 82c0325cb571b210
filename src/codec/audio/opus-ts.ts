// "Opus in MPEG-TS" (ETSI TS 103 491 Annex A and the mapping of the Opus authors): control header and descriptor; RFC
// 6716 §3.1: the TOC byte.
// Bound: the header before a packet is read once, a byte for each 255 of the packet's; a few numbers come out.
import { AppError } from '../../core/errors.ts'
import type { ReadAudioHeader } from './header.ts'

const OPUS_SAMPLE_RATE = 48_000
/** Samples in the longest packet: 120 ms (RFC 6716 §3.2.5). */
const MAX_SAMPLES = 5760

/** Samples per channel in an Opus packet at 48 kHz; 0 if it is not a valid packet. */
export function opusSamples(packet: Uint8Array): number {
  const toc = packet[0]
  if (toc === undefined) return 0
  const config = toc >> 3
  // Table 2: SILK 10, 20, 40, 60 ms; hybrid 10, 20; CELT 2.5, 5, 10, 20.
  const size =
    config < 12
      ? ([480, 960, 1920, 2880][config & 3] as number)
      : config < 16
        ? ([480, 960][config & 1] as number)
        : ([120, 240, 480, 960][config & 3] as number)
  const code = toc & 3
  const frames = code === 0 ? 1 : code < 3 ? 2 : (packet[1] ?? 0) & 0x3f
  const samples = frames * size
  return samples > MAX_SAMPLES ? 0 : samples
}

/** Channels by channel_config_code; undefined for codes that need an explicit mapping. */
export function opusChannels(code: number): number | undefined {
  if (code === 0) return 2 // dual mono
  return code <= 8 ? code : undefined
}

/** Streams, coupled streams, and the index of each channel in them, from three channels on (RFC 7845 §5.1.1.2). */
const MAPPINGS: Record<number, [number, number, number[]]> = {
  3: [2, 1, [0, 2, 1]],
  4: [2, 2, [0, 1, 2, 3]],
  5: [3, 2, [0, 4, 1, 2, 3]],
  6: [4, 2, [0, 4, 1, 2, 3, 5]],
  7: [4, 3, [0, 4, 1, 2, 3, 5, 6]],
  8: [5, 3, [0, 6, 1, 2, 3, 4, 5, 7]],
}

/** The identification header (RFC 7845 §5.1) that gives a decoder the layout of 3 to 8 channels. */
export function opusHead(channels: number): Uint8Array | undefined {
  const mapping = MAPPINGS[channels]
  if (!mapping) return undefined
  const [streams, coupled, places] = mapping
  // Version 1, no pre-skip, 48 kHz, no gain, mapping family 1.
  const fields = [1, channels, 0, 0, 0x80, 0xbb, 0, 0, 0, 0, 1, streams, coupled, ...places]
  return Uint8Array.from([...new TextEncoder().encode('OpusHead'), ...fields])
}

/** Reads the control header before an Opus access unit; the frame is the packet without it. */
export function opusHeaderReader(channels: number): ReadAudioHeader {
  return (data, offset) => {
    const left = data.length - offset
    if (left < 3) return left > 0 && data[offset] !== 0x7f ? 'bad' : 'short'
    const flags = data[offset + 1] as number
    // control_header_prefix: eleven bits, 0x3ff.
    if (data[offset] !== 0x7f || (flags & 0xe0) !== 0xe0) return 'bad'
    let at = offset + 2
    let length = 0
    for (;;) {
      const byte = data[at++]
      if (byte === undefined) return 'short'
      length += byte
      if (byte !== 0xff) break
    }
    if (flags & 0x10) at += 2 // start_trim
    if (flags & 0x08) at += 2 // end_trim
    if (flags & 0x04) {
      const extension = data[at]
      if (extension === undefined) return 'short'
      at += 1 + extension
    }
    if (length === 0) return 'bad'
    if (at + Math.min(2, length) > data.length) return 'short'
    const samples = opusSamples(data.subarray(at, at + length))
    if (samples === 0) return 'bad'
    return { skip: at - offset, length, samples, sampleRate: OPUS_SAMPLE_RATE, channels }
  }
}

/** An Opus packet with its control header. */
export function withOpusHeader(packet: Uint8Array): Uint8Array {
  if (packet.length === 0) throw new AppError('invalid-request', 'an Opus packet has at least one byte')
  const full = Math.floor(packet.length / 255)
  const out = new Uint8Array(3 + full + packet.length)
  out.set([0x7f, 0xe0])
  out.fill(0xff, 2, 2 + full)
  out[2 + full] = packet.length % 255
  out.set(packet, 3 + full)
  return out
}
