import { fork } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { alive, openTestPool, play, runnersLeft, Source, until } from './support/hosts.ts'

const STAND_IN = fileURLToPath(new URL('./support/server-stand-in.ts', import.meta.url))

/** Pids of the children of a process. */
function childrenOf(pid: number): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
    .filter((one) => {
      try {
        return (
          Number(
            readFileSync(`/proc/${one}/stat`, 'utf8')
              .replace(/^.*\) . /s, '')
              .split(' ')[0],
          ) === pid
        )
      } catch {
        return false
      }
    })
}

test.each(['running', 'stopped'])('a server killed with -9 leaves nothing behind, its runner %s', async (runnerIs) => {
  const server = fork(STAND_IN, { stdio: 'inherit', execArgv: [] })
  const [{ runner, grandchildren }] = (await once(server, 'message')) as [{ runner: number; grandchildren: number[] }]
  const all = [...childrenOf(server.pid!), ...grandchildren]
  expect(all).toContain(runner)
  expect(all.length).toBeGreaterThanOrEqual(4)
  expect(all.filter((pid) => !alive(pid))).toEqual([])
  if (runnerIs === 'stopped') process.kill(runner, 'SIGSTOP')
  server.kill('SIGKILL')
  await until('all gone', () => !all.some(alive), 5000)
})

test('a pipeline sees the environment it needs and none of the secrets of the server', async () => {
  process.env.AUTH_TOKEN = 'secret'
  process.env.LIVEPEER_ORCH_SECRET = 'another secret'
  try {
    await using stage = await play('environment', { params: { show_reloading_frame: false } })
    await until('outputs', () => stage.source.outputs.length > 3)
    const said = stage.logs.named('the pipeline says')
    const hello = said.find(({ line }) => line === 'here I am')
    expect(hello).toMatchObject({
      pipeline: 'environment',
      name: 'environment',
      params: { show_reloading_frame: false },
      secrets: [],
      sends: 'undefined',
      sdk: 'function',
    })
    expect(said.map(({ line }) => line)).toContain('a line of stderr')
  } finally {
    delete process.env.AUTH_TOKEN
    delete process.env.LIVEPEER_ORCH_SECRET
  }
})

test('frames arrive in the format and size the pipeline declares', async () => {
  await using stage = await play('rgb')
  expect(stage.lease.input).toEqual({ format: 'rgb24', width: 96, height: 64 })
  await until('outputs', () => stage.source.outputs.length > 3)
  const errors: string[] = []
  stage.lease.events.on('error', ({ message }) => errors.push(message))
  const other = { data: new Uint8Array(9216), format: 'yuv420p' as const, width: 96, height: 64, pts: 2 ** 40 }
  expect(stage.lease.offer(other)).toBe(false)
  expect(errors).toEqual(['rgb takes frames with format rgb24, not yuv420p'])
})

test('two outputs per input stay in order, and eight at once are all delivered', async () => {
  await using twice = await play('interpolates')
  await until('outputs', () => twice.source.outputs.length > 60)
  twice.source.stop()
  await until('nothing inside', () => twice.lease.stats().frames.inside === 0)
  const { frames, dropped } = twice.lease.stats()
  expect(dropped).toMatchObject({ afterPipeline: 0, failed: 0 })
  // A busy machine may drop an input, never an output.
  expect(twice.source.outputs).toHaveLength(2 * (frames.in - dropped.beforePipeline) - 1)

  await using batches = await play('batches')
  await until('outputs', () => batches.source.outputs.length >= 64)
  expect(batches.lease.stats().dropped).toMatchObject({ afterPipeline: 0, failed: 0 })
  expect(batches.lease.status.phase).toBe('ready')
})

