import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { RTCPeerConnection } from 'werift'
import { record } from '../../helpers/media/record.ts'
import { steadyHandshake } from '../../helpers/media/werift-handshake.ts'
import { NEGATIVE, writeModel } from '../../helpers/package/test-models.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'
import { StandInOrchestrator } from '../livepeer/orchestrator.ts'

type Problem = { code: string; detail: string; errors?: { path: string; message: string }[] }

const models = mkdtempSync(join(tmpdir(), 'mr-models-'))
const MISSING = { model: 'nowhere.onnx' }
/** A file that exists and is not a model. */
const BROKEN = { model: 'broken.onnx' }
const GOOD = { model: 'negative.onnx' }

let stage: Stage
let clip: string
let orchestrator: StandInOrchestrator
beforeAll(async () => {
  writeModel(join(models, GOOD.model), NEGATIVE)
  writeFileSync(join(models, BROKEN.model), 'no weights here')
  orchestrator = await StandInOrchestrator.open()
  const env = { MODEL_DIR: models, WARM_PIPELINES: '0', MAX_STREAMS: '8', ALLOWED_URLS: orchestrator.origin }
  stage = await setStage({ env: { ...env, STREAM_LINGER_SECONDS: '30', PIPELINE: 'onnx' } })
  clip = await stage.clip({ seconds: 60, width: 160, height: 120, fps: 15, audio: false })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  await orchestrator?.[Symbol.asyncDispose]()
  rmSync(models, { recursive: true, force: true })
})

const query = (params: unknown) => `?pipeline=onnx&params=${encodeURIComponent(JSON.stringify(params))}`
const wait = { limitMs: 60_000 }

/** Waits for ERROR with the reason and the params the stream was started with. */
async function failsWith(stream: string, params: typeof BROKEN): Promise<void> {
  const status = await waitFor(
    `ERROR of ${stream}`,
    async () => {
      const { status, json } = await httpJson('GET', `${stage.url}/streams/${stream}`)
      if (status === 200 && json.state === 'ONLINE') throw new Error(`${stream} is ONLINE`)
      return json.state === 'ERROR' && json
    },
    wait,
  )
  expect(JSON.stringify(status)).not.toContain(models)
  const events = await record(`${stage.url}/streams/${stream}/events?lastEventId=0`)
  await waitFor('the error among the events', () => new TextDecoder().decode(events.bytes()).includes(params.model))
  expect(new TextDecoder().decode(events.bytes())).not.toContain(models)
  await events[Symbol.asyncDispose]()
  expect((status.params as { value: unknown }).value).toMatchObject(params)
  expect(JSON.stringify((status.inference as { lastError: unknown }).lastError)).toContain(params.model)
}

