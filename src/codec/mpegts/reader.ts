// ISO/IEC 13818-1 §2.4: MPEG transport streams, from bytes to packets.
import { Unwrapper } from '../../core/clock.ts'
import { AppError } from '../../core/errors.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { readAdtsHeader } from '../audio/adts.ts'
import { readMpegAudioHeader } from '../audio/mpeg.ts'
import { opusHeaderReader } from '../audio/opus-ts.ts'
import { plainBytes } from '../bytes.ts'
import { h264Syntax } from '../h264/nal.ts'
import { hevcSyntax } from '../hevc/nal.ts'
import { AudioUnits } from './audio.ts'
import { ACCEPTED_CODECS, identifyStream, type StreamCodec } from './codec.ts'
import { PAT_PID, parseTsPacket, TS_PACKET_BYTES, type TsPacket } from './packet.ts'
import { TIMESTAMP_BITS } from './pes.ts'
import { PAT_TABLE, PMT_TABLE, type Pmt, parsePat, parsePmt, SectionAssembler } from './psi.ts'
import { TsSync } from './sync.ts'
import { UnitAssembler } from './unit.ts'
import { VideoUnits } from './video.ts'

export type TsReaderOptions = {
  /** Longest picture or PES packet; what is longer is dropped and counted. */
  maxUnitBytes?: number
}

/** The part of the program that is read: one video and one audio stream, or only one of them. */
export type TsProgram = { number: number; video?: 'h264' | 'hevc'; audio?: 'aac' | 'mp3' | 'opus' }

/** One elementary stream on its way from transport packets to packets of the house. */
type Line = {
  pid: number
  /** What the PMT told, to see a change. */
  key: string
  assembler: UnitAssembler
  frames: VideoUnits | AudioUnits
}

/**
 * Continuity of one pid (§2.4.3.3): its last packet, and which jumps are forgiven at its next start because the
 * multiplexer may be a new one: none, one to 0, or any.
 */
type Continuity = { counter: number; payload: Uint8Array; forgive: 'none' | 'zero' | 'any' }

const MAX_UNIT_BYTES = 16 * 1024 * 1024

/**
 * Reads the first program of a transport stream, cut anywhere: its first video stream and its first audio stream.
 * Video and audio share one clock. Picture sizes and sample rates are told by the tracks on the packets; video begins at
 * its first keyframe.
 */
export class TsReader {
  readonly #sync = new TsSync()
  readonly #clock = new Unwrapper(TIMESTAMP_BITS)
  readonly #maxUnitBytes: number
  readonly #continuity = new Map<number, Continuity>()
  readonly #pat = new SectionAssembler()
  #pmt = new SectionAssembler()
  #pmtPid: number | undefined
  #lines: Line[] = []
  #program: TsProgram | undefined
  #missing = 0
  #droppedBefore = 0

  constructor(options: TsReaderOptions = {}) {
    this.#maxUnitBytes = options.maxUnitBytes ?? MAX_UNIT_BYTES
  }

  /** Known once the PMT was read. */
  get program(): TsProgram | undefined {
    return this.#program
  }

  /** True once packets follow each other in step. */
  get synced(): boolean {
    return this.#sync.found
  }

  /** Transport packets that are missing, places where the step was lost, and pictures and audio frames that came damaged. */
  get lost(): number {
    return (
      this.#missing + this.#sync.lost + this.#droppedBefore + this.#lines.reduce((sum, line) => sum + dropped(line), 0)
    )
  }

  /**
   * Takes the next bytes, which must not change afterwards, and returns the packets they complete. Fails with `unsupported-media` when
   * the program is scrambled, or has a codec that is not read.
   */
  push(chunk: Uint8Array): EncodedPacket[] {
    const packets: EncodedPacket[] = []
    for (const { data, offset } of this.#sync.push(plainBytes(chunk))) this.#packet(data, offset, packets)
    return packets
  }

  /** Takes the end of the bytes, or their breaking off (`cut`), and returns what was still open, if it is whole. */
  flush(cut = this.#sync.left > 0): EncodedPacket[] {
    const packets: EncodedPacket[] = []
    for (const { assembler, frames } of this.#lines) {
      for (const unit of assembler.flush(cut)) packets.push(...frames.take(unit))
    }
    return packets
  }

  #packet(data: Uint8Array, offset: number, out: EncodedPacket[]): void {
    const packet = parseTsPacket(data, offset)
    // The counters show what is missing when a damaged packet is passed over.
    if (packet.damaged) return
    const line = this.#lines.find(({ pid }) => pid === packet.pid)
    if (!line && packet.pid !== PAT_PID && packet.pid !== this.#pmtPid) return
    if (packet.scrambled) throw scrambled()
    if (!packet.hasPayload) {
      const last = packet.discontinuity && this.#continuity.get(packet.pid)
      if (last) last.forgive = 'any'
      return
    }
    const payload = data.subarray(offset + packet.payload, offset + TS_PACKET_BYTES)
    if (packet.pid === PAT_PID) {
      this.#readPat(packet, payload)
      return
    }
    const missing = this.#follow(packet, payload)
    if (missing === undefined) return
    this.#missing += missing
    if (line) this.#readUnit(line, packet, payload, missing > 0, out)
    else this.#readPmt(payload, packet.start, missing > 0, out)
  }

  /** Packets missing before this one; undefined for one that came twice. */
  #follow(packet: TsPacket, payload: Uint8Array): number | undefined {
    const last = this.#continuity.get(packet.pid)
    this.#continuity.set(packet.pid, { counter: packet.counter, payload, forgive: 'none' })
    if (!last || packet.discontinuity) return 0
    if (packet.start && (last.forgive === 'any' || (last.forgive === 'zero' && packet.counter === 0))) return 0
    if (packet.counter === last.counter && Buffer.compare(payload, last.payload) === 0) return undefined
    return (packet.counter - last.counter + 15) & 15
  }

