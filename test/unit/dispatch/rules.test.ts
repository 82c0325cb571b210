import { describe, expect, it } from 'vitest'
import { PROCESSOR, type RoomState } from '../../../src/dispatch/livekit/rooms.ts'
import { choose, concerns, parseRules } from '../../../src/dispatch/rules.ts'
import { streamNameOf } from '../../../src/dispatch/stream-name.ts'

const track = (name: string, more: object = {}) => ({
  sid: `TR_${name}`,
  kind: 'video' as const,
  name,
  source: 'CAMERA',
  ...more,
})

function room(
  metadata: unknown,
  participants: Record<string, ReturnType<typeof track>[]> = { host: [track('cam')] },
): RoomState {
  return {
    room: {
      name: 'studio-1',
      metadata: typeof metadata === 'string' ? metadata : JSON.stringify(metadata),
      publishers: 1,
    },
    participants: Object.entries(participants).map(([identity, tracks]) => ({
      identity,
      sid: `PA_${identity}`,
      tracks,
    })),
  }
}
const rules = (...all: object[]) => parseRules({ rules: all }, 'rules.yaml')

describe('the work requested', () => {
  it('comes from the metadata of the room, else from the rules', () => {
    const own = { millrace: { pipeline: 'redact', params: { strength: 1 } } }
    const wish = { room: 'studio-1', participant: 'host', track: 'cam' }
    expect(choose(room(own), []).wish).toEqual({ ...wish, pipeline: 'redact', params: { strength: 1 } })
    const effects = rules({ room: 'other' }, { room: 'studio-*', pipeline: 'effects' }, { pipeline: 'last' })
    expect(choose(room('{}'), effects).wish).toEqual({ ...wish, pipeline: 'effects' })
    expect(choose(room(own), effects).wish).toMatchObject({ pipeline: 'redact' })
    expect(choose(room({ millrace: true }), effects).wish).toMatchObject({ pipeline: 'effects' })
    expect(choose(room({ millrace: true }), []).wish).toEqual(wish)
    expect(choose(room({ millrace: false }), effects)).toEqual({})
    expect(choose(room('{}'), [])).toEqual({})
  })

  it('ignores metadata that is not about millrace', () => {
    for (const metadata of ['', 'hello', '[1]', '{', '{"theirs":1}']) {
      expect(choose(room(metadata), [])).toEqual({})
      expect(choose(room(metadata), rules({})).wish).toBeDefined()
    }
    expect(choose(room({ millrace: { pipelin: 'x' } }), rules({})).error).toMatch(/millrace.*metadata/)
    expect(concerns(room({ millrace: { pipelin: 'x' } }).room, rules({}))).toBe(false)
  })

  it('is a video track of a publisher, never a processed one', () => {
    const tracks = {
      [PROCESSOR]: [track('done')],
      guest: [track('voice', { kind: 'audio', source: 'MICROPHONE' }), track('desktop', { source: 'SCREEN_SHARE' })],
      host: [track('cam')],
    }
    const wishOf = (rule: object) => choose(room('', tracks), rules(rule)).wish
    expect(wishOf({})).toMatchObject({ participant: 'host', track: 'cam' })
    expect(wishOf({ source: 'screen_share' })).toMatchObject({ participant: 'guest', track: 'desktop' })
    expect(wishOf({ source: 'any' })).toMatchObject({ participant: 'guest', track: 'desktop' })
    expect(wishOf({ participant: 'guest' })).toBeUndefined()
    expect(wishOf({ track: 'c*m' })).toMatchObject({ track: 'cam' })
  })

  it('stays the same while the track exists', () => {
    const held = { participant: 'b', track: 'cam' }
    const tracks = { a: [track('cam')], b: [track('cam')] }
    expect(choose(room('', tracks), rules({})).wish).toMatchObject({ participant: 'a' })
    expect(choose(room('', tracks), rules({}), held).wish).toMatchObject({ participant: 'b' })
  })

  it('uses the SID where the name is ambiguous', () => {
    expect(choose(room('', { a: [track('')] }), rules({})).wish).toMatchObject({ track: 'TR_' })
    const two = {
      a: [
        { ...track('cam'), sid: 'TR_1' },
        { ...track('cam'), sid: 'TR_2' },
      ],
    }
    expect(choose(room('', two), rules({})).wish).toMatchObject({ track: 'TR_1' })
  })

  it('a star matches any characters, and a pattern takes linear time', () => {
    const fits = (pattern: string) => choose(room(''), rules({ room: pattern })).wish !== undefined
    expect(['*', 's*', '*1', 'studio-1', 's*d*1', 'studio*-1', '*studio-1*'].filter((one) => !fits(one))).toEqual([])
    expect(['studio', 't*', 'studio-11', 'studio-1*1', 's*x*1'].filter(fits)).toEqual([])
    expect(fits(`${'*s'.repeat(120)}`)).toBe(false)
  })
})

it('an invalid rules file is refused with the position', () => {
  expect(() => parseRules({ rules: [{ pipline: 'x' }] }, 'rules.yaml')).toThrow(/^rules\.yaml: rules\.0 .*pipline/)
  expect(() => parseRules({ rules: [{ source: 'x' }] }, 'rules.yaml')).toThrow(/^rules\.yaml: rules\.0\.source /)
  expect(() => parseRules([], 'rules.yaml')).toThrow(/^rules\.yaml: /)
})

it('a room has one stream name, whatever the room is called', () => {
  expect(streamNameOf('studio_1.b')).toBe('studio_1.b')
  const odd = ['räume', 'a b', 'x-out', 'room-1', '-x', 'x'.repeat(65)].map(streamNameOf)
  expect(new Set(odd).size).toBe(odd.length)
  for (const name of odd) expect(name).toMatch(/^room-[0-9a-f]{32}$/)
})
