// NUT Open Container Format, sections "high level structure", "packet structure", "syncpoint" and "frame".
// Bound: time grows with the input; a frame has at most 255 bytes more than came for it. Its memory is allocated when
// its header tells the size, 128 MiB at most, and 4 MiB of a header are kept.
import type { FrameMemory } from '../../core/media/frame-pool.ts'
import { NutCursor, ShortInput } from './cursor.ts'
import {
  FILE_ID,
  FLAG,
  malformed,
  type NutFrame,
  type NutStream,
  nutChecksum,
  STARTCODE,
  type TimeBase,
} from './format.ts'
import { type FrameCode, type MainHeader, readMainHeader, readStreamHeader, type StreamHeader } from './header.ts'

export type NutReaderOptions = {
  /** Called with each stream once its header is read, before its first frame. */
  onStream?: (stream: NutStream) => void
  onFrame: (frame: NutFrame) => void
  /** Largest accepted frame; default 128 MiB. */
  maxFrameBytes?: number
  /** Allocates frame payloads and takes back those that are not passed on; default: new memory. */
  memory?: FrameMemory
}

// Headers have a few hundred bytes, and frames at most a dozen small fields before the payload.
const MAX_PACKET_BYTES = 4 * 1024 * 1024
const MAX_FRAME_HEADER_BYTES = 4096
/** Payloads with more bytes missing than this are worth reading into place. */
const LARGE_BYTES = 32 * 1024
/** The part of a large payload that is read with its header must be copied, so it is kept small. */
const HEAD_BYTES = 2048

type Payload = { frame: NutFrame; filled: number; flags: number }
type StreamState = StreamHeader & { lastPts: number }

/**
 * Reads a NUT stream incrementally. Each frame's payload is collected in one buffer of its size, which belongs to the
 * receiver of the frame. Input that is not NUT throws `unsupported-media`; the reader is unusable after that.
 */
export class NutReader {
  readonly #options: NutReaderOptions
  readonly #maxFrameBytes: number
  readonly #streams: (StreamState | undefined)[] = []
  #main: MainHeader | undefined
  /** The beginning of a packet or frame header, with spare room. */
  #carry: Uint8Array = new Uint8Array(0)
  #carried = 0
  /** Parsing need not be tried before this many more bytes. */
  #missing = 0
  #payload: Payload | undefined
  #skip = 0
  #began = false
  #head: Uint8Array | undefined

  constructor(options: NutReaderOptions) {
    this.#options = options
    this.#maxFrameBytes = options.maxFrameBytes ?? 128 * 1024 * 1024
  }

