// NUT Open Container Format, sections "main header", "stream header", "syncpoint" and "frame".
import { FILE_ID, FLAG, MAIN_FLAG, type NutCodec, nutChecksum, STARTCODE, type TimeBase, tagOf } from './format.ts'

export type NutVideoSpec = {
  kind: 'video'
  codec: NutCodec
  /** In pixels. */
  width: number
  /** In pixels. */
  height: number
  /** Approximate frames per second, for readers that want it in advance. */
  frameRate?: number
}
export type NutAudioSpec = { kind: 'audio'; codec: NutCodec; sampleRate: number; channels: number }

/** One stream to write. */
export type NutStreamSpec = (NutVideoSpec | NutAudioSpec) & {
  /** Parameter sets and the like; omitted if they are in the packets. */
  extradata?: Uint8Array
  /** Largest number of frames by which decoding and presentation order differ; default 0. */
  decodeDelay?: number
}

// Time stamps are always written in full; the shift only says how much is added to them.
const MSB_PTS_SHIFT = 7
const MAX_DISTANCE = 65_536

/**
 * Writes a NUT stream with one stream in it, for a pipe: every frame is self-contained and has a checksum, so no sync
 * points are needed. Payloads are not copied: write `header()` once, then for each frame `frame(…)` and the payload
 * itself.
 */
export class NutWriter {
  readonly #spec: NutStreamSpec
  readonly #timeBase: TimeBase

  constructor(spec: NutStreamSpec, timeBase: TimeBase) {
    this.#spec = spec
    this.#timeBase = timeBase
  }

  /** The bytes before the first frame. */
  header(): Uint8Array {
    const header = new Bytes()
      .raw(FILE_ID)
      .packet(STARTCODE.main, this.#mainHeader())
      .packet(STARTCODE.stream, this.#streamHeader())
    if (this.#spec.kind === 'video' && this.#spec.frameRate) {
      header.packet(STARTCODE.info, frameRateInfo(this.#spec.frameRate))
    }
    return header.packet(STARTCODE.syncpoint, new Bytes().v(0).v(0)).bytes
  }

  /** The bytes before a payload of `length` bytes. `pts` counts ticks of the time base, from 0 to 2^53. */
  frame(pts: number, key: boolean, length: number): Uint8Array {
    const flags = FLAG.CODED_PTS | FLAG.SIZE_MSB | FLAG.CHECKSUM | (key ? FLAG.KEY : 0)
    const header = new Bytes()
      .byte(0)
      .v(flags)
      .v(pts + 2 ** MSB_PTS_SHIFT)
      .v(length)
    return header.u32(nutChecksum(header.bytes)).bytes
  }

  #mainHeader(): Bytes {
    return (
      new Bytes()
        .v(4)
        .v(0)
        .v(1)
        .v(MAX_DISTANCE)
        .v(1)
        .v(this.#timeBase.num)
        .v(this.#timeBase.den)
        // One run for all 255 codes: nothing assumed, each frame has its own flags.
        .v(FLAG.CODED)
        .v(6)
        .s(0)
        .v(1)
        .v(0)
        .v(0)
        .v(0)
        .v(255)
        .v(0)
        .v(MAIN_FLAG.PIPE)
    )
  }

  #streamHeader(): Bytes {
    const spec = this.#spec
    const header = new Bytes()
      .v(0)
      .v(spec.kind === 'video' ? 0 : 1)
      .vb(Uint8Array.from(tagOf(spec.codec), (char) => char.charCodeAt(0)))
      .v(0)
      .v(MSB_PTS_SHIFT)
      .v(MAX_DISTANCE)
      .v(spec.decodeDelay ?? 0)
      .v(0)
      .vb(spec.extradata ?? new Uint8Array(0))
    if (spec.kind === 'video') return header.v(spec.width).v(spec.height).v(1).v(1).v(0)
    return header.v(spec.sampleRate).v(1).v(spec.channels)
  }
}

/** Section "info packet": `r_frame_rate` of the first stream, as text. */
function frameRateInfo(frameRate: number): Bytes {
  const text = new TextEncoder()
  const UTF8 = -1
  return new Bytes()
    .v(1)
    .s(0)
    .v(0)
    .v(0)
    .v(1)
    .vb(text.encode('r_frame_rate'))
    .s(UTF8)
    .vb(text.encode(`${Math.round(frameRate * 1000)}/1000`))
}

/** Appends NUT's data types; for headers only. */
class Bytes {
  readonly #bytes: number[] = []

  get bytes(): Uint8Array {
    return Uint8Array.from(this.#bytes)
  }

  byte(value: number): this {
    this.#bytes.push(value)
    return this
  }

  raw(bytes: Uint8Array): this {
    for (const byte of bytes) this.#bytes.push(byte)
    return this
  }

  u32(value: number): this {
    return this.byte(value >>> 24)
      .byte((value >>> 16) & 0xff)
      .byte((value >>> 8) & 0xff)
      .byte(value & 0xff)
  }

  v(value: number): this {
    const groups = [value % 128]
    for (let rest = Math.floor(value / 128); rest > 0; rest = Math.floor(rest / 128)) groups.push((rest % 128) | 0x80)
    for (const group of groups.reverse()) this.byte(group)
    return this
  }

  s(value: number): this {
    return this.v(value > 0 ? 2 * value - 1 : -2 * value)
  }

  vb(bytes: Uint8Array): this {
    return this.v(bytes.length).raw(bytes)
  }

  packet(startcode: bigint, body: Bytes): this {
    const { bytes } = body
    const head = new Bytes()
      .u32(Number(startcode >> 32n))
      .u32(Number(startcode & 0xffffffffn))
      .v(bytes.length + 4)
    if (bytes.length + 4 > 4096) head.u32(nutChecksum(head.bytes))
    return this.raw(head.bytes).raw(bytes).u32(nutChecksum(bytes))
  }
}