test('a runner passes from stream to stream with its model but without the params of the previous one', async () => {
  await using world = await openTestPool()
  const lease = (requestId: string, params: Record<string, unknown>, source: Source) =>
    world.pool.lease({ pipeline: 'slow-to-load', params, requestId, onFrame: source.onFrame }, { log: world.log })
  const first = new Source()
  const one = await lease('one', { load_ms: 300, level: 10 }, first)
  first.start(one)
  await until('outputs', () => first.outputs.length > 3)
  const pid = one.pid
  first.stop()
  await one.close()
  await one.close()
  expect(one.stats().frames.in).toBe(first.offered - first.shown.filter(({ kind }) => kind === 'overlay').length)

  const second = new Source()
  const two = await lease('two', {}, second)
  expect(two.pid).toBe(pid)
  expect(two.params).toMatchObject({ revision: 1, value: { level: 7 } })
  second.start(two)
  await until('outputs', () => second.outputs.length > 3, 1000)
  expect(new Set(second.outputs.map(({ value }) => value))).toEqual(new Set([7]))
  expect(two.stats().frames.out).toBe(second.outputs.length)

  // While the second stream runs, a third gets its own runner; its invalid params affect no other.
  const third = new Source()
  await expect(lease('three', { level: -1 }, third)).rejects.toMatchObject({ code: 'invalid-params' })
  second.stop()
  await two.close()
})

test('warm runners exist before the first stream, and after it', async () => {
  await using world = await openTestPool({ warm: 1 })
  await until('a warm runner', () => runnersLeft().length === 1)
  const source = new Source()
  const lease = await world.pool.lease({ requestId: 'r', onFrame: source.onFrame }, { log: world.log })
  source.start(lease)
  await until('outputs', () => source.outputs.length > 0)
  await until('another warm one', () => runnersLeft().length === 2)
  source.stop()
  await lease.close()
  await until('one is enough', () => runnersLeft().length === 1)
  await world.pool.close()
  expect(runnersLeft()).toEqual([])
})

test('a runner returned while another is opening leaves no more than the number to keep warm', async () => {
  await using world = await openTestPool({ warm: 1 })
  await world.pool.checkDefaults()
  await until('one warm runner', () => runnersLeft().length === 1)
  const lease = await world.pool.lease({ requestId: 'r', onFrame() {} }, { log: world.log })
  await until('another one that is being opened', () => runnersLeft().length === 2)
  await lease.close()
  await until('one is enough', () => runnersLeft().length === 1)
})

test('a stream that ends while its pipeline hangs does not wait for it', async () => {
  const stage = await play('noop')
  await until('outputs', () => stage.source.outputs.length > 10)
  const pid = stage.lease.pid!
  process.kill(pid, 'SIGSTOP')
  stage.source.stop()
  const at = performance.now()
  await stage.lease.close()
  expect(performance.now() - at).toBeLessThan(7000)
  expect(alive(pid)).toBe(false)
  await stage[Symbol.asyncDispose]()
})

test('a runner that reloads as its stream ends is ready for the next one', async () => {
  await using world = await openTestPool()
  const source = new Source()
  const lease = (params: Record<string, unknown>) =>
    world.pool.lease({ pipeline: 'reload-fails', params, requestId: 'r', onFrame: source.onFrame }, { log: world.log })
  const one = await lease({ model: 'other' })
  source.start(one)
  await until('outputs', () => source.outputs.length > 5)
  source.stop()
  await until('nothing inside', () => one.stats().frames.inside === 0)
  const { pid } = one
  const at = performance.now()
  // It loads its own model again, which takes 700 ms.
  await one.close()
  expect(performance.now() - at).toBeLessThan(500)
  const { frames, dropped } = one.stats()
  expect(frames.out + dropped.beforePipeline + dropped.afterPipeline + dropped.failed).toBe(frames.in)

  const two = await lease({})
  expect(two.pid).toBe(pid)
  expect(two.params.value).toMatchObject({ model: 'good' })
  expect(two.status.phase).toBe('reloading')
  source.start(two)
  await until('its own model', () => source.outputs.at(-1)?.value === 1)
  source.stop()
  await two.close()
})
