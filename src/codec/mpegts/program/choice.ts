// Bound: at most eight programs are read side by side, each in the time of its own bytes; 64 MiB are held back at most,
// and all that comes out came in.
import { TICKS_PER_SECOND } from '../../../core/clock.ts'
import type { EncodedPacket } from '../../../core/media/packet.ts'
import { Program } from './program.ts'
import type { ListedProgram } from './tables.ts'

/** Programs read in parallel until one is chosen. */
const MAX_CANDIDATES = 8
/** Memory of an object in addition to its bytes. */
const PACKET_BYTES = 256
/** Limit of the bytes that they hold back together. */
const MAX_HELD_BYTES = 64 * 1024 * 1024
/** Limit of audio packets kept from before their frame. */
const MAX_EARLY_AUDIO = 256
/** A clock step beyond this is a jump and says nothing about waiting time. */
const MAX_STEP_TICKS = TICKS_PER_SECOND

/**
 * How long to wait for an earlier program, in stream time of a later usable one: without a PMT, without any video, and
 * without a keyframe.
 */
const PATIENCE_TICKS = { table: TICKS_PER_SECOND / 2, bytes: TICKS_PER_SECOND, keyframe: 5 * TICKS_PER_SECOND }

/** A program being read, with its packets since its newest keyframe. */
type Candidate = {
  program: Program
  held: EncodedPacket[]
  bytes: number
  /** Its first keyframe has come. */
  ready: boolean
  /** Stream time since then. */
  waited: number
  last: number | undefined
  /** Video has come, with or without a keyframe. */
  flowing: boolean
}

/**
 * Chooses, among several programs, the first one whose video can be shown. All candidates are read in parallel, at most
 * eight, and each holds back its packets since its newest keyframe, at most 64 MiB together. Programs with the same
 * video count as one, so that a packet is read once for its video and at most eight times for its audio.
 */
export class Choice {
  readonly #maxUnitBytes: number
  #listed: readonly ListedProgram[] = []
  #candidates: Candidate[] = []

  constructor(maxUnitBytes: number) {
    this.#maxUnitBytes = maxUnitBytes
  }

  /** Takes the programs as listed now; one that was already read continues. */
  consider(listed: readonly ListedProgram[], before?: Program): void {
    this.#listed = listed
    const pids = new Set<number>()
    const candidates: Candidate[] = []
    for (const { number, contents } of listed) {
      const video = contents?.video
      if (!video || pids.has(video.pid) || candidates.length === MAX_CANDIDATES) continue
      pids.add(video.pid)
      const old = this.#candidates.find(({ program }) => program.number === number)
      candidates.push(old ?? newCandidate(before?.number === number ? before : new Program(number, this.#maxUnitBytes)))
      const { program, held } = candidates.at(-1) as Candidate
      program.select(contents, held)
    }
    this.#candidates = candidates
  }

  /** The programs that read packets of this pid. */
  readers(pid: number): Program[] {
    return this.#candidates.map(({ program }) => program).filter((program) => program.has(pid))
  }

  /** Lets a program read, and keeps its packets. */
  take(program: Program, read: (out: EncodedPacket[]) => void, start: boolean): void {
    const candidate = this.#candidates.find((one) => one.program === program)
    if (!candidate) return
    const out: EncodedPacket[] = []
    read(out)
    candidate.flowing ||= start && !program.scrambledVideo
    for (const packet of out) hold(candidate, packet)
  }

  /** The program to take now, with its held packets; `atEnd` if nothing more comes. */
  decide(atEnd = false): { program: Program; held: EncodedPacket[] } | undefined {
    const hurry = atEnd || this.#candidates.reduce((sum, { bytes }) => sum + bytes, 0) > MAX_HELD_BYTES
    let patience = 0
    for (const listed of this.#listed) {
      const candidate = this.#candidates.find(({ program }) => program.number === listed.number)
      if (candidate?.ready && (hurry || candidate.waited >= patience)) return candidate
      patience = Math.max(patience, patienceFor(listed, candidate))
    }
    return undefined
  }
}

function newCandidate(program: Program): Candidate {
  return { program, held: [], bytes: 0, ready: false, waited: 0, last: undefined, flowing: false }
}

function patienceFor({ contents, scrambled }: ListedProgram, candidate: Candidate | undefined): number {
  if (candidate?.ready || scrambled) return 0
  if (!contents) return PATIENCE_TICKS.table
  if (!candidate || candidate.program.scrambledVideo) return 0
  return candidate.flowing ? PATIENCE_TICKS.keyframe : PATIENCE_TICKS.bytes
}

function hold(candidate: Candidate, packet: EncodedPacket): void {
  if (packet.track.kind === 'video') {
    const time = packet.dts ?? packet.pts
    candidate.ready ||= packet.key
    const step = time - (candidate.last ?? time)
    if (candidate.ready && step > 0) candidate.waited += Math.min(step, MAX_STEP_TICKS)
    candidate.last = time
    if (packet.key) letGo(candidate, packet.pts)
  }
  candidate.held.push(packet)
  candidate.bytes += packet.data.length + PACKET_BYTES
  if (candidate.ready || candidate.held.length <= MAX_EARLY_AUDIO) return
  candidate.bytes -= (candidate.held.shift()?.data.length ?? 0) + PACKET_BYTES
}

/** At a keyframe, only the audio before it that belongs to it or to later frames is kept. */
function letGo(candidate: Candidate, pts: number): void {
  candidate.held = candidate.held.slice(-MAX_EARLY_AUDIO).filter((packet) => {
    return packet.track.kind === 'audio' && packet.pts >= pts
  })
  candidate.bytes = candidate.held.reduce((sum, { data }) => sum + data.length + PACKET_BYTES, 0)
}
