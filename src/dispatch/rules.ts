import { z } from 'zod'
import { parseJson } from '../codec/json.ts'
import { AppError } from '../core/errors.ts'
import { PROCESSOR, type RoomState, type RoomTrack } from './livekit/rooms.ts'

const pattern = z.string().min(1).max(256)
const Wanted = z.strictObject({
  participant: pattern.optional().describe('Identity of the publisher; `*` stands for any characters.'),
  track: pattern.optional().describe('Name of the track; `*` stands for any characters.'),
  source: z.enum(['camera', 'screen_share', 'any']).default('camera'),
  pipeline: z.string().min(1).optional(),
  params: z.record(z.string(), z.unknown()).optional(),
})
export const RulesSchema = z.strictObject({
  rules: z
    .array(Wanted.extend({ room: pattern.default('*').describe('Name of the room; `*` stands for any characters.') }))
    .max(1000),
})
const Metadata = z.object({ millrace: z.union([z.boolean(), Wanted]).optional() })

export type Rule = z.infer<typeof RulesSchema>['rules'][number]

/** What to process in a room, and how. */
export type Wish = {
  room: string
  participant: string
  /** Name of the track, or its sid if it has no name. */
  track: string
  pipeline?: string
  params?: Record<string, unknown>
}

export type Choice = { wish?: Wish; error?: string }

/**
 * The request in the room's metadata, `{ "millrace": { … } }`, or else the first rule that matches its name. The first
 * matching video track is taken, in LiveKit's order; the current one is kept while it still matches.
 */
export function choose(state: RoomState, rules: readonly Rule[], held?: Pick<Wish, 'track' | 'participant'>): Choice {
  const { rule, error } = ruleOf(state.room, rules)
  if (!rule) return error === undefined ? {} : { error }
  const fitting = state.participants
    .filter(({ identity }) => identity !== PROCESSOR && fits(rule.participant, identity))
    .flatMap(({ identity, tracks }) =>
      tracks
        .filter((track) => isWanted(track, rule))
        .map((track) => ({ participant: identity, track: nameOf(track, tracks) })),
    )
  const chosen =
    fitting.find(({ participant, track }) => participant === held?.participant && track === held.track) ?? fitting[0]
  if (!chosen) return {}
  const { pipeline, params } = rule
  return {
    wish: {
      room: state.room.name,
      ...chosen,
      ...(pipeline !== undefined && { pipeline }),
      ...(params !== undefined && { params }),
    },
  }
}

/** A name survives the publisher's reconnect, a SID does not; but a name may not be unique. */
function nameOf({ name, sid }: RoomTrack, among: readonly RoomTrack[]): string {
  const same = among.filter((one) => one.kind === 'video' && one.name === name)
  return name !== '' && same.length === 1 ? name : sid
}

/** Whether a room may need a stream, judged without its tracks. */
export function concerns(room: Pick<RoomState['room'], 'name' | 'metadata'>, rules: readonly Rule[]): boolean {
  return ruleOf(room, rules).rule !== undefined
}

type Found = { rule?: z.infer<typeof Wanted>; error?: string }

function ruleOf(room: Pick<RoomState['room'], 'name' | 'metadata'>, rules: readonly Rule[]): Found {
  const own = inMetadata(room.metadata)
  if (own.error !== undefined) return { error: own.error }
  if (own.millrace === false) return {}
  if (own.millrace === true) return { rule: rules.find((one) => fits(one.room, room.name)) ?? Wanted.parse({}) }
  const rule = own.millrace ?? rules.find((one) => fits(one.room, room.name))
  return rule ? { rule } : {}
}

/** Metadata belongs to the application and may be anything; only the part for Millrace is validated. */
function inMetadata(metadata: string): z.infer<typeof Metadata> & { error?: string } {
  let value: unknown
  try {
    value = metadata.startsWith('{') ? parseJson(metadata, 'the metadata') : {}
  } catch {
    return {}
  }
  const result = Metadata.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  return { error: `${issue?.path.join('.') ?? 'millrace'} in the metadata: ${issue?.message ?? 'not accepted'}` }
}

function isWanted(track: RoomTrack, rule: z.infer<typeof Wanted>): boolean {
  if (track.kind !== 'video' || !fits(rule.track, track.name || track.sid)) return false
  // WHIP and OBS set no source; anything but a screen counts as a camera then.
  if (rule.source === 'camera') return track.source !== 'SCREEN_SHARE'
  return rule.source === 'any' || track.source === 'SCREEN_SHARE'
}

function fits(pattern: string | undefined, value: string): boolean {
  if (pattern === undefined || pattern === '*') return true
  const parts = pattern.split('*')
  if (parts.length === 1) return pattern === value
  const [first = '', last = ''] = [parts[0], parts.at(-1)]
  if (!value.startsWith(first) || !value.endsWith(last) || value.length < first.length + last.length) return false
  // Each part at its first match: no backtracking, whatever the pattern.
  let at = first.length
  for (const part of parts.slice(1, -1)) {
    const found = value.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return at <= value.length - last.length
}

/** Parses a rules file. @throws AppError `invalid-request` that names the place. */
export function parseRules(value: unknown, file: string): Rule[] {
  const result = RulesSchema.safeParse(value)
  if (result.success) return result.data.rules
  const { path, message } = result.error.issues[0] ?? { path: [], message: 'not accepted' }
  throw new AppError('invalid-request', `${file}: ${path.length > 0 ? `${path.join('.')} ` : ''}${message}`)
}
