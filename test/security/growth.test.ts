// Parsers of input from WebRTC peers: twice the input takes at most 2.2 times the time and memory.
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { describe, expect, test } from 'vitest'
import { extensionElement, parseRtp, type RtpPacket } from '../../src/codec/rtp/packet.ts'
import { parseRtcp } from '../../src/codec/rtp/rtcp.ts'
import { type RtpVideoCodec, VideoUnits } from '../../src/codec/rtp/video-units.ts'
import { parseSdpFragment } from '../../src/codec/sdp/fragment.ts'
import { parseSdp } from '../../src/codec/sdp/session.ts'
import { parseBindingRequest } from '../../src/codec/stun.ts'
import { AppError } from '../../src/core/errors.ts'
import { TcpFrames } from '../../src/webrtc/ice/tcp.ts'
import { JitterBuffer } from '../../src/webrtc/rtp/jitter-buffer.ts'
import { writeAnswer } from '../../src/webrtc/signalling/answer.ts'
import { negotiate } from '../../src/webrtc/signalling/negotiate.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Three doublings. */
const STEP = 8
const MOST = 2.2 ** 3
/** The CPU clock of a thread has steps of some milliseconds, and garbage collection varies. */
const ENOUGH_MS = 40
const FLOOR_MS = 16
const FLOOR_BYTES = 2 * 1024 * 1024
const MAX_RUNS = 128
const TRIES = 3

/** CPU time of this thread for that many runs; stops measuring above `enough`. */
function timeOf(runs: number, run: () => unknown, enough = Number.POSITIVE_INFINITY): number {
  const before = process.threadCpuUsage()
  const spent = () => {
    const { user, system } = process.threadCpuUsage(before)
    return (user + system) / 1000
  }
  for (let i = 0; i < runs && spent() < enough; i++) run()
  return spent()
}

/** Milliseconds for the same number of bytes in large inputs, and in as many small ones as make up the size. */
function compare(small: () => unknown, large: () => unknown): { inLarge: number; inSmall: number } {
  let runs = 1
  while (runs < MAX_RUNS && timeOf(runs, large, ENOUGH_MS) < ENOUGH_MS) runs *= 2
  const inLarge = timeOf(runs, large)
  return { inLarge, inSmall: timeOf(runs * STEP, small, inLarge) }
}

/** Bytes retained by the results of `run`. */
function heldBy(run: () => unknown): number {
  const used = () => {
    collect()
    collect()
    const { heapUsed, arrayBuffers } = process.memoryUsage()
    return heapUsed + arrayBuffers
  }
  run()
  const before = used()
  const held = [run()]
  const after = used()
  // Read here, so that it stays reachable until measured.
  return held.length > 0 ? after - before : 0
}

/** `make` builds an input of about that many bytes; `run` returns what is retained of it. */
function grows(name: string, bytes: number, make: (bytes: number) => unknown, run: (input: never) => unknown): void {
  test(name, () => {
    const [small, large] = [make(bytes), make(STEP * bytes)]
    let last = { inLarge: 0, inSmall: 0 }
    const isLinear = () => {
      last = compare(
        () => run(small as never),
        () => run(large as never),
      )
      return last.inLarge <= (MOST / STEP) * last.inSmall + FLOOR_MS
    }
    const tries = Array.from({ length: TRIES })
    expect(tries.some(isLinear), `${last.inSmall} ms in small inputs, ${last.inLarge} ms in large ones`).toBe(true)
    const inSmall = heldBy(() => Array.from({ length: STEP }, () => run(small as never)))
    const inLarge = heldBy(() => run(large as never))
    const most = (MOST / STEP) * Math.max(0, inSmall) + FLOOR_BYTES
    expect(inLarge, `${inSmall} bytes of small inputs`).toBeLessThanOrEqual(most)
  })
}

function refusable<T>(work: () => T): T | undefined {
  try {
    return work()
  } catch (thrown) {
    if (thrown instanceof AppError) return
    throw thrown
  }
}

