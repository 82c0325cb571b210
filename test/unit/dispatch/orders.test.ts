import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { SimulatedClock } from '../../../bench/simulation/clock.ts'
import { MISSING_MS, OVERLAP_MS } from '../../../src/dispatch/decide.ts'
import { Dispatcher } from '../../../src/dispatch/dispatcher.ts'
import { PROCESSOR, type RoomState } from '../../../src/dispatch/livekit/rooms.ts'
import type { ServerTransport } from '../../../src/dispatch/servers/servers.ts'
import type { Placement } from '../../../src/stream/remote/placements.ts'

const [A, B] = ['http://a', 'http://b']
const SILENT_MS = 1200

/** Servers that say what a test has them say. */
class Server {
  readonly started: number[] = []
  readonly ended: number[] = []
  streams: Placement[] = []
  draining = false
  speaks = true
  hear: ((line: unknown) => void) | undefined

  tell(): void {
    if (this.speaks) this.hear?.({ draining: this.draining, free: this.draining ? 0 : 2, streams: this.streams })
  }
}

const placement = (sid: string | undefined, more: Partial<Placement> = {}): Placement => ({
  ...{ stream: 'studio', room: 'studio', participant: 'host', track: 'camera', startedAt: 1, pipeline: 'noop' },
  ...{ onAir: sid !== undefined, aired: sid !== undefined, stalled: false, ...(sid && { sid }) },
  ...more,
})

let clock: SimulatedClock
let servers: Map<string, Server>
let dispatcher: Dispatcher
/** SID of the participant that LiveKit lists as the processor. */
let processor: string | undefined

const server = (name: string) => servers.get(name)!
const pass = (ms: number) => clock.run(clock.now() + ms)

function state(): RoomState {
  const track = { sid: 'TR_1', kind: 'video' as const, name: 'camera', source: 'CAMERA' }
  const participants = [{ identity: 'host', sid: 'PA_host', tracks: [track] }]
  if (processor !== undefined) participants.push({ identity: PROCESSOR, sid: processor, tracks: [track] })
  return { room: { name: 'studio', metadata: '{"millrace":true}', publishers: participants.length }, participants }
}

const transport: ServerTransport = {
  resolve: async () => [A, B],
  listen: (name, hear, signal) =>
    new Promise((_, reject) => {
      server(name).hear = hear
      server(name).tell()
      signal.addEventListener('abort', () => reject(signal.reason))
    }),
  start: async (name) => {
    server(name).started.push(clock.now())
    server(name).streams = [placement(undefined, { startedAt: 2 })]
    server(name).tell()
    return { kind: 'started' }
  },
  end: async (name) => {
    server(name).ended.push(clock.now())
    server(name).streams = []
    server(name).tell()
  },
}

beforeEach(async () => {
  clock = new SimulatedClock()
  servers = new Map([A, B].map((name) => [name, new Server()]))
  clock.every(300, () => {
    for (const { speaks, hear } of servers.values()) if (speaks) hear?.({})
  })
  processor = 'PA_a'
  server(A).streams = [placement('PA_a')]
  const log = { debug() {}, info() {}, warn() {}, error() {}, child: () => log }
  const rooms = { list: async () => [state().room], look: async () => state() }
  dispatcher = new Dispatcher({ transport, rooms, rules: [], clock }, { log })
  await pass(1000)
})
afterEach(async () => {
  const closed = dispatcher.close()
  await pass(1000)
  await closed
})

/** B publishes: LiveKit lists it in A's place at once. */
function takeOver(): void {
  processor = 'PA_b'
  server(B).streams = [placement('PA_b', { startedAt: 2 })]
  server(B).tell()
}

/** A says nothing more, and B takes its place. */
async function stopA(): Promise<void> {
  server(A).speaks = false
  await pass(SILENT_MS + 500)
  expect(server(B).started).toHaveLength(1)
  takeOver()
  dispatcher.notice('studio')
  await pass(500)
}

/** A says again what it said before it was stopped. */
function resumeA(more: Partial<Placement> = {}): void {
  server(A).speaks = true
  server(A).streams = [placement('PA_a', more)]
  server(A).tell()
}

describe('a takeover', () => {
  it('is over when the new server has the identity, in whatever order that is heard', async () => {
    server(A).draining = true
    server(A).tell()
    await pass(100)
    expect(server(B).started).toHaveLength(1)
    // LiveKit forgets the identity for a moment: the old participant is deleted by name.
    processor = undefined
    dispatcher.notice('studio')
    await pass(20)
    takeOver()
    dispatcher.notice('studio')
    await pass(100)
    server(A).streams = [placement('PA_a', { onAir: false })]
    server(A).tell()
    dispatcher.notice('studio')
    await pass(500)
    server(A).streams = []
    server(A).tell()
    // The webhook for the first participant, after everything else.
    dispatcher.notice('studio')
    await pass(60_000)
    expect([server(A).started, server(A).ended, server(B).ended]).toEqual([[], [], []])
    expect(server(B).started).toHaveLength(1)
  })

  it('is not undone by a server that resumes, whatever its clock says', async () => {
    await stopA()
    resumeA({ startedAt: 1_000_000 })
    await pass(OVERLAP_MS + 3000)
    expect(server(B).ended).toEqual([])
    expect(server(A).ended).toHaveLength(1)
    expect([server(A).started, server(B).started.length]).toEqual([[], 1])
  })

  it('whose server stops in turn is placed again as soon as the resumed one has given up', async () => {
    await stopA()
    server(B).speaks = false
    await pass(SILENT_MS + 300)
    resumeA()
    await pass(600)
    // It has noticed that another one took its place, and LiveKit has not noticed that this one is gone.
    server(A).streams = []
    server(A).tell()
    const since = clock.now()
    await pass(1000)
    expect(server(A).started).toHaveLength(1)
    expect(server(A).started[0]! - since).toBeLessThan(500)
  })

  it('by a server that was lost for a moment only is none', async () => {
    server(A).speaks = false
    server(B).draining = true
    server(B).tell()
    await pass(SILENT_MS + 300)
    server(A).speaks = true
    server(A).tell()
    server(B).draining = false
    server(B).tell()
    await pass(MISSING_MS + 60_000)
    expect([server(A).started, server(A).ended, server(B).started]).toEqual([[], [], []])
  })
})
