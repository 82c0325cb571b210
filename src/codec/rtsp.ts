// RFC 2326 §4 and §10.12: messages of an RTSP server, and interleaved packets.
// Bound: at most 16 KiB of a head are kept, and gone through again with each chunk; all else passes once, and one packet or
// body, of 1 MiB at most, is copied for the listener.
import { AppError } from '../core/errors.ts'

/** The head of one message; `status` is undefined for a request. */
export type RtspHead = { status: number | undefined; lines: string[] }

/** Receives what a server sends. */
export type RtspListener = {
  /** The body of the last message. */
  onBody(body: Buffer): void
  /** An interleaved packet (§10.12). */
  onPacket(channel: number, packet: Buffer): void
}

const MAX_HEAD_BYTES = 16 * 1024
const MAX_BODY_BYTES = 1024 * 1024
const DOLLAR = 0x24
const END = '\r\n\r\n'
const STATUS_LINE = /^RTSP\/1\.\d (\d{3})( [\x20-\x7e]*)?$/
const REQUEST_LINE = /^[A-Z_]+ [\x21-\x7e]+ RTSP\/1\.\d$/
const HEADER = /^[A-Za-z][A-Za-z0-9-]*:[\t\x20-\xff]*$/

/**
 * Passes on a server's data, with each head as `onHead` returns it. Anything that another parser might read
 * differently, such as a line ending with LF alone, is refused, so no message can hide from `onHead` inside another.
 */
export class RtspResponses {
  readonly #onHead: (head: RtspHead) => string[]
  readonly #listener: RtspListener | undefined
  #held = Buffer.alloc(0)
  /** Bytes of a body or packet still to pass. */
  #passing = 0
  /** The body or packet being passed, for the listener; a packet has a channel. */
  #copy: { channel?: number; bytes: Buffer; filled: number } | undefined

  constructor(onHead: (head: RtspHead) => string[], listener?: RtspListener) {
    this.#onHead = onHead
    this.#listener = listener
  }

  /** @throws AppError `peer-failed` for data that is not RTSP; errors of `onHead`. */
  push(chunk: Buffer): Buffer[] {
    const out: Buffer[] = []
    const data = this.#held.length > 0 ? Buffer.concat([this.#held, chunk]) : chunk
    let at = 0
    while (at < data.length) {
      if (this.#passing > 0) {
        const end = Math.min(data.length, at + this.#passing)
        out.push(data.subarray(at, end))
        this.#passing -= end - at
        this.#listen(data.subarray(at, end))
        at = end
      } else if (data[at] === DOLLAR) {
        // §10.12: a dollar sign, the channel, and a two-byte length.
        if (data.length - at < 4) break
        out.push(data.subarray(at, at + 4))
        this.#pass(data.readUInt16BE(at + 2), data[at + 1])
        at += 4
      } else {
        const end = data.indexOf(END, at)
        if ((end < 0 ? data.length : end) - at > MAX_HEAD_BYTES) throw noRtsp('a head of over 16 KiB')
        if (end < 0) break
        const lines = data.toString('latin1', at, end).split('\r\n')
        at = end + END.length
        const length = bodyLength(lines)
        const status = STATUS_LINE.exec(lines[0] ?? '')?.[1]
        const passed = this.#onHead({ status: status === undefined ? undefined : Number(status), lines })
        out.push(Buffer.from(passed.join('\r\n') + END, 'latin1'))
        this.#pass(length)
      }
    }
    this.#held = Buffer.from(data.subarray(at))
    return out
  }

  #pass(length: number, channel?: number): void {
    this.#passing = length
    if (!this.#listener || length === 0) return
    this.#copy = { bytes: Buffer.allocUnsafe(length), filled: 0, ...(channel !== undefined && { channel }) }
  }

  #listen(part: Buffer): void {
    const copy = this.#copy
    if (!copy) return
    copy.filled += part.copy(copy.bytes, copy.filled)
    if (this.#passing > 0) return
    this.#copy = undefined
    if (copy.channel === undefined) this.#listener?.onBody(copy.bytes)
    else this.#listener?.onPacket(copy.channel, copy.bytes)
  }
}

/** `line` says where packets are sent (§12.39); only this address is allowed. */
export function transportFrom(line: string, address: string): string {
  if (!/^transport:/i.test(line)) return line
  const kept = line.split(';').filter((part) => !/^\s*(source|destination)\s*=/i.test(part))
  return [...kept, `source=${address}`].join(';')
}

/** For a head whose lines are already checked. */
function bodyLength([first = '', ...headers]: string[]): number {
  if (!STATUS_LINE.test(first) && !REQUEST_LINE.test(first)) throw noRtsp(`"${first.slice(0, 40)}"`)
  const wrong = headers.find((line) => !HEADER.test(line))
  if (wrong !== undefined) throw noRtsp(`"${wrong.slice(0, 40)}"`)
  const lengths = headers.flatMap((line) => /^content-length:[ \t]*(.*?)[ \t]*$/i.exec(line)?.[1] ?? [])
  const length = lengths.length === 0 ? 0 : Number(lengths[0])
  const known = lengths.length < 2 && /^\d*$/.test(lengths[0] ?? '')
  if (!known || length > MAX_BODY_BYTES) throw noRtsp(`a body of ${lengths.join(' and ').slice(0, 40)} bytes`)
  return length
}

const noRtsp = (what: string) => new AppError('peer-failed', `the server does not speak RTSP: it sent ${what}`)