describe('session descriptions', () => {
  const TRANSPORT = 'a=ice-ufrag:abcd\na=ice-pwd:efghijklmnopqrstuvwxyz\na=fingerprint:sha-256 11:22\n'
  const video = (...lines: string[]) =>
    [
      'v=0',
      'a=group:BUNDLE 0',
      'm=video 9 UDP/TLS/RTP/SAVPF 96',
      'a=mid:0',
      `${TRANSPORT}a=sendrecv`,
      'a=rtpmap:96 H264/90000',
      ...lines,
    ].join('\n')
  const repeat = (text: string, bytes: number) => text.repeat(Math.ceil(bytes / text.length)).slice(0, bytes)
  const local = { ufrag: 'u', password: 'p', fingerprint: { algorithm: 'sha-256', value: 'AA' }, candidates: [] }
  const answer = (text: string) =>
    refusable(() => {
      const sdp = parseSdp(text)
      return (['send', 'receive'] as const).map((flow) =>
        refusable(() => {
          const agreement = negotiate(sdp, flow)
          const written = writeAnswer(agreement, { ...local, role: agreement.transport.role })
          // Each section has its own header in an answer.
          expect(written.length).toBeLessThan(2 * text.length + 64 * 1024)
          return [agreement, written]
        }),
      )
    })
  const many = (line: (i: number) => string) => (bytes: number) => {
    const lines: string[] = []
    for (let length = 0, i = 0; length < bytes && i < 4900; i++) length += lines[lines.push(line(i)) - 1]!.length + 1
    return video(...lines)
  }
  const cases: [string, (bytes: number) => string][] = [
    ['formats', (bytes) => video().replace('SAVPF 96', `SAVPF 96 ${repeat('97 98 99 ', bytes)}`)],
    ['feedback', many((i) => `a=rtcp-fb:* x${i}`)],
    ['maps of all formats', many((i) => `a=rtpmap:${i % 128} VP8/90000`)],
    ['extensions', many((i) => `a=extmap:${1 + (i % 14)} urn:x${i}`)],
    ['fingerprints', many((i) => `a=fingerprint:sha-256 ${'11:'.repeat(20)}${i}`)],
    ['parameters', (bytes) => video(`a=fmtp:96 ${repeat('a=b;', bytes)}`)],
    ['layers', (bytes) => video('a=simulcast:send a;b;', `a=simulcast:send ${repeat('a;', bytes)}`)],
    ['layers, first', (bytes) => video(`a=simulcast:send ${repeat('a;', bytes)}`)],
    ['names in a bundle', (bytes) => video().replace('BUNDLE 0', `BUNDLE 0 ${repeat('1 2 ', bytes)}`)],
    ['bundles', many((i) => `a=group:BUNDLE 0 ${i}`)],
    [
      'sections that share a port',
      (bytes) =>
        `${video().replace('BUNDLE 0', `BUNDLE 0 ${repeat('q ', bytes)}`)}\n${'m=video 0 UDP/TLS/RTP/SAVPF 96\na=bundle-only\na=mid:z\n'.repeat(1)}${Array.from({ length: 60 }, (_, i) => `m=video 0 UDP/TLS/RTP/SAVPF 96\na=bundle-only\na=mid:m${i}\na=rtpmap:96 H264/90000`).join('\n')}`,
    ],
    ['groups of repairs', many((i) => `a=ssrc-group:FID ${i} ${i + 1}`)],
  ]
  for (const [name, make] of cases) grows(name, 12 * 1024, make, answer)
  grows(
    'candidates in a fragment',
    12 * 1024,
    (bytes) => repeat('a=candidate:1 1 udp 1 192.0.2.1 9 typ host\n', bytes),
    (text: string) => refusable(() => parseSdpFragment(text)),
  )
})

const filled = (bytes: number, unit: Uint8Array) => {
  const all = Buffer.alloc(bytes - (bytes % unit.length))
  for (let at = 0; at < all.length; at += unit.length) all.set(unit, at)
  return all
}

describe('packets', () => {
  const padded = (head: number[], body: Uint8Array) => {
    const packet = Buffer.concat([Uint8Array.from(head), body])
    packet.writeUInt16BE(packet.length / 4 - 1, 2)
    return packet
  }
  const PACKET = 7 * 1024
  grows(
    'RTCP: a NACK',
    PACKET,
    (n) => padded([0x81, 205, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2], filled(n, Uint8Array.of(0, 1, 255, 255))),
    parseRtcp,
  )
  grows('RTCP: many small messages', PACKET, (n) => filled(n, Uint8Array.of(0x80, 201, 0, 1, 0, 0, 0, 1)), parseRtcp)
  grows(
    'STUN: many attributes',
    7 * 1024,
    (n) => {
      const head = Buffer.from('000100002112a442000000000000000000000000', 'hex')
      const all = Buffer.concat([
        head,
        filled(n, Uint8Array.of(0, 6, 0, 4, 97, 98, 99, 100)),
        Buffer.from(`00080014${'00'.repeat(20)}`, 'hex'),
      ])
      all.writeUInt16BE(all.length - 20, 2)
      return all
    },
    (data: Buffer) => parseBindingRequest(data)?.signedWith('password'),
  )
  grows(
    'RTP: an extension that is padding',
    PACKET,
    (n) => {
      const words = Math.floor(n / 4)
      return Buffer.concat([
        Uint8Array.of(0x90, 96, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1, 0xbe, 0xde, words >> 8, words & 255),
        Buffer.alloc(4 * words),
      ])
    },
    (data: Buffer) => {
      const packet = parseRtp(data)!
      return Array.from({ length: 16 }, (_, id) => extensionElement(packet, id))
    },
  )
  grows(
    'TCP: a byte at a time',
    8 * 1024 - 8,
    (n) => Buffer.concat([Uint8Array.of(n >> 8, n & 255), Buffer.alloc(n - 1)]),
    (data: Buffer) => {
      const frames = new TcpFrames(() => {})
      for (let i = 0; i < data.length; i++) frames.push(data.subarray(i, i + 1))
      return frames
    },
  )
})

