// NUT Open Container Format, sections "main header" and "stream header".
// Bound: 256 frame codes, streams and time bases, 127 elisions and 1 MiB of codec data are accepted at most, each read once.
import type { NutCursor } from './cursor.ts'
import { codecOf, FLAG, MAIN_FLAG, malformed, type NutStream, type TimeBase } from './format.ts'

const MAX_STREAMS = 256
const MAX_TIME_BASES = 256
const MAX_EXTRADATA_BYTES = 1 << 20
const MAX_SIDE = 32_768

/** The meaning of one frame code. */
export type FrameCode = {
  flags: number
  streamId: number
  sizeMul: number
  sizeLsb: number
  ptsDelta: number
  reserved: number
  header: number
}

export type MainHeader = {
  streamCount: number
  timeBases: TimeBase[]
  frameCodes: FrameCode[]
  /** Elision headers: bytes removed from the front of frames, by index; index 0 is empty. */
  elisions: Uint8Array[]
  broadcast: boolean
}

export function readMainHeader(cursor: NutCursor): MainHeader {
  const version = cursor.v('version')
  if (version < 2 || version > 4) throw malformed(`version is ${version}, accepted are 2 to 4`)
  if (version > 3) cursor.v('minor version')
  const streamCount = cursor.v('stream count', MAX_STREAMS)
  cursor.v('maximum distance')
  const timeBases = readTimeBases(cursor)
  const frameCodes = readFrameCodes(cursor, streamCount)
  const elisions = cursor.left > 0 ? readElisions(cursor) : [new Uint8Array(0)]
  const flags = version > 3 && cursor.left > 0 ? cursor.v('main flags') : 0
  return { streamCount, timeBases, frameCodes, elisions, broadcast: (flags & MAIN_FLAG.BROADCAST) !== 0 }
}

function readTimeBases(cursor: NutCursor): TimeBase[] {
  const count = cursor.v('time base count', MAX_TIME_BASES)
  if (count === 0) throw malformed('there is no time base')
  return Array.from({ length: count }, () => {
    const timeBase = { num: cursor.v('time base', 2 ** 31), den: cursor.v('time base', 2 ** 31) }
    if (timeBase.num === 0 || timeBase.den === 0) throw malformed('a time base is zero')
    return timeBase
  })
}

function readFrameCodes(cursor: NutCursor, streamCount: number): FrameCode[] {
  const codes: FrameCode[] = []
  let [ptsDelta, sizeMul, streamId, header] = [0, 1, 0, 0]
  while (codes.length < 256) {
    const flags = cursor.v('frame flags')
    const fields = cursor.v('frame fields', 256)
    if (fields > 0) ptsDelta = cursor.s('time delta')
    if (fields > 1) sizeMul = cursor.v('size factor', 2 ** 31)
    if (fields > 2) streamId = cursor.v('stream id', Math.max(streamCount - 1, 0))
    const sizeLsb = fields > 3 ? cursor.v('size', 2 ** 31) : 0
    const reserved = fields > 4 ? cursor.v('reserved count', 256) : 0
    const count = fields > 5 ? cursor.v('frame code count') : sizeMul - sizeLsb
    // Only for error recovery; its default exceeds what a number holds exactly.
    if (fields > 6) cursor.s('match time', Number.POSITIVE_INFINITY)
    if (fields > 7) header = cursor.v('elision header', 255)
    for (let i = 8; i < fields; i++) cursor.v('reserved')
    // The code `N` begins a startcode and is in no run.
    const free = 256 - codes.length - (codes.length <= 0x4e ? 1 : 0)
    if (count <= 0 || count > free) throw malformed(`a run of frame codes is ${count} long, 1 to ${free} fit`)
    for (let i = 0; i < count; i++) {
      if (codes.length === 0x4e) codes.push(INVALID_CODE)
      codes.push({ flags, streamId, sizeMul, sizeLsb: sizeLsb + i, ptsDelta, reserved, header })
    }
    if (codes.length === 0x4e) codes.push(INVALID_CODE)
  }
  return codes
}

const INVALID_CODE: FrameCode = {
  flags: FLAG.INVALID,
  streamId: 0,
  sizeMul: 1,
  sizeLsb: 0,
  ptsDelta: 0,
  reserved: 0,
  header: 0,
}

function readElisions(cursor: NutCursor): Uint8Array[] {
  const count = cursor.v('elision header count', 127)
  return [new Uint8Array(0), ...Array.from({ length: count }, () => new Uint8Array(cursor.vb('elision header', 255)))]
}

/** A stream's header, with what is needed to read its time stamps. */
export type StreamHeader = { stream: NutStream; msbPtsShift: number }

/** `undefined` for a stream that is neither video nor audio. */
export function readStreamHeader(cursor: NutCursor, main: MainHeader): { id: number; header?: StreamHeader } {
  const id = cursor.v('stream id', main.streamCount - 1)
  const kind = cursor.v('stream class')
  const codec = codecOf(String.fromCharCode(...cursor.vb('codec tag', 4)))
  const timeBase = main.timeBases[cursor.v('time base id', main.timeBases.length - 1)]!
  const msbPtsShift = cursor.v('time stamp shift', 31)
  cursor.v('time stamp distance')
  const decodeDelay = cursor.v('decode delay', 1000)
  cursor.v('stream flags')
  const extradata = new Uint8Array(cursor.vb('codec specific data', MAX_EXTRADATA_BYTES))
  const base = { id, codec, timeBase, decodeDelay, extradata }
  if (kind === 0) {
    const width = positive(cursor.v('width', MAX_SIDE), 'width')
    const height = positive(cursor.v('height', MAX_SIDE), 'height')
    return { id, header: { msbPtsShift, stream: { ...base, kind: 'video', width, height } } }
  }
  if (kind === 1) {
    const rate = cursor.v('sample rate')
    const sampleRate = rate / positive(cursor.v('sample rate'), 'sample rate')
    const channels = positive(cursor.v('channel count', 255), 'channel count')
    return { id, header: { msbPtsShift, stream: { ...base, kind: 'audio', sampleRate, channels } } }
  }
  return { id }
}

function positive(value: number, what: string): number {
  if (value === 0) throw malformed(`${what} is zero`)
  return value
}