describe('a publish that names a missing model is refused at once', () => {
  const refused = ({ status, json }: { status: number; json: Problem }) => {
    expect([status, json.code]).toEqual([422, 'invalid-params'])
    expect(json.errors).toEqual([{ path: '/model', message: expect.stringContaining('there is no nowhere.onnx') }])
    expect(JSON.stringify(json)).not.toContain(models)
  }

  const routes: Record<string, (stream: string) => Promise<{ status: number; json: Problem }>> = {
    'MPEG-TS': (stream) => httpJson('POST', `${stage.url}/ingest/${stream}${query(MISSING)}`, { body: 'G' }),
    'a test pattern': (stream) => httpJson('POST', `${stage.url}/test-pattern/${stream}${query(MISSING)}`),
    WHIP: async (stream) => {
      const peer = new RTCPeerConnection({ iceServers: [] })
      try {
        peer.addTransceiver('video', { direction: 'sendonly' })
        await peer.setLocalDescription(await peer.createOffer())
        steadyHandshake(peer)
        const headers = { 'content-type': 'application/sdp' }
        const body = peer.localDescription!.sdp
        return await httpJson('POST', `${stage.url}/whip/${stream}${query(MISSING)}`, { body, headers })
      } finally {
        await peer.close()
      }
    },
    'POST /streams': (name) => {
      const body = { name, subscribeUrl: orchestrator.url('none'), pipeline: 'onnx', params: MISSING }
      return httpJson('POST', `${stage.url}/streams`, { body })
    },
  }

  const refusedByAll = async () => {
    for (const [route, publish] of Object.entries(routes)) {
      const answer = await publish('missing')
      expect([route, answer.status]).toEqual([route, 422])
      refused(answer)
      expect((await http('GET', `${stage.url}/streams/missing`)).status).toBe(404)
    }
  }

  it('by every route, cold and warm', async () => {
    await refusedByAll()
    // An earlier stream leaves its runner warm.
    await stage.publish('before', clip, { query: query(GOOD) })
    await http('DELETE', `${stage.url}/streams/before`)
    await refusedByAll()
  })

  it('by trickle, as text: with the channel, with a segment, and with one still being written', async () => {
    const url = (path: string) => `${stage.url}/trickle/${path}${query(MISSING)}`
    const open = request(url('missing-open/0'), { method: 'POST', headers: { 'content-type': 'video/MP2T' } })
    const answered = new Promise<IncomingMessage>((resolve, reject) =>
      open.once('response', resolve).once('error', reject),
    )
    open.write('G')
    const answers = [
      await http('POST', url('missing-channel')),
      await http('POST', url('missing-segment/0'), { body: Buffer.from('G') }),
    ]
    const early = await answered
    answers.push({ ...answers[0]!, status: early.statusCode ?? 0, text: (await early.toArray()).join('') })
    for (const { status, text } of answers) {
      expect(status).toBe(422)
      expect(text).toContain('/model: there is no nowhere.onnx')
      expect(text).not.toContain(models)
    }
    open.destroy()
    expect((await httpJson('GET', `${stage.url}/streams`)).json).toEqual([])
  })

  it('by Livepeer, in its own error format', async () => {
    const { answer } = await orchestrator.start(stage.url, { body: { model_id: 'onnx' }, params: MISSING })
    expect(answer?.status).toBe(400)
    expect(answer?.text).toContain('there is no nowhere.onnx')
  })

  it('and so is an update, which changes nothing', async () => {
    expect((await http('POST', `${stage.url}/test-pattern/updated${query(GOOD)}`)).status).toBe(201)
    refused(await httpJson('PATCH', `${stage.url}/streams/updated/params`, { body: MISSING }))
    const { json } = await httpJson('GET', `${stage.url}/streams/updated/params`)
    expect(json.params).toMatchObject(GOOD)
    await http('DELETE', `${stage.url}/streams/updated`)
  })
})

describe('a start with a model that cannot be loaded ends in ERROR with the reason', () => {
  it('cold, and on a warm runner', async () => {
    for (const [index, before] of [undefined, GOOD].entries()) {
      if (before) {
        const publisher = await stage.publish('warms', clip, { query: query(before) })
        await publisher.stop()
        await http('DELETE', `${stage.url}/streams/warms`)
      }
      const stream = `broken-${index}`
      await stage.publish(stream, clip, { query: query(BROKEN) })
      await failsWith(stream, BROKEN)
      await http('DELETE', `${stage.url}/streams/${stream}`)
    }
  })

  it('for a publisher that joins a stream with a running pipeline, and the next one gets its own', async () => {
    const first = await stage.publish('joined', clip, { query: query(GOOD) })
    await stage.waitForStatus('joined', 'the model', ({ inference }) => inference.fps > 0, wait.limitMs)
    await first.stop()
    await stage.waitForStatus('joined', 'no publisher', ({ publishing }) => !publishing)
    const second = await stage.publish('joined', clip, { query: query(BROKEN) })
    await failsWith('joined', BROKEN)
    await second.stop()
    await stage.waitForStatus('joined', 'no publisher', ({ publishing }) => !publishing)
    await stage.publish('joined', clip, { query: query({ ...GOOD, strength: 0.5 }) })
    const { params } = await stage.waitForStatus(
      'joined',
      'life',
      ({ state }) => /ONLINE|INFERENCE/.test(state),
      60_000,
    )
    expect(params?.value).toMatchObject({ ...GOOD, strength: 0.5 })
    await http('DELETE', `${stage.url}/streams/joined`)
  })
})
