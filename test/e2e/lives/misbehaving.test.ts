import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { LONG_CLIP } from '../../helpers/media/clip.ts'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { type Recording, record } from '../../helpers/media/record.ts'
import { descendants } from '../../helpers/nothing-left.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

/** The misbehaving pipelines on a real server, as a viewer sees them; `test/process/pipeline` tests them in detail. */
const GROUPS = [
  ['crash-on-load', 'aborts', 'hang-on-frame'],
  ['exits-zero', 'wrong-size', 'never-ready'],
  ['throws-every-tenth', 'prints-much', 'leaves-grandchild'],
]
const SECONDS = 9

let stage: Stage
let clip: string
beforeAll(async () => {
  const fixtures = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({
    env: { PIPELINE_DIR: fixtures, MAX_STREAMS: '8', WARM_PIPELINES: '0', STREAM_LINGER_SECONDS: '1' },
  })
  clip = await stage.clip(LONG_CLIP)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

it.each(GROUPS)('the output of %s, %s and %s never stops', async (...names) => {
  const publishers = await Promise.all(names.map((name) => stage.publish(name, clip, { query: `?pipeline=${name}` })))
  const viewers = await Promise.all(names.map((name) => record(`${stage.url}/out/${name}.ts`)))
  await sleep(SECONDS * 1000)
  for (const [index, name] of names.entries()) {
    const { state, egress, publishing } = await stage.status(name)
    expect(publishing, name).toBe(true)
    expect(egress.fps, name).toBeGreaterThan(5)
    expect(state, name).toMatch(/^(LOADING|ONLINE|DEGRADED_INFERENCE|DEGRADED_INPUT|ERROR)$/)
    // Below 400 ms on a quiet machine; encoders run at low priority, and a busy one keeps them waiting.
    expect(await longestGapMs(viewers[index]!), name).toBeLessThan(5000)
  }
  await Promise.all(publishers.map((publisher) => publisher.stop()))
  for (const viewer of viewers) expect(await viewer.ended).toBe(true)
  // Runners are kept for the next stream for a while; decoders and encoders are not.
  const coders = () => descendants(stage.server.pid).filter(({ command }) => command.includes('ffmpeg'))
  await waitFor('the coders to be gone', () => coders().length === 0)
})

async function longestGapMs(viewer: Recording): Promise<number> {
  const streams = await probePackets(viewer.bytes())
  const times = streams.find(({ kind }) => kind === 'video')?.packets.map(({ pts }) => pts / 90) ?? []
  expect(times.length).toBeGreaterThan(SECONDS * 5)
  return Math.max(...times.slice(1).map((time, index) => time - times[index]!))
}