  /**
   * Tables come again and again, so that a jump in their counter is hardly a loss: segments that were made one by one
   * follow each other. Each begins with a PAT, and all its counters begin anew, mostly at 0.
   */
  #readPat(packet: TsPacket, payload: Uint8Array): void {
    const jump = this.#follow(packet, payload) !== 0
    for (const last of this.#continuity.values()) {
      if (jump) last.forgive = 'any'
      else if (last.forgive === 'none') last.forgive = 'zero'
    }
    for (const section of this.#pat.push(payload, packet.start)) {
      const first = section.tableId === PAT_TABLE ? parsePat(section.body)[0] : undefined
      if (!first || first.pmtPid === this.#pmtPid) continue
      if (this.#pmtPid !== undefined) this.#continuity.delete(this.#pmtPid)
      this.#pmtPid = first.pmtPid
      this.#pmt = new SectionAssembler()
    }
  }

  #readUnit(line: Line, packet: TsPacket, payload: Uint8Array, gap: boolean, out: EncodedPacket[]): void {
    if (gap) {
      for (const unit of line.assembler.lose()) out.push(...line.frames.take(unit))
      if (line.frames instanceof AudioUnits) line.frames.lose()
    }
    for (const unit of line.assembler.push(payload, packet.start, packet.stuffed)) out.push(...line.frames.take(unit))
    if (line.assembler.scrambled) throw scrambled()
  }

  #readPmt(payload: Uint8Array, start: boolean, gap: boolean, out: EncodedPacket[]): void {
    if (gap) this.#pmt.reset()
    for (const section of this.#pmt.push(payload, start)) {
      const pmt = section.tableId === PMT_TABLE ? parsePmt(section.body) : undefined
      // A multiplexer that does not know its streams yet names none.
      if (pmt && pmt.streams.length > 0) this.#select(section.extension, pmt, out)
    }
  }

  /** Keeps the lines that are in the PMT as before, ends the others, and begins the new ones. */
  #select(number: number, pmt: Pmt, out: EncodedPacket[]): void {
    const streams = pmt.streams.map((stream) => ({ pid: stream.pid, codec: identifyStream(stream) }))
    const chosen = (['video', 'audio'] as const).flatMap((kind) => {
      const ofKind = streams.filter(({ codec }) => codec.kind === kind)
      const first = ofKind.find(({ codec }) => codec.codec !== undefined)
      if (!first && ofKind[0]) throw unsupported(ofKind[0].codec)
      return first ?? []
    })
    if (chosen.length === 0) throw unsupported(streams[0]?.codec)
    const keys = chosen.map(({ pid, codec }) => `${pid} ${JSON.stringify(codec)}`)
    for (const line of this.#lines.filter(({ key }) => !keys.includes(key))) {
      for (const unit of line.assembler.flush()) out.push(...line.frames.take(unit))
      this.#droppedBefore += dropped(line)
      this.#continuity.delete(line.pid)
    }
    this.#lines = chosen.map(({ pid, codec }, i) => {
      const key = keys[i] as string
      return this.#lines.find((line) => line.key === key) ?? this.#openLine(pid, key, codec)
    })
    const named = Object.fromEntries(chosen.map(({ codec }) => [codec.kind, codec.codec]))
    this.#program = { number, ...named }
  }

  #openLine(pid: number, key: string, codec: StreamCodec): Line {
    const assembler = new UnitAssembler({ continues: codec.kind === 'video', maxBytes: this.#maxUnitBytes })
    return { pid, key, assembler, frames: this.#openFrames(codec) }
  }

  #openFrames(codec: StreamCodec): VideoUnits | AudioUnits {
    switch (codec.codec) {
      case 'h264':
        return new VideoUnits(h264Syntax, this.#clock)
      case 'hevc':
        return new VideoUnits(hevcSyntax, this.#clock)
      case 'aac':
        return new AudioUnits('aac', readAdtsHeader, this.#clock)
      case 'mp3':
        return new AudioUnits('mp3', readMpegAudioHeader, this.#clock)
      case 'opus':
        return new AudioUnits('opus', opusHeaderReader(codec.channels), this.#clock)
      default:
        throw unsupported(codec)
    }
  }
}

function dropped({ assembler, frames }: Line): number {
  return assembler.dropped + (frames instanceof AudioUnits ? frames.skipped : 0)
}

function scrambled(): AppError {
  return new AppError('unsupported-media', 'the MPEG-TS program is scrambled; send it without encryption')
}

function unsupported(codec: StreamCodec | undefined): AppError {
  const name = codec && codec.codec === undefined && codec.kind !== 'data' ? codec.name : undefined
  const what = name ? `the MPEG-TS stream carries ${name}` : 'the MPEG-TS program has neither video nor audio'
  return new AppError('unsupported-media', `${what}; accepted are ${ACCEPTED_CODECS}`, {
    details: { ...(name && { codec: name }), accepted: ACCEPTED_CODECS },
  })
}
