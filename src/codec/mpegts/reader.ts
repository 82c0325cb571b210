// ISO/IEC 13818-1 §2.4: MPEG transport streams, from bytes to packets.
// Bound: time and output grow with the bytes, see `Program`; beside the present chunk one picture and one audio PES
// packet are held, and 64 MiB while several programs are tried.
import type { AppError } from '../../core/errors.ts'
import type { EncodedPacket } from '../../core/media/packet.ts'
import { plainBytes } from '../bytes.ts'
import { Continuity } from './continuity.ts'
import { PAT_PID, parseTsPacket, SYNC_BYTE, TS_PACKET_BYTES, type TsPacket } from './packet.ts'
import { Choice } from './program/choice.ts'
import { Program, type TsProgram } from './program/program.ts'
import { isHopeless, noSuchProgram, refusalOf } from './program/refusal.ts'
import { Tables } from './program/tables.ts'
import { TsSync } from './sync.ts'

export type { TsProgram } from './program/program.ts'

export type TsReaderOptions = {
  /** Longest picture or PES packet; longer ones are dropped and counted. */
  maxUnitBytes?: number
  /** Number of the program to read; default: the first readable one. */
  program?: number
}

const MAX_UNIT_BYTES = 16 * 1024 * 1024

const TS_HEADER_BYTES = 4
/** transport_error_indicator and payload_unit_start_indicator, in the second byte. */
const ERROR_OR_START = 0xc0
/** Not scrambled, no adaptation field, in the fourth byte. */
const PAYLOAD_ONLY = 0x10

/**
 * Reads one program of a transport stream, split anywhere: its first video and its first audio stream with a supported
 * codec, on one clock. Sizes and sample rates are in the packets' tracks. Video begins at its first keyframe. Of
 * several programs, the first one whose video can be shown is taken, and kept as long as it is listed.
 */
export class TsReader {
  readonly #sync = new TsSync()
  readonly #continuity = new Continuity()
  readonly #tables: Tables
  readonly #wanted: number | undefined
  readonly #maxUnitBytes: number
  /** The program whose packets are returned. */
  #program: Program | undefined
  /** Set while there are several programs and none is taken. */
  #choice: Choice | undefined
  /** True once a keyframe of the program came. */
  #begun = false
  #missing = 0
  #droppedBefore = 0

  constructor(options: TsReaderOptions = {}) {
    this.#maxUnitBytes = options.maxUnitBytes ?? MAX_UNIT_BYTES
    this.#wanted = options.program
    this.#tables = new Tables(options.program)
  }

  /** Undefined until the PMT of the program has come. */
  get program(): TsProgram | undefined {
    return this.#program?.description
  }

  /** True once a complete PAT has come. */
  get listed(): boolean {
    return this.#tables.complete
  }

  /**
   * For a kind that the program lacks or that is not readable: a description of what there is instead, '' if there is
   * none.
   */
  missing(kind: 'video' | 'audio'): string | undefined {
    return this.#program?.missing(kind)
  }

  /** True once packets are found at a regular step. */
  get synced(): boolean {
    return this.#sync.found
  }

  /** Missing transport packets, losses of sync, and damaged pictures and audio frames. */
  get lost(): number {
    return this.#missing + this.#sync.lost + this.#droppedBefore + (this.#program?.lost ?? 0)
  }

