import { setTimeout as sleep } from 'node:timers/promises'
import { LiveKit } from '../../src/remote/livekit/room-service.ts'
import { RoomPublisher } from '../../test/helpers/livekit/publisher.ts'
import { freePort } from '../../test/helpers/media/media-peer.ts'
import { waitFor } from '../../test/helpers/wait.ts'
import type { Benchmark } from '../lib/benchmark.ts'
import { median } from '../lib/statistics.ts'
import { FAULTS, type Stage } from './faults.ts'
import { Fleet } from './fleet.ts'
import { Logs } from './logs.ts'
import { Networks } from './networks.ts'
import { Nodes } from './nodes.ts'
import { Watcher } from './watcher.ts'

const ROUNDS = 10
const CLIP = {
  seconds: 8,
  width: 320,
  height: 180,
  fps: 30,
  gop: 5,
  kbps: 500,
  ...(process.env.X && { audio: true, audioCodec: 'libopus' as const }),
}
/** How long frames flow before and after each fault. */
const SETTLE_MS = 4000
const LIMIT = { limitMs: 60_000, everyMs: 100 }

/** From a publisher at one node of a real LiveKit, through one of two servers, to a viewer at the other node. */
export const cluster: Benchmark = {
  name: 'cluster',
  about:
    'Two LiveKit nodes, two servers and a dispatcher: how long a viewer sees no processed frame when one of them ends',
  async run({ repeat: rounds = ROUNDS, livekit, client, audio, logs: logFolder }, say) {
    if (!livekit || !client)
      throw new Error('--livekit (a livekit-server) and --client (a folder with @livekit/rtc-node) are needed')
    const clip = audio ? { ...CLIP, audio, audioCodec: 'libopus' as const } : CLIP
    const room = `bench-${process.pid}`
    const dispatchPort = await freePort()
    using logs = new Logs(logFolder)
    const tell = (line: string) => {
      say(line)
      logs.write('rounds', `${Date.now()} ${line}\n`)
    }
    await using opened = new AsyncDisposableStack()
    const networks = opened.use(await Networks.make(2))
    const nodes = opened.use(
      await Nodes.start(livekit, Networks.HOST, `http://127.0.0.1:${dispatchPort}/livekit/webhook`, logs),
    )
    const fleet = opened.use(await Fleet.start(nodes.env, networks.all, dispatchPort, room, logs))
    const stage: Stage = { fleet, nodes }
    const publishedAt = Date.now()
    opened.use(await RoomPublisher.open({ config: nodes.config, room, identity: 'camera', clip }))
    // A room lives on the node of its first participant.
    await fleet.working()
    await nodes.nodes[1]!.start()
    const watcher = opened.use(await Watcher.open(client, nodes.nodes[1]!.url, nodes.config, room, logs))
    await waitFor('processed frames', () => watcher.processed.length > 0, LIMIT)
    const firstMs = watcher.processed[0]! - publishedAt
    tell(`first processed frame at the viewer ${firstMs} ms after the publisher came`)
    const gaps = new Map<string, number[]>(FAULTS.map(({ name }) => [name, []]))
    for (let round = 1; round <= rounds; round++) {
      for (const { name, strike, last } of FAULTS) {
        if (last && round < rounds) continue
        await sleep(SETTLE_MS)
        const from = Date.now()
        logs.write('rounds', `${from} ${name}\n`)
        const mend = await strike(stage)
        try {
          await waitFor(`frames after: ${name}`, () => (watcher.processed.at(-1) ?? 0) > from + SETTLE_MS, LIMIT)
        } catch (thrown) {
          logs.write('state', await describe(stage, room))
          nodes.dump()
          throw thrown
        }
        const gap = watcher.gapSince(from)!
        gaps.get(name)!.push(gap)
        tell(`round ${round}, ${name}: ${gap} ms`)
        await mend()
        await waitFor('frames', () => (watcher.processed.at(-1) ?? 0) > Date.now() - 500, LIMIT)
      }
    }
    const rows = FAULTS.map(({ name }) => {
      const all = gaps.get(name)!
      return [name, all.length, median(all), Math.max(...all)]
    })
    return {
      budgets: FAULTS.flatMap(({ name, limitMs }) =>
        limitMs === undefined
          ? []
          : [{ what: `longest gap: ${name}`, limit: limitMs, value: Math.max(...gaps.get(name)!), unit: 'ms' }],
      ),
      tables: [
        {
          title: 'Longest time without a processed frame at the viewer, in milliseconds',
          columns: ['what happens', 'times', 'median', 'longest'],
          rows,
          note: `The first processed frame was seen ${firstMs} ms after the publisher came. All on one machine, each server in a network namespace; frames come every 33 ms.`,
        },
      ],
      plots: [],
      samples: { firstMs, gaps: Object.fromEntries(gaps) },
    }
  },
}

/** The state in which no frame comes, for a log. */
async function describe({ fleet, nodes }: Stage, room: string): Promise<string> {
  const participants = await new LiveKit(nodes.config).participants(room).catch(String)
  return `${JSON.stringify(participants, null, 1)}\n${await fleet.describe()}\n`
}