describe('frames of publishers', () => {
  const packet = (payload: Uint8Array, sequence: number, marker = false): RtpPacket => ({
    ...{ payloadType: 96, marker, sequence: sequence & 0xffff, timestamp: 1, ssrc: 1, payloadOffset: 12, payload },
    ...{ extension: new Uint8Array(), twoByteExtension: false },
  })
  const units = (codec: RtpVideoCodec, ends: boolean) => (payloads: Uint8Array[]) => {
    const reader = new VideoUnits(codec)
    const out = payloads.map((payload, i) =>
      reader.push({ lostBefore: 0, packet: packet(payload, i, ends && i === payloads.length - 1) }),
    )
    return [reader, out.flat()]
  }
  const cut = (data: Uint8Array, bytes: number, head: number[]) =>
    Array.from({ length: Math.ceil(data.length / bytes) }, (_, i) =>
      Buffer.concat([Uint8Array.from(head), data.subarray(i * bytes, (i + 1) * bytes)]),
    )
  const cases: [string, RtpVideoCodec, (bytes: number) => Uint8Array[]][] = [
    ['small units together', 'h264', (n) => cut(filled(n, Uint8Array.of(0, 1, 0x65)), 999, [24])],
    [
      'parameter sets',
      'h264',
      (n) => cut(filled(n, Uint8Array.from([0, 3, 0x68, 1, 1, 0, 3, 0x67, 66, 7])), 1000, [24]),
    ],
    ['messages', 'h264', (n) => cut(filled(n, Uint8Array.of(0, 4, 6, 5, 0, 0x80)), 1002, [24])],
    [
      'fragments of one byte',
      'h264',
      (n) => [
        Uint8Array.of(0x7c, 0x85),
        ...cut(new Uint8Array(n / 8).fill(1), 1, [0x7c, 5]),
        Uint8Array.of(0x7c, 0x45),
      ],
    ],
    ['small units together', 'hevc', (n) => cut(filled(n, Uint8Array.of(0, 2, 0x26, 1)), 1000, [0x60, 1])],
    [
      'parameter sets',
      'hevc',
      (n) => cut(filled(n, Uint8Array.from([0, 4, 0x44, 1, 9, 9, 0, 5, 0x40, 1, 3, 3, 3])), 1001, [0x60, 1]),
    ],
    ['payloads of one byte', 'vp8', (n) => [Uint8Array.of(0x10, 1), ...cut(new Uint8Array(n / 8), 1, [0])]],
    ['payloads of one byte', 'vp9', (n) => [Uint8Array.of(8, 1), ...cut(new Uint8Array(n / 8), 1, [0])]],
    ['units of one byte', 'av1', (n) => cut(filled(n, Uint8Array.of(1, 0x30)), 1000, [0])],
    [
      'sequence headers',
      'av1',
      (n) => cut(filled(n, Uint8Array.from([12, 8, 0, 0, 0, 4, 0x3d, 6, 0xd4, 0xda, 0xf9, 0, 0x40])), 1001, [0]),
    ],
  ]
  for (const [name, codec, make] of cases) {
    grows(`${codec}: ${name}`, 8 * 1024, make, units(codec, true))
    grows(`${codec}: ${name}, without an end`, 8 * 1024, make, units(codec, false))
  }

  test('an endless one is cut at the longest frame allowed', () => {
    const payloads = Array.from({ length: 60_000 }, (_, i) => Uint8Array.of(i === 0 ? 0x10 : 0, 1))
    expect(heldBy(() => units('vp8', false)(payloads))).toBeLessThan(8 * 1024 * 1024)
  })

  grows(
    'sequence numbers that leap',
    8 * 1024,
    (n) => Array.from({ length: n / 64 }, (_, i) => packet(new Uint8Array(50), i * 1999)),
    (packets: RtpPacket[]) => {
      const buffer = new JitterBuffer({ maxWaitMs: 400, askEveryMs: 40 })
      const out = packets.map((one, i) => [
        buffer.push(one, i).length,
        buffer.giveUp(i).length,
        buffer.takeMissing(i).length,
      ])
      return [buffer, out]
    },
  )

  test('at most 8 MiB wait for a packet that never arrives', () => {
    const held = heldBy(() => {
      const buffer = new JitterBuffer({ maxWaitMs: 400, askEveryMs: 40 })
      buffer.push(packet(new Uint8Array(1), 0), 0)
      for (let i = 2; i < 1900; i++) buffer.push(packet(new Uint8Array(60_000), i), 1)
      return buffer
    })
    expect(held).toBeLessThan(12 * 1024 * 1024)
  })
})
