import { request } from 'node:http'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { type Held, HeldReports } from '../../helpers/server/held.ts'
import { http } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'
import { WeriftViewer } from '../../process/webrtc/support/viewer.ts'

const LIVES = 1000

let stage: Stage
const reports = new HeldReports()
const held = () => reports.of(stage.server.pid)
let offer: string
let viewer: WeriftViewer
beforeAll(async () => {
  const env = {
    ...reports.env,
    ...{ MAX_SESSIONS_PER_MINUTE: '0', MAX_READS_PER_ADDRESS: '0', MAX_STREAMS: '8', STREAM_LINGER_SECONDS: '1' },
    ...{ MAX_WAITING_STREAMS: '64', MAX_VIEWERS: '500', UDP_PORT: '0', LOG_LEVEL: 'info' },
  }
  stage = await setStage({ env, startLimitMs: 60_000 })
  const clip = await stage.clip({ seconds: 10, width: 128, height: 96, fps: 5, audio: false })
  await stage.publish('demo', clip, { loop: -1 })
  // The rings of the runner of the stream and of the one kept warm for the next stream.
  await waitFor('a warm runner', async () => (await held()).mappings >= 2, { limitMs: 60_000 })
  viewer = new WeriftViewer()
  offer = await viewer.offer()
}, 120_000)
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await viewer?.peer.close()
  reports[Symbol.dispose]()
})

async function each(count: number, atOnce: number, live: (index: number) => Promise<void>): Promise<void> {
  let next = 0
  const worker = async () => {
    while (next < count) await live(next++)
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}

/** Opens an endless response and aborts it at its first byte. */
const readABit = (path: string) =>
  new Promise<void>((resolve, reject) => {
    const incoming = request(`${stage.url}${path}`, { agent: false }, (response) => {
      response.once('data', () => incoming.destroy())
      response.on('error', () => {})
    })
    incoming.on('error', () => {})
    incoming.once('close', resolve)
    incoming.setTimeout(60_000, () => reject(new Error(`nothing came of ${path}`)))
    incoming.end()
  })

/** `atOnce`: with more concurrent streams than warm runners, each would start a process. */
const lives: Record<string, { atOnce: number; live(index: number): Promise<void> }> = {
  'event readers': { atOnce: 20, live: () => readABit('/streams/demo/events?lastEventId=0') },
  // Each opens a stream, leases a pipeline for it, and ends when the body proves to be no media.
  'streams and leases': {
    atOnce: 1,
    live: async (index) => {
      const body = 'x'.repeat(2000)
      const { status, text } = await http('POST', `${stage.url}/ingest/short-${index}`, { body, limitMs: 60_000 })
      expect([status, text.slice(0, 300)]).toEqual([415, expect.anything()])
    },
  },
  viewers: {
    atOnce: 20,
    live: async () => {
      const headers = { 'content-type': 'application/sdp' }
      const answer = await http('POST', `${stage.url}/whep/demo`, { body: offer, headers })
      expect([answer.status, answer.text.slice(0, 300)]).toEqual([201, expect.anything()])
      const session = new URL(String(answer.headers.location), `${stage.url}/whep/demo`)
      expect((await http('DELETE', session.href)).status).toBeLessThan(300)
    },
  },
}

it.each(Object.keys(lives))(
  'after 1,000 %s the server holds the same resources as before',
  async (kind) => {
    const { atOnce, live } = lives[kind]!
    await each(50, atOnce, live)
    const settled = async (before?: Held) => {
      let [last, steady]: [Held | undefined, number] = [undefined, 0]
      await waitFor(
        `an end of all ${kind}`,
        async () => {
          const now = await held()
          // A starting runner changes these counts several times before it is warm.
          steady = JSON.stringify(now) === JSON.stringify(last) ? steady + 1 : 0
          last = now
          return before ? (Object.keys(before) as (keyof Held)[]).every((key) => now[key] <= before[key]) : steady >= 5
        },
        { limitMs: 40_000, everyMs: 500 },
      ).catch((thrown) => {
        throw new Error(`${thrown.message}: before ${JSON.stringify(before)}, now ${JSON.stringify(last)}`)
      })
      return last!
    }
    const before = await settled()
    await each(LIVES, atOnce, live)
    await settled(before)
  },
  300_000,
)
