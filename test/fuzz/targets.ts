/**
 * What is fuzzed: each parser of bytes from outside, with what it promises of any input. A target returns the bytes that
 * the parser gave out, which may not be more than `grows` times the input and `base`.
 */
import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import { AccessUnitSplitter, ParameterSets, type VideoSyntax } from '../../src/codec/access-unit.ts'
import { joinNalUnits, nalUnits, unescapeNal } from '../../src/codec/annexb.ts'
import { readAc3Header } from '../../src/codec/audio/ac3.ts'
import { readAdtsHeader } from '../../src/codec/audio/adts.ts'
import type { ReadAudioHeader } from '../../src/codec/audio/header.ts'
import { latmHeaderReader } from '../../src/codec/audio/latm.ts'
import { readMpegAudioHeader } from '../../src/codec/audio/mpeg.ts'
import { opusHeaderReader, opusSamples } from '../../src/codec/audio/opus-ts.ts'
import { h264Syntax } from '../../src/codec/h264/nal.ts'
import { hevcSyntax } from '../../src/codec/hevc/nal.ts'
import { parseJson } from '../../src/codec/json.ts'
import { mergePatch } from '../../src/codec/merge-patch.ts'
import { PacketWriter } from '../../src/codec/mpegts/packet-writer.ts'
import { parsePesHeader, pesHeader } from '../../src/codec/mpegts/pes.ts'
import { buildPat, buildPmt, parsePat, parsePmt } from '../../src/codec/mpegts/psi.ts'
import { TsReader } from '../../src/codec/mpegts/reader.ts'
import { NutReader } from '../../src/codec/nut/reader.ts'
import { extensionElement, parseRtp } from '../../src/codec/rtp/packet.ts'
import { parseRtcp } from '../../src/codec/rtp/rtcp.ts'
import { type RtpVideoCodec, VideoUnits } from '../../src/codec/rtp/video-units.ts'
import { RtspResponses } from '../../src/codec/rtsp.ts'
import { parseChannelOpen } from '../../src/codec/sctp/dcep.ts'
import { readSctpPacket } from '../../src/codec/sctp/packet.ts'
import { parseSdpFragment } from '../../src/codec/sdp/fragment.ts'
import { parseSdp } from '../../src/codec/sdp/session.ts'
import { parseBindingRequest, parseBindingSuccess } from '../../src/codec/stun.ts'
import { AppError } from '../../src/core/errors.ts'
import { RtspMedia } from '../../src/ffmpeg/remote/rtsp-media.ts'
import { RtspTap } from '../../src/ffmpeg/remote/rtsp-tap.ts'
import { ControlChannel } from '../../src/pipeline/control-channel.ts'
import { HandshakeOrder } from '../../src/webrtc/dtls/handshake-order.ts'
import { JitterBuffer } from '../../src/webrtc/rtp/jitter-buffer.ts'
import { negotiate } from '../../src/webrtc/signalling/negotiate.ts'

export type Target = {
  /** Feeds the parser; returns the bytes that came out. Declared refusals are caught, anything else is a finding. */
  run(data: Buffer): number
  grows: number
  base: number
}

const target = (run: Target['run'], { grows = 2, base = 4096 } = {}): Target => ({ run, grows, base })

/** Outside input may be refused by an `AppError` and in no other way. */
function refusable(work: () => number): number {
  try {
    return work()
  } catch (error) {
    if (error instanceof AppError) return 0
    throw error
  }
}

const total = (parts: readonly { length: number }[]): number => parts.reduce((sum, { length }) => sum + length, 0)

/** Cuts an input into records of a length byte (in units of 8 bytes and a rest of up to 7) and so many bytes. */
function* records(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; ) {
    const length = 1 + data[at]! * 6
    yield data.subarray(at + 1, at + 1 + length)
    at += 1 + length
  }
}

function readTs(chunks: Iterable<Uint8Array>): number {
  const reader = new TsReader()
  let bytes = 0
  return refusable(() => {
    for (const chunk of chunks) bytes += total(reader.push(chunk).map(({ data }) => data))
    return bytes + total(reader.flush().map(({ data }) => data))
  })
}