  /**
   * Where the caller may put the next bytes, to save a copy of large payloads; pass them to `push` all the same.
   * Undefined if any place will do.
   */
  room(): Uint8Array | undefined {
    if (!this.#payload) return this.#head
    const { frame, filled } = this.#payload
    if (frame.data.length - filled >= LARGE_BYTES) return frame.data.subarray(filled)
    return undefined
  }

  push(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.length > 0) {
      if (this.#payload) rest = this.#fill(this.#payload, rest)
      else if (this.#skip > 0) {
        const skipped = Math.min(this.#skip, rest.length)
        this.#skip -= skipped
        rest = rest.subarray(skipped)
      } else rest = this.#parse(rest)
    }
  }

  /** Ends the input: a partial frame is discarded. */
  close(): void {
    if (this.#payload) this.#options.memory?.give(this.#payload.frame.data)
    this.#payload = undefined
  }

  #fill(payload: Payload, bytes: Uint8Array): Uint8Array {
    const { data } = payload.frame
    const part = bytes.subarray(0, data.length - payload.filled)
    const inPlace = part.buffer === data.buffer && part.byteOffset === data.byteOffset + payload.filled
    if (!inPlace) data.set(part, payload.filled)
    payload.filled += part.length
    if (payload.filled === data.length) this.#finish(payload)
    return bytes.subarray(part.length)
  }

  #finish({ frame, flags }: Payload): void {
    this.#payload = undefined
    if (flags & FLAG.SM_DATA) {
      const { data } = frame
      frame.data = skipSideData(data).slice()
      this.#options.memory?.give(data)
    }
    this.#options.onFrame(frame)
  }

  /** Reads one packet or frame header; returns the bytes after it, empty if more input is needed. */
  #parse(bytes: Uint8Array): Uint8Array {
    if (bytes.length < this.#missing) {
      this.#keep(bytes)
      this.#missing -= bytes.length
      return new Uint8Array(0)
    }
    let input = bytes
    if (this.#carried > 0) {
      input = new Uint8Array(this.#carried + bytes.length)
      input.set(this.#carry.subarray(0, this.#carried))
      input.set(bytes, this.#carried)
    }
    const cursor = new NutCursor(input)
    try {
      if (!this.#began) this.#readFileId(cursor)
      else if (input[0] === 0x4e) this.#readPacket(cursor)
      else this.#readFrameHeader(cursor)
    } catch (thrown) {
      if (!(thrown instanceof ShortInput)) throw thrown
      if (input.length > MAX_PACKET_BYTES) throw malformed('a header does not end')
      this.#carried = 0
      this.#keep(input)
      this.#missing = Math.min(thrown.missing, MAX_PACKET_BYTES)
      return new Uint8Array(0)
    }
    this.#carry = new Uint8Array(0)
    this.#carried = 0
    this.#missing = 0
    return input.subarray(cursor.position)
  }

  /**
   * Appends to the kept bytes; copied, because the chunk belongs to the caller. The buffer doubles, so each byte is
   * moved about once.
   */
  #keep(bytes: Uint8Array): void {
    const length = this.#carried + bytes.length
    if (length > this.#carry.length) {
      const grown = new Uint8Array(Math.max(length, 2 * this.#carry.length))
      grown.set(this.#carry.subarray(0, this.#carried))
      this.#carry = grown
    }
    this.#carry.set(bytes, this.#carried)
    this.#carried = length
  }

  #readFileId(cursor: NutCursor): void {
    const id = cursor.take(Math.min(FILE_ID.length, cursor.left))
    if (id.some((byte, i) => byte !== FILE_ID[i])) throw malformed('it does not begin with the NUT file id')
    if (id.length < FILE_ID.length) throw new ShortInput()
    this.#began = true
  }

  #readPacket(cursor: NutCursor): void {
    const start = cursor.position
    const startcode = cursor.u64()
    const length = cursor.v('packet length')
    if (length > 4096) {
      const end = cursor.position
      if (cursor.u32() !== nutChecksum(cursor.bytes, start, end)) throw malformed('a packet header fails its checksum')
    }
    if (startcode === STARTCODE.info || startcode === STARTCODE.index) {
      this.#skip = length
      return
    }
    if (length < 4 || length > MAX_PACKET_BYTES) throw malformed(`a packet is ${length} bytes long`)
    const body = cursor.take(length)
    // The checksum over bytes including their checksum is zero.
    if (nutChecksum(body) !== 0) throw malformed('a packet fails its checksum')
    const fields = new NutCursor(body, 0, length - 4)
    try {
      if (startcode === STARTCODE.main) this.#main ??= readMainHeader(fields)
      else if (startcode === STARTCODE.stream) this.#addStream(fields)
      else if (startcode === STARTCODE.syncpoint) this.#readSyncpoint(fields)
      else throw malformed(`unknown startcode 0x${startcode.toString(16)}`)
    } catch (thrown) {
      // The packet is complete, so missing bytes will not come.
      if (thrown instanceof ShortInput) throw malformed('a packet ends within a field')
      throw thrown
    }
  }

  #addStream(fields: NutCursor): void {
    if (!this.#main) throw malformed('a stream header comes before the main header')
    const { id, header } = readStreamHeader(fields, this.#main)
    // Headers may be repeated.
    if (!header || this.#streams[id]) return
    this.#streams[id] = { ...header, lastPts: 0 }
    this.#options.onStream?.(header.stream)
  }

  #readSyncpoint(fields: NutCursor): void {
    const main = this.#main
    if (!main) throw malformed('a sync point comes before the main header')
    const coded = fields.v('sync point time', Number.POSITIVE_INFINITY)
    const from = main.timeBases[coded % main.timeBases.length]!
    const ticks = Math.floor(coded / main.timeBases.length)
    for (const state of this.#streams) if (state) state.lastPts = rescaleDown(ticks, from, state.stream.timeBase)
  }

  #readFrameHeader(cursor: NutCursor): void {
    const main = this.#main
    if (!main) throw malformed('a frame comes before the main header')
    const start = cursor.position
    const code = main.frameCodes[cursor.byte()]!
    let flags = code.flags
    if (flags & FLAG.INVALID) throw malformed('a frame begins with an invalid code')
    if (flags & FLAG.CODED) flags ^= cursor.v('frame flags', 0xffff)
    const id = flags & FLAG.STREAM_ID ? cursor.v('stream id', main.streamCount - 1) : code.streamId
    const state = this.#streams[id]
    const pts = readPts(cursor, flags, code, state)
    const { size, header } = this.#readSize(cursor, flags, code, main)
    if (flags & FLAG.CHECKSUM) {
      const end = cursor.position
      if (cursor.u32() !== nutChecksum(cursor.bytes, start, end)) throw malformed('a frame fails its checksum')
    }
    if (cursor.position - start > MAX_FRAME_HEADER_BYTES) throw malformed('a frame header does not end')
    if (!state) {
      this.#skip = size - header.length
      return
    }
    state.lastPts = pts
    const data = this.#options.memory?.take(size) ?? new Uint8Array(Buffer.allocUnsafeSlow(size).buffer)
    data.set(header)
    this.#head = size > LARGE_BYTES ? (this.#head ?? new Uint8Array(HEAD_BYTES)) : undefined
    const frame = { stream: state.stream, pts, key: (flags & FLAG.KEY) !== 0, data }
    this.#payload = { frame, filled: header.length, flags }
    if (header.length === size) this.#finish(this.#payload)
  }

  #readSize(cursor: NutCursor, flags: number, code: FrameCode, main: MainHeader) {
    let size = code.sizeLsb
    if (flags & FLAG.SIZE_MSB) size += code.sizeMul * cursor.v('frame size', this.#maxFrameBytes)
    if (size > this.#maxFrameBytes)
      throw malformed(`a frame is ${size} bytes long, at most ${this.#maxFrameBytes} are accepted`)
    if (flags & FLAG.MATCH_TIME) cursor.s('match time', Number.POSITIVE_INFINITY)
    const index = flags & FLAG.HEADER_IDX ? cursor.v('elision header') : code.header
    const reserved = flags & FLAG.RESERVED ? cursor.v('reserved count', 256) : code.reserved
    for (let i = 0; i < reserved; i++) cursor.v('reserved', Number.POSITIVE_INFINITY)
    // Section "elision header": not used for frames above 4096 bytes.
    const header = main.elisions[size > 4096 ? 0 : index]
    if (!header || header.length > size) throw malformed(`elision header ${index} does not fit a frame`)
    return { size, header }
  }
}

function readPts(cursor: NutCursor, flags: number, code: FrameCode, state: StreamState | undefined): number {
  const lastPts = state?.lastPts ?? 0
  if (!(flags & FLAG.CODED_PTS)) return lastPts + code.ptsDelta
  const coded = cursor.v('time stamp')
  const turn = 2 ** (state?.msbPtsShift ?? 0)
  if (coded >= turn) return coded - turn
  // Only the low bits are coded: the value nearest to the last time stamp.
  const lowest = lastPts - Math.floor((turn - 1) / 2)
  return lowest + ((((coded - lowest) % turn) + turn) % turn)
}

function rescaleDown(ticks: number, from: TimeBase, to: TimeBase): number {
  const value = (BigInt(Math.trunc(ticks)) * BigInt(from.num) * BigInt(to.den)) / (BigInt(from.den) * BigInt(to.num))
  return Number(value)
}

/** Section "side data" (version 4): two lists of named values before the payload; returns the payload. */
function skipSideData(data: Uint8Array): Uint8Array {
  const cursor = new NutCursor(data)
  try {
    for (let list = 0; list < 2; list++) {
      const count = cursor.v('side data count', 1024)
      for (let i = 0; i < count; i++) skipSideValue(cursor)
    }
  } catch (thrown) {
    if (thrown instanceof ShortInput) throw malformed('side data ends within a field')
    throw thrown
  }
  return data.subarray(cursor.position)
}

function skipSideValue(cursor: NutCursor): void {
  const max = Number.POSITIVE_INFINITY
  cursor.vb('side data name', 255)
  const type = cursor.s('side data value', max)
  if (type === -1) cursor.vb('side data text', 65_536)
  else if (type === -2) {
    cursor.vb('side data type', 255)
    cursor.vb('side data bytes', MAX_PACKET_BYTES)
  } else if (type === -3) cursor.s('side data value', max)
  else if (type === -4) cursor.v('side data value', max)
  else if (type < -4) cursor.s('side data value', max)
}
