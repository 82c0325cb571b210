// ISO/IEC 13818-1 §2.4.4: the programs and their streams.
// Bound: a table that says the same again costs one comparison, another one its bytes and the 256 programs that are
// kept at most, once for each packet.
import { type Contents, contentsOf } from '../codec.ts'
import { PAT_TABLE, PMT_TABLE, parsePat, parsePmt, SectionAssembler } from '../psi.ts'

/** A PAT section lists 253 programs; further sections are ignored. */
const MAX_PAT_SECTIONS = 4
/** Further programs of a section are ignored, unless one is requested by number. */
const MAX_PROGRAMS = 64

/** A program as listed in the PAT; `contents` once its PMT has come. */
export type ListedProgram = {
  number: number
  pmtPid: number
  contents?: Contents
  /** The PMT section that they come from. */
  body?: Uint8Array
  scrambled: boolean
}

type Entry = { program: number; pmtPid: number }

/**
 * Keeps the tables of a transport stream: the programs in PAT order, and the newest PMT of each. Several programs may
 * share one PMT pid; the PMT then says whose it is.
 */
export class Tables {
  /** In PAT order; only the requested one, if one is requested. */
  programs: ListedProgram[] = []
  /** Numbers of all programs, for messages. */
  numbers: number[] = []
  readonly #wanted: number | undefined
  readonly #pat = new SectionAssembler()
  readonly #sections = new Map<number, { body: Uint8Array; numbers: number[]; programs: Entry[] }>()
  readonly #pmts = new Map<number, SectionAssembler>()
  #edition = ''
  #complete = false

  /** `wanted`: number of the requested program. */
  constructor(wanted?: number) {
    this.#wanted = wanted
  }

  /** True once a complete PAT has come. */
  get complete(): boolean {
    return this.#complete
  }

  /** Whether this is the pid of a PMT. */
  has(pid: number): boolean {
    return this.#pmts.has(pid)
  }

  /** Takes the payload of a PAT packet. Returns true if the list of programs changed. */
  readPat(payload: Uint8Array, start: boolean): boolean {
    let whole = false
    for (const { tableId, extension, version, number, last, body } of this.#pat.push(payload, start)) {
      if (tableId !== PAT_TABLE || number >= MAX_PAT_SECTIONS) continue
      const edition = `${extension} ${version} ${last}`
      if (edition !== this.#edition) this.#sections.clear()
      this.#edition = edition
      if (!this.#note(number, body)) continue
      whole = this.#sections.size >= Math.min(last + 1, MAX_PAT_SECTIONS)
    }
    return whole && this.#list()
  }

  /** Takes the payload of a PMT packet; `gap` if packets are missing before it. Returns the programs that changed. */
  readPmt(pid: number, payload: Uint8Array, start: boolean, gap: boolean): ListedProgram[] {
    const assembler = this.#pmts.get(pid)
    if (gap) assembler?.reset()
    const said = new Map<ListedProgram, Uint8Array>()
    for (const { tableId, extension, body } of assembler?.push(payload, start) ?? []) {
      const program = this.#ownerOf(pid, extension)
      if (program && tableId === PMT_TABLE) said.set(program, body)
    }
    const changed: ListedProgram[] = []
    for (const [program, body] of said) {
      const pmt = program.body && Buffer.compare(program.body, body) === 0 ? undefined : parsePmt(body)
      // A multiplexer that does not know its streams yet lists none.
      if (!pmt || pmt.streams.length === 0) continue
      program.body = body
      program.contents = contentsOf(pmt)
      changed.push(program)
    }
    return changed
  }

  /**
   * The program of a PMT. Some multiplexers number it differently from the PAT: then it is that of the only program on
   * its pid.
   */
  #ownerOf(pid: number, number: number): ListedProgram | undefined {
    const onPid = this.programs.filter(({ pmtPid }) => pmtPid === pid)
    const named = onPid.find((program) => program.number === number)
    return named ?? (onPid.length === 1 && !this.numbers.includes(number) ? onPid[0] : undefined)
  }

  /** Takes one section of the PAT; false if it is unchanged. */
  #note(number: number, body: Uint8Array): boolean {
    const old = this.#sections.get(number)
    if (old && Buffer.compare(old.body, body) === 0) return false
    const programs = parsePat(body)
    const ofInterest = programs.filter(({ program }) => this.#wanted === undefined || program === this.#wanted)
    const numbers = programs.slice(0, MAX_PROGRAMS).map(({ program }) => program)
    this.#sections.set(number, { body, numbers, programs: ofInterest.slice(0, MAX_PROGRAMS) })
    return true
  }

  #list(): boolean {
    this.#complete = true
    const sections = [...this.#sections].sort(([a], [b]) => a - b).map(([, section]) => section)
    this.numbers = sections.flatMap(({ numbers }) => numbers)
    const next = sections.flatMap(({ programs }) => programs)
    const same = ({ program, pmtPid }: Entry, i: number) =>
      this.programs[i]?.number === program && this.programs[i].pmtPid === pmtPid
    if (next.length === this.programs.length && next.every(same)) return false
    const key = (number: number, pid: number) => number * 0x2000 + pid
    const before = new Map(this.programs.map((program) => [key(program.number, program.pmtPid), program]))
    this.programs = next.map(({ program: number, pmtPid }) => {
      return before.get(key(number, pmtPid)) ?? { number, pmtPid, scrambled: false }
    })
    const pids = new Set(this.programs.map(({ pmtPid }) => pmtPid))
    for (const pid of this.#pmts.keys()) if (!pids.has(pid)) this.#pmts.delete(pid)
    for (const pid of pids) if (!this.#pmts.has(pid)) this.#pmts.set(pid, new SectionAssembler())
    return true
  }
}