/** Puts the input into PES packets of a well-made stream, past the checksums that a fuzzer does not find. */
function* inPes(data: Buffer): Generator<Uint8Array> {
  const packets = new PacketWriter().begin(data.length)
  const video = { streamType: data[0]! & 1 ? 0x24 : 0x1b, pid: 0x100, descriptors: [] }
  const audio = { streamType: data[0]! & 2 ? 0x03 : 0x0f, pid: 0x101, descriptors: [] }
  packets.section(0, buildPat([{ program: 1, pmtPid: 0x1000 }]))
  packets.section(0x1000, buildPmt(1, 0, { pcrPid: 0x100, descriptors: [], streams: [video, audio] }))
  let pts = 0
  for (const record of records(data.subarray(1))) {
    const isAudio = (record[0] ?? 0) & 1
    const raw = (record[0] ?? 0) & 2
    const payload = record.subarray(1)
    pts += 3000
    const pes = raw
      ? payload
      : Buffer.concat([pesHeader(isAudio ? 0xc0 : 0xe0, isAudio ? payload.length : 0, pts, pts), payload])
    packets.pes(isAudio ? 0x101 : 0x100, pes, {})
  }
  yield packets.end().slice()
}

function readRtp(codec: RtpVideoCodec): Target['run'] {
  return (data) => {
    const units = new VideoUnits(codec)
    const jitter = new JitterBuffer({ maxWaitMs: 100, askEveryMs: 20 })
    let bytes = 0
    let now = 0
    for (const record of records(data)) {
      const packet = parseRtp(record)
      if (!packet) continue
      for (let id = 0; id < 16; id++) extensionElement(packet, id)
      now += 10
      const ordered = [...jitter.push(packet, now), ...jitter.giveUp(now)]
      jitter.takeMissing(now)
      for (const one of ordered) bytes += total(units.push(one).map((unit) => unit.data))
    }
    return bytes
  }
}

function readUnits(syntax: VideoSyntax): Target['run'] {
  return (data) =>
    refusable(() => {
      const splitter = new AccessUnitSplitter(syntax)
      const sets = new ParameterSets(syntax)
      let bytes = 0
      for (const record of records(data)) {
        for (const unit of splitter.split(record)) {
          sets.note(unit)
          bytes += sets.complete(unit)?.length ?? 0
          const sps = sets.sps(unit)
          if (sps) refusable(() => syntax.parseSps(sps).width * 0)
        }
      }
      return bytes
    })
}

function readFrames(...readers: ReadAudioHeader[]): Target['run'] {
  return (data) => {
    let bytes = 0
    for (const read of readers) {
      for (let at = 0; at < data.length; ) {
        const header = read(data, at)
        if (typeof header === 'string') at++
        else {
          bytes += Math.min(header.length, data.length - at)
          if (!(header.skip + header.length > 0)) throw new Error(`a frame of ${header.skip + header.length} bytes`)
          at += header.skip + header.length
        }
      }
    }
    return bytes
  }
}