  /**
   * Why nothing can be read, unless that changes: `invalid-request` for a program that does not exist, otherwise
   * `unsupported-media`.
   */
  get refusal(): AppError | undefined {
    const { complete, programs, numbers } = this.#tables
    if (!complete || this.#begun) return undefined
    if (this.#wanted !== undefined && programs.length === 0) return noSuchProgram(this.#wanted, numbers)
    return refusalOf(programs)
  }

  /**
   * Takes the next bytes, which must not change afterwards, and returns the packets that they complete. Throws
   * `unsupported-media` if no program can be read, because each is scrambled or has unsupported video. Once a program
   * has begun, it only pauses then.
   */
  push(chunk: Uint8Array): EncodedPacket[] {
    const packets: EncodedPacket[] = []
    const sync = this.#sync
    sync.take(plainBytes(chunk))
    for (let offset = sync.next(); offset !== undefined; offset = sync.next()) {
      const run = this.#run(sync.data, offset)
      if (run > 0) sync.pass(run - 1)
      else this.#packet(sync.data, offset, packets)
    }
    return packets
  }

  /** Ends the input, normally or truncated (`cut`), and returns the last packets if they are complete. */
  flush(cut = this.#sync.left > 0): EncodedPacket[] {
    const packets: EncodedPacket[] = []
    this.#decide(packets, true)
    this.#program?.flush(cut, packets)
    return packets
  }

  /**
   * Takes a run of packets that hold only payload of the same unit, as most of a picture's do, at once; returns their
   * number. 0 if this one must be parsed by itself.
   */
  #run(data: Uint8Array, offset: number): number {
    const program = this.#choice ? undefined : this.#program
    const [second, third] = [data[offset + 1] as number, data[offset + 2] as number]
    if (!program || second & ERROR_OR_START) return 0
    const pid = ((second & 0x1f) << 8) | third
    let counter = this.#continuity.expected(pid)
    if (counter === undefined || this.#tables.has(pid)) return 0
    const { step } = this.#sync
    const last = data.length - TS_PACKET_BYTES
    let count = 0
    for (let at = offset; at <= last; at += step, count++) {
      const alike = data[at] === SYNC_BYTE && data[at + 1] === second && data[at + 2] === third
      if (!alike || data[at + 3] !== (PAYLOAD_ONLY | counter)) break
      counter = (counter + 1) & 15
    }
    const bytes = TS_PACKET_BYTES - TS_HEADER_BYTES
    const from = offset + TS_HEADER_BYTES
    if (count < 2 || !program.more(pid, data, from, step, bytes, count)) return 0
    const newest = from + (count - 1) * step
    this.#continuity.followed(pid, (counter + 15) & 15, data.subarray(newest, newest + bytes))
    return count
  }

  #packet(data: Uint8Array, offset: number, out: EncodedPacket[]): void {
    const packet = parseTsPacket(data, offset)
    // Skipped: the counters then show what is missing.
    if (packet.damaged) return
    const { pid } = packet
    const isPmt = this.#tables.has(pid)
    const readers = this.#readers(pid)
    if (pid !== PAT_PID && !isPmt && readers.length === 0) return
    if (packet.scrambled) {
      this.#scrambled(pid, readers)
      return
    }
    if (!packet.hasPayload) {
      if (packet.discontinuity) this.#continuity.announce(pid)
      return
    }
    const payload = data.subarray(offset + packet.payload, offset + TS_PACKET_BYTES)
    const missing = this.#continuity.follow(packet, payload)
    if (pid === PAT_PID) {
      this.#continuity.table(missing !== 0)
      if (this.#tables.readPat(payload, packet.start)) this.#listChanged(out)
      return
    }
    if (missing === undefined) return
    this.#missing += missing
    for (const program of readers) this.#read(program, packet, payload, missing > 0, out)
    if (isPmt) this.#readPmt(pid, payload, packet.start, missing > 0, out)
  }

  #readers(pid: number): Program[] {
    if (this.#choice) return this.#choice.readers(pid)
    return this.#program?.has(pid) ? [this.#program] : []
  }

  #read(program: Program, packet: TsPacket, payload: Uint8Array, gap: boolean, out: EncodedPacket[]): void {
    if (this.#choice) {
      this.#choice.take(program, (held) => program.read(packet, payload, gap, held), packet.start)
      this.#decide(out)
    } else {
      const before = out.length
      program.read(packet, payload, gap, out)
      this.#begun ||= out.slice(before).some(({ track, key }) => track.kind === 'video' && key)
    }
    if (program.scrambledVideo) this.#videoScrambled(program)
  }

  #readPmt(pid: number, payload: Uint8Array, start: boolean, gap: boolean, out: EncodedPacket[]): void {
    const changed = this.#tables.readPmt(pid, payload, start, gap)
    const current = this.#program
    if (current && changed.some(({ number }) => number === current.number)) this.#select(current, out)
    else if (changed.length > 0 && !this.#begun) this.#consider(out)
  }

  /** Applies the newest PMT of the program. */
  #select(program: Program, out: EncodedPacket[]): void {
    const listed = this.#tables.programs.find(({ number }) => number === program.number)
    if (!listed?.contents) return
    // A program that was readable may become so again.
    if (isHopeless(listed) && !this.#begun) throw refusalOf([listed])
    for (const pid of program.select(listed.contents, out)) this.#continuity.forget(pid)
  }

  #listChanged(out: EncodedPacket[]): void {
    const { programs } = this.#tables
    const current = this.#program
    if (current && !programs.some(({ number }) => number === current.number)) {
      current.flush(false, out)
      for (const pid of current.pids) this.#continuity.forget(pid)
      this.#droppedBefore += current.lost
      this.#program = undefined
      this.#begun = false
    }
    if (!this.#begun) this.#consider(out)
  }

  /** Considers all programs before one has begun: a single one is read, among several one is chosen. */
  #consider(out: EncodedPacket[]): void {
    const { programs } = this.#tables
    const [only] = programs
    if (programs.length > 0 && programs.every(isHopeless)) throw refusalOf(programs)
    if (!only && !this.#choice) return
    if (only && programs.length === 1 && !this.#choice) {
      if (!only.contents) return
      this.#program ??= new Program(only.number, this.#maxUnitBytes)
      this.#select(this.#program, out)
      return
    }
    this.#choice ??= new Choice(this.#maxUnitBytes)
    this.#choice.consider(programs, this.#program)
    this.#program = undefined
    this.#decide(out)
  }

  #decide(out: EncodedPacket[], atEnd = false): void {
    const chosen = this.#choice?.decide(atEnd)
    if (!chosen) return
    this.#choice = undefined
    this.#program = chosen.program
    this.#begun = true
    // One by one, because more packets may be held than a call takes arguments.
    for (const packet of chosen.held) out.push(packet)
  }

  #scrambled(pid: number, readers: readonly Program[]): void {
    // A stream with a scrambled PAT cannot be read.
    if (pid === PAT_PID) throw refusalOf([{ number: 0, pmtPid: 0, scrambled: true }])
    for (const program of readers) {
      program.scrambled(pid)
      if (program.scrambledVideo) this.#videoScrambled(program)
    }
    const { programs } = this.#tables
    for (const program of programs) program.scrambled ||= program.pmtPid === pid && !program.contents
    if (!this.#begun && programs.every(isHopeless)) throw refusalOf(programs)
  }

  #videoScrambled({ number }: Program): void {
    const listed = this.#tables.programs.find((program) => program.number === number)
    if (!listed || (this.#begun && this.#program?.number === number)) return
    listed.scrambled = true
    if (this.#program?.number === number) throw refusalOf([listed])
    if (this.#tables.programs.every(isHopeless)) throw refusalOf(this.#tables.programs)
  }
}
