import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { LARGE_CLIP } from '../../helpers/media/clip.ts'
import { decodeGray } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

type Answer = {
  revision: number
  hash: string
  params: Record<string, unknown>
  code: string
  errors: { path: string; message: string }[]
}

let stage: Stage
beforeAll(async () => {
  stage = await setStage()
  const clip = await stage.clip(LARGE_CLIP)
  await stage.publish('demo', clip, { query: '?pipeline=effects' })
  await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 20)
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const params = (method: string, path: string, body: unknown) =>
  httpJson<Answer>(method, `${stage.url}${path}`, { body })
/** Mean luma of the lower half, per frame. */
async function brightness(bytes: Uint8Array) {
  const { frames } = await decodeGray(bytes, 'crop=iw:ih/2:0:ih/2,scale=16:8:flags=area,format=gray', 128)
  return frames.map(({ pts, luma }) => ({ pts, mean: luma.reduce((sum, value) => sum + value, 0) / luma.length }))
}

describe('params', () => {
  it('change the frame a few frames after the answer', async () => {
    await params('PATCH', '/streams/demo/params', { effect: 'none' })
    await using recording = await record(`${stage.url}/out/demo.ts`)
    await sleep(1500)
    const before = recording.bytes().length
    const { status, json } = await params('POST', '/params', { effect: 'edges', strength: 1 })
    const atAnswer = recording.bytes().length
    await sleep(1500)
    recording.stop()
    expect(status).toBe(200)
    expect(json).toMatchObject({ params: { effect: 'edges' } })
    expect(json.hash).toMatch(/^[0-9a-f]{32}$/)
    expect(json.revision).toBeGreaterThan(0)

    const all = await brightness(recording.bytes())
    const untilAsked = (await brightness(recording.bytes().subarray(0, before))).length
    const untilAnswer = (await brightness(recording.bytes().subarray(0, atAnswer))).length
    const first = all.findIndex(({ mean }, index) => index > 0 && Math.abs(mean - (all[0]?.mean ?? 0)) > 30)
    expect(first).toBeGreaterThanOrEqual(untilAsked - 1)
    const { latencyMs } = await stage.status('demo')
    const delayFrames = Math.ceil((latencyMs.pipeline.p95 + latencyMs.encode.p95) / 33)
    expect(first - untilAnswer).toBeLessThanOrEqual(3 + delayFrames)
    // The change lasts.
    for (const { mean } of all.slice(first)) expect(Math.abs(mean - (all[0]?.mean ?? 0))).toBeGreaterThan(20)
  })

  it('refuse an invalid value with an error per field, and change nothing', async () => {
    const before = await httpJson<Answer>('GET', `${stage.url}/streams/demo/params`)
    const { status, json } = await params('POST', '/params', { strength: 7, effect: 'sparkle' })
    expect(status).toBe(422)
    expect(json.code).toBe('invalid-params')
    expect(json.errors.map(({ path }) => path).sort()).toEqual(['/effect', '/strength'])
    for (const { message } of json.errors) expect(message.length).toBeGreaterThan(10)
    const after = await httpJson<Answer>('GET', `${stage.url}/streams/demo/params`)
    expect(after.json).toEqual(before.json)
  })

  it('merge with PATCH, and reset to defaults with PUT', async () => {
    await params('PATCH', '/streams/demo/params', { effect: 'tint', strength: 0.25 })
    const merged = await params('PATCH', '/streams/demo/params', { effect: 'pixelate' })
    expect(merged.json.params).toMatchObject({ effect: 'pixelate', strength: 0.25 })
    const replaced = await params('PUT', '/streams/demo/params', { effect: 'grayscale' })
    expect(replaced.json.params).toMatchObject({ effect: 'grayscale' })
    expect(replaced.json.params.strength).not.toBe(0.25)
    expect(replaced.json.revision).toBeGreaterThan(merged.json.revision)
  })

  it.each([
    ['text that is not JSON', 'not json', 400],
    ['a list', [1], 400],
  ])('refuse %s', async (_, body, expected) => {
    const { status, json } = await httpJson('POST', `${stage.url}/params`, {
      body,
      headers: { 'content-type': 'application/json' },
    })
    expect(status).toBe(expected)
    expect(json).toMatchObject({ code: 'invalid-request' })
  })

  it('need a name when several streams run', async () => {
    const clip = await stage.clip({ seconds: 8, width: 320, height: 240, fps: 30 })
    await using second = await stage.publish('second', clip, { query: '?pipeline=effects' })
    const { status, json } = await httpJson<{ detail: string }>('POST', `${stage.url}/params`, {
      body: { effect: 'none' },
    })
    expect(status).toBe(409)
    expect(json.detail).toContain('demo')
    expect((await params('POST', '/params?stream=second', { effect: 'none' })).status).toBe(200)
    await httpJson('DELETE', `${stage.url}/streams/second`)
    await second.stop()
  })
})