export const targets: Record<string, Target> = {
  mpegts: target((data) => readTs([data]), { grows: 3, base: 128 * 1024 }),
  'mpegts-pes': target((data) => readTs(inPes(data)), { grows: 4, base: 128 * 1024 }),
  'mpegts-tables': target((data) => {
    parsePesHeader(data)
    return refusable(() => parsePat(data).length + (parsePmt(data)?.streams.length ?? 0))
  }),
  nut: target((data) => {
    let bytes = 0
    const reader = new NutReader({ onFrame: (frame) => (bytes += frame.data.length), maxFrameBytes: 65_536 })
    return refusable(() => {
      for (const record of records(data)) reader.push(record)
      return bytes
    })
  }),
  annexb: target((data) => total(nalUnits(data).map(unescapeNal)) + joinNalUnits(nalUnits(data)).length, { grows: 4 }),
  h264: target(readUnits(h264Syntax), { grows: 4, base: 128 * 1024 }),
  hevc: target(readUnits(hevcSyntax), { grows: 4, base: 128 * 1024 }),
  audio: target(
    readFrames(readAdtsHeader, readMpegAudioHeader, readAc3Header, latmHeaderReader(), opusHeaderReader(2)),
    { grows: 6, base: 16_384 },
  ),
  opus: target((data) => {
    const samples = opusSamples(data)
    if (!(samples >= 0 && samples <= 5760)) throw new Error(`a packet of ${samples} samples`)
    return 0
  }),
  'rtp-h264': target(readRtp('h264'), { grows: 8, base: 128 * 1024 }),
  'rtp-vp8': target(readRtp('vp8')),
  'rtp-vp9': target(readRtp('vp9')),
  'rtp-av1': target(readRtp('av1')),
  'rtp-h265': target(readRtp('hevc'), { grows: 8, base: 128 * 1024 }),
  rtcp: target((data) => JSON.stringify(parseRtcp(data)).length, { grows: 200, base: 65_536 }),
  stun: target((data) => {
    parseBindingRequest(data)
    parseBindingSuccess(data)
    return 0
  }),
  dtls: target(
    (data) => {
      const order = new HandshakeOrder(data[0] === 0 ? 'client' : 'server')
      let bytes = 0
      for (const datagram of records(data)) order.pass(datagram, (record) => (bytes += record.length))
      return bytes
    },
    { grows: 3 },
  ),
  sctp: target((data) => {
    const open = parseChannelOpen(data)
    const read = readSctpPacket(data)
    return (open ? open.label.length + open.protocol.length : 0) + (read ? 1 + 4 * read.sequences.length : 0)
  }),
  sdp: target(
    (data) => {
      const text = data.toString('latin1')
      refusable(() => total(parseSdpFragment(text).candidates))
      return refusable(() => {
        const sdp = parseSdp(text)
        for (const flow of ['send', 'receive'] as const) refusable(() => negotiate(sdp, flow).media.length)
        return JSON.stringify(sdp).length
      })
    },
    { grows: 40 },
  ),
  rtsp: target((data) => {
    const tap = new RtspTap()
    const responses = new RtspResponses((head) => {
      tap.onHead(head)
      return head.lines
    }, tap)
    for (const [i, method] of ['DESCRIBE', 'SETUP', 'SETUP', 'PLAY'].entries())
      tap.onRequest(`${method} rtsp://host/${i} RTSP/1.0\r\nCSeq: ${i + 1}\r\n\r\n`)
    return refusable(() => [...records(data)].reduce((bytes, record) => bytes + total(responses.push(record)), 0))
  }),
  'rtsp-media': target(
    (data) => {
      const channels = { rtp: 0, rtcp: 1 }
      const video = { payloadType: 96, name: 'h264', clockRate: 90_000, channels: 1, parameters: {}, feedback: [] }
      const parameters = { mode: 'AAC-hbr', sizelength: '13', indexlength: '3', config: '1190' }
      const audio = { ...video, payloadType: 97, name: 'mpeg4-generic', clockRate: 48_000, parameters }
      let bytes = 0
      const media = new RtspMedia(
        [
          { kind: 'video', codec: video, channels },
          { kind: 'audio', codec: audio, channels: { rtp: 2, rtcp: 3 } },
        ],
        (packet) => {
          bytes += packet.data.length
        },
      )
      for (const record of records(data)) media.push(record[0]! & 3, Buffer.from(record.subarray(1)))
      return bytes
    },
    { grows: 8 },
  ),
  json: target(
    (data) =>
      refusable(() => {
        const value = parseJson(data.toString(), 'the body')
        const merged = mergePatch(value, value)
        return JSON.stringify(merged)?.length ?? 0
      }),
    { grows: 8 },
  ),
  control: target((data) => {
    let messages = 0
    const socket = Object.assign(new EventEmitter(), { pause: () => {} })
    new ControlChannel(
      socket as unknown as Duplex,
      { onMessage: () => messages++, onBroken: () => {} },
      { maxLineBytes: 1024 },
    )
    for (const record of records(data)) socket.emit('data', record)
    return messages
  }),
}

/** @throws when the target gives out more than it may; whatever the parser throws goes through. */
export function attack(name: string, data: Buffer): void {
  const { run, grows, base } = targets[name] as Target
  const bytes = run(data)
  if (bytes > grows * data.length + base) throw new Error(`${name}: ${data.length} bytes became ${bytes}`)
}
