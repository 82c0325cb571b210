import { AppError } from '../../../core/errors.ts'
import { ACCEPTED_CODECS } from '../codec.ts'
import type { ListedProgram } from './tables.ts'

/** Limit of programs that a message describes. */
const MAX_TOLD = 8

/** Whether a program can be refused now, whatever its later tables say. */
export function isHopeless({ contents, scrambled }: ListedProgram): boolean {
  return scrambled || (contents !== undefined && contents.unread.video !== undefined)
}

/** The error for a requested program that does not exist. */
export function noSuchProgram(wanted: number, numbers: readonly number[]): AppError {
  const some = numbers.slice(0, MAX_TOLD).join(', ') + (numbers.length > MAX_TOLD ? ' and more' : '')
  return new AppError('invalid-request', `the MPEG-TS stream has no program ${wanted}; its programs are: ${some}`, {
    details: { program: wanted, programs: numbers.slice(0, MAX_TOLD) },
    issues: [{ path: ['program'], message: `one of: ${some}` }],
  })
}

/** Why none of these programs is read. */
export function refusalOf(programs: readonly ListedProgram[]): AppError {
  const told = programs.map((program) => ({ number: program.number, ...fault(program) }))
  const [first] = told
  if (first?.scrambled && told.length === 1) {
    return new AppError('unsupported-media', 'the MPEG-TS program is scrambled; send it without encryption')
  }
  const each = told.slice(0, MAX_TOLD).map(({ number, what }) => `program ${number} ${what}`)
  const what =
    told.length > 1
      ? `none of the programs of the MPEG-TS stream can be read: ${each.join('; ')}`
      : `the MPEG-TS program ${first?.what ?? 'is missing'}`
  return new AppError('unsupported-media', `${what}; accepted are ${ACCEPTED_CODECS}`, {
    details: { ...(first?.codec && { codec: first.codec }), accepted: ACCEPTED_CODECS },
  })
}

function fault({ contents, scrambled }: ListedProgram): { what: string; codec?: string; scrambled?: boolean } {
  if (scrambled) return { what: 'is scrambled', scrambled }
  if (!contents) return { what: 'has no table of its streams (PMT)' }
  const { video, audio, unread } = contents
  if (video) return { what: 'had no video keyframe' }
  if (unread.video) return { what: `carries ${unread.video}`, codec: unread.video }
  if (audio) return { what: 'has audio but no video' }
  if (unread.audio) return { what: `carries ${unread.audio} but no video`, codec: unread.audio }
  return { what: 'has neither video nor audio' }
}
