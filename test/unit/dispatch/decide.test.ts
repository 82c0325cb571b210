import { describe, expect, it } from 'vitest'
import {
  ABSENT_MS,
  type Action,
  decide,
  MISSING_MS,
  MOVE_MS,
  OVERLAP_MS,
  type Since,
  UNAIRED_MS,
  UNKNOWN_MS,
  UNSEEN_MS,
} from '../../../src/dispatch/decide.ts'
import { PROCESSOR, type RoomState } from '../../../src/dispatch/livekit/rooms.ts'
import type { Holder } from '../../../src/dispatch/servers/servers.ts'

const WISH = { room: 'studio', participant: 'host', track: 'camera' }

function room({ processed = true } = {}): RoomState {
  const track = { sid: 'TR_1', kind: 'video' as const, name: 'camera', source: 'CAMERA' }
  const who = processed ? ['host', PROCESSOR] : ['host']
  return {
    room: { name: 'studio', metadata: '', publishers: who.length },
    participants: who.map((identity) => ({ identity, sid: '', tracks: [track] })),
  }
}

const holder = (server: string, more: Partial<Holder> = {}): Holder => ({
  ...{ server, stream: 'studio', room: 'studio', participant: 'host', track: 'camera', startedAt: 1 },
  ...{ onAir: true, aired: true, stalled: false, draining: false, pipeline: 'noop' },
  ...more,
})

/** Actions at each of these times, with `since` kept in between. */
function at(
  times: number[],
  sight: { state?: RoomState; wish?: typeof WISH; holders?: Holder[]; lost?: Holder },
): Action[] {
  const since: Since = {}
  return times.map((now) =>
    decide({ now, state: sight.state, wish: sight.wish, holders: sight.holders ?? [], lost: sight.lost, since }),
  )
}
const [A, B] = ['http://a', 'http://b']

describe('in a room', () => {
  it('without a processor, a stream is placed', () => {
    const [action] = at([0], { state: room({ processed: false }), wish: WISH })
    expect(action).toMatchObject({ kind: 'place', why: 'new', wish: WISH, not: new Set() })
  })

  it('processed by one server, nothing is done', () => {
    expect(at([0], { state: room(), wish: WISH, holders: [holder(A)] })).toEqual([{ kind: 'none' }])
  })

  it('whose server takes it and never publishes it, it is placed elsewhere, and the first one ended then', () => {
    const stuck = holder(A, { onAir: false, aired: false })
    const sight = { state: room({ processed: false }), wish: WISH, holders: [stuck] }
    const actions = at([0, UNAIRED_MS - 1, UNAIRED_MS, UNAIRED_MS + MOVE_MS], sight)
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'wait', 'place', 'place'])
    expect(actions[2]).toMatchObject({ why: 'missing', not: new Set([A]) })
    const both = [stuck, holder(B, { startedAt: 2 })]
    const [, then] = at([0, OVERLAP_MS], { state: room(), wish: WISH, holders: both })
    expect(then).toMatchObject({ kind: 'end', holders: [stuck] })
  })

  it.each([
    ['drain', { draining: true }],
    ['stalled', { stalled: true }],
  ])('whose server is to be left (%s), it is placed elsewhere with its present state', (why, more) => {
    const before = holder(A, more)
    const [action] = at([0], { state: room(), wish: WISH, holders: [before] })
    expect(action).toEqual({ kind: 'place', why, wish: WISH, not: new Set([A]), before })
  })

  it('whose server is lost, it is placed at once, whatever LiveKit still shows', () => {
    const lost = holder(A)
    expect(at([0], { state: room(), wish: WISH, lost })[0]).toMatchObject({ kind: 'place', why: 'lost', before: lost })
  })

  it('processed by an unknown server, it is waited for', () => {
    const actions = at([0, UNKNOWN_MS - 1, UNKNOWN_MS], { state: room(), wish: WISH })
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'wait', 'wait'])
    // LiveKit has removed the dead participant.
    expect(at([0], { state: room({ processed: false }), wish: WISH })[0]).toMatchObject({ kind: 'place' })
  })

  it('processed by two, the older one is ended when it does not end by itself', () => {
    const holders = [holder(A, { startedAt: 1, draining: true }), holder(B, { startedAt: 2 })]
    const actions = at([0, OVERLAP_MS - 1, OVERLAP_MS], { state: room(), wish: WISH, holders })
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'wait', 'end'])
    expect(actions[2]).toMatchObject({ holders: [{ server: A }], why: 'taken-over' })
  })

  it('nothing is ended before the new one is on air', () => {
    const holders = [holder(A, { startedAt: 1, draining: true }), holder(B, { startedAt: 2, onAir: false })]
    const actions = at([0, 60_000], { state: room(), wish: WISH, holders })
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'wait'])
  })

  it('of two healthy ones, the one that holds the identity is kept', () => {
    const holders = [holder(A, { startedAt: 1 }), holder(B, { startedAt: 2, onAir: false })]
    const actions = at([0, OVERLAP_MS], { state: room(), wish: WISH, holders })
    expect(actions[1]).toMatchObject({ kind: 'end', holders: [{ server: B }] })
  })

  it('whose processed track has left, it is placed elsewhere, once in half a minute', () => {
    const sight = { state: room({ processed: false }), wish: WISH, holders: [holder(A, { onAir: false })] }
    const actions = at([0, MISSING_MS, MISSING_MS + 1000, MISSING_MS + MOVE_MS], sight)
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'place', 'wait', 'place'])
    expect(actions[1]).toMatchObject({ why: 'missing', not: new Set([A]) })
    // A server that has just published may be ahead of the list of LiveKit.
    const early = at([0, MISSING_MS, UNSEEN_MS], { ...sight, holders: [holder(A)] })
    expect(early.map(({ kind }) => kind)).toEqual(['wait', 'wait', 'place'])
  })

  it('a publisher may be gone for a moment', () => {
    const actions = at([0, ABSENT_MS - 1, ABSENT_MS], { state: room(), holders: [holder(A)] })
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'wait', 'end'])
    expect(at([0], {})).toEqual([{ kind: 'none' }])
    const drains = holder(A, { draining: true })
    expect(at([0], { state: room(), holders: [drains] })[0]).toMatchObject({ kind: 'end', holders: [drains] })
  })

  it('for which another track is requested, the stream of the first track ends', () => {
    const actions = at([0, ABSENT_MS], { state: room(), wish: { ...WISH, track: 'screen' }, holders: [holder(A)] })
    expect(actions.map(({ kind }) => kind)).toEqual(['wait', 'end'])
    expect(actions[1]).toMatchObject({ why: 'other-track' })
  })
})
