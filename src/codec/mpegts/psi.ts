// ISO/IEC 13818-1 §2.4.4: program specific information; Annex A: its CRC.
// Bound: each payload is looked at once, with at most 1,024 bytes kept before it; views come out, one for each two bytes at
// most.

import { concatBytes } from '../bytes.ts'

/** Longest section of a PAT or PMT (§2.4.4.5), including its first three bytes. */
const MAX_SECTION_BYTES = 1024
const HEADER_BYTES = 8
const CRC_BYTES = 4

export const PAT_TABLE = 0
export const PMT_TABLE = 2

const CRC_TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 24
  for (let i = 0; i < 8; i++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1
  return crc
})

/** CRC-32/MPEG-2; 0 over a section including its CRC. */
function crc32Mpeg(data: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of data) crc = (crc << 8) ^ (CRC_TABLE[((crc >>> 24) ^ byte) & 0xff] as number)
  return crc >>> 0
}

/** One section of a table, without header and CRC. */
export type Section = {
  tableId: number
  extension: number
  version: number
  /** section_number and last_section_number: its index among the sections of its table. */
  number: number
  last: number
  body: Uint8Array
}

/** Reassembles the sections of one pid from packet payloads. */
export class SectionAssembler {
  /** Sections discarded because of a CRC mismatch. */
  damaged = 0
  #buffer = new Uint8Array(0)
  #open = false

  /** Discards a partial section. */
  reset(): void {
    this.#open = false
  }

  /** Returns the sections that this payload completes, if valid and in effect (current_next_indicator). */
  push(payload: Uint8Array, start: boolean): Section[] {
    if (!start) return this.#open ? this.#take(payload) : []
    const pointer = payload[0] ?? 0
    const end = this.#open ? this.#take(payload.subarray(1, 1 + pointer)) : []
    this.#buffer = new Uint8Array(0)
    this.#open = true
    return [...end, ...this.#take(payload.subarray(1 + pointer))]
  }

  #take(bytes: Uint8Array): Section[] {
    const sections: Section[] = []
    let data = this.#buffer.length > 0 ? concatBytes(this.#buffer, bytes) : bytes
    while (this.#open && data.length >= 3) {
      const total = 3 + ((((data[1] as number) & 0x0f) << 8) | (data[2] as number))
      // 0xff in place of a table id pads the rest of the packet.
      if (data[0] === 0xff || total > MAX_SECTION_BYTES) {
        this.#open = false
        break
      }
      if (data.length < total) break
      const section = this.#parse(data.subarray(0, total))
      if (section) sections.push(section)
      data = data.subarray(total)
    }
    this.#buffer = this.#open ? data.slice() : new Uint8Array(0)
    return sections
  }

  #parse(data: Uint8Array): Section | undefined {
    // Tables without the long header (section_syntax_indicator 0) are not used here.
    if (data.length < HEADER_BYTES + CRC_BYTES || ((data[1] as number) & 0x80) === 0) return undefined
    if (crc32Mpeg(data) !== 0) {
      this.damaged++
      return undefined
    }
    const at = (i: number) => data[i] as number
    if ((at(5) & 1) === 0) return undefined
    return {
      tableId: at(0),
      extension: (at(3) << 8) | at(4),
      version: (at(5) >> 1) & 31,
      number: at(6),
      last: at(7),
      body: data.slice(HEADER_BYTES, -CRC_BYTES),
    }
  }
}

/** A complete section with its CRC, the only one of its table. */
function buildSection(section: Omit<Section, 'number' | 'last'>): Uint8Array {
  const { tableId, extension, version, body } = section
  const length = HEADER_BYTES - 3 + body.length + CRC_BYTES
  const out = new Uint8Array(3 + length)
  out.set([tableId, 0xb0 | (length >> 8), length & 0xff, extension >> 8, extension & 0xff, 0xc1 | (version << 1), 0, 0])
  out.set(body, HEADER_BYTES)
  new DataView(out.buffer).setUint32(3 + length - CRC_BYTES, crc32Mpeg(out.subarray(0, -CRC_BYTES)))
  return out
}

/** The programs of a PAT body in order, without the network entry. */
export function parsePat(body: Uint8Array): { program: number; pmtPid: number }[] {
  const programs: { program: number; pmtPid: number }[] = []
  for (let at = 0; at + 4 <= body.length; at += 4) {
    const program = ((body[at] as number) << 8) | (body[at + 1] as number)
    const pmtPid = (((body[at + 2] as number) & 0x1f) << 8) | (body[at + 3] as number)
    if (program !== 0) programs.push({ program, pmtPid })
  }
  return programs
}

export type Descriptor = { tag: number; data: Uint8Array }

export type PmtStream = { streamType: number; pid: number; descriptors: Descriptor[] }

export type Pmt = { pcrPid: number; descriptors: Descriptor[]; streams: PmtStream[] }

/** Undefined if its lengths are inconsistent. */
export function parsePmt(body: Uint8Array): Pmt | undefined {
  if (body.length < 4) return undefined
  const number = (i: number, mask: number) => (((body[i] as number) & mask) << 8) | (body[i + 1] as number)
  const programEnd = 4 + number(2, 0x0f)
  if (programEnd > body.length) return undefined
  const streams: PmtStream[] = []
  let at = programEnd
  while (at + 5 <= body.length) {
    const end = at + 5 + number(at + 3, 0x0f)
    if (end > body.length) return undefined
    const descriptors = parseDescriptors(body.subarray(at + 5, end))
    streams.push({ streamType: body[at] as number, pid: number(at + 1, 0x1f), descriptors })
    at = end
  }
  return { pcrPid: number(0, 0x1f), descriptors: parseDescriptors(body.subarray(4, programEnd)), streams }
}

function parseDescriptors(data: Uint8Array): Descriptor[] {
  const found: Descriptor[] = []
  for (let at = 0; at + 2 <= data.length; at += 2 + (data[at + 1] as number)) {
    found.push({ tag: data[at] as number, data: data.subarray(at + 2, at + 2 + (data[at + 1] as number)) })
  }
  return found
}

export function buildPat(programs: readonly { program: number; pmtPid: number }[], version = 0): Uint8Array {
  const body = programs.flatMap(({ program, pmtPid }) => [
    ...[program >> 8, program & 0xff],
    ...[0xe0 | (pmtPid >> 8), pmtPid & 0xff],
  ])
  return buildSection({ tableId: PAT_TABLE, extension: 1, version, body: Uint8Array.from(body) })
}

export function buildPmt(program: number, version: number, pmt: Pmt): Uint8Array {
  const descriptors = (list: Descriptor[]) => list.flatMap(({ tag, data }) => [tag, data.length, ...data])
  const pid = (value: number) => [0xe0 | (value >> 8), value & 0xff]
  const sized = (bytes: number[]) => [0xf0 | (bytes.length >> 8), bytes.length & 0xff, ...bytes]
  const body = [
    ...pid(pmt.pcrPid),
    ...sized(descriptors(pmt.descriptors)),
    ...pmt.streams.flatMap((stream) => [
      stream.streamType,
      ...pid(stream.pid),
      ...sized(descriptors(stream.descriptors)),
    ]),
  ]
  return buildSection({ tableId: PMT_TABLE, extension: program, version, body: Uint8Array.from(body) })
}
