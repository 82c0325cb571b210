import { randomBytes } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { request } from 'node:http'
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { startPublisher } from '../../helpers/media/publish.ts'
import { record } from '../../helpers/media/record.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { isOnAir } from '../../helpers/server/states.ts'
import { waitFor } from '../../helpers/wait.ts'

type Problem = { status: number; code: string; detail: string }

let stage: Stage
/** Frames of the stream that runs all the time. */
let witnessed = 0
beforeAll(async () => {
  stage = await setStage({ env: { MAX_STREAMS: '3', STREAM_LINGER_SECONDS: '1' } })
  const clip = await stage.clip({ seconds: 300, width: 320, height: 240, fps: 15, kbps: 300 })
  await stage.publish('witness', clip)
})
afterAll(() => stage?.[Symbol.asyncDispose]())
afterEach(async () => {
  // Bad input does not affect the other stream.
  const status = await stage.waitForStatus(
    'witness',
    'going on',
    ({ state, egress }) => isOnAir(state) && egress.fps > 5,
  )
  expect(status.inference.restarts).toBe(0)
  witnessed++
})

const ingest = (name: string, body: Uint8Array | string, query = '') =>
  httpJson<Problem>('POST', `${stage.url}/ingest/${name}${query}`, { body, headers: { 'content-type': 'video/mp2t' } })
const gone = (name: string) =>
  waitFor(`${name} to be gone`, async () => (await http('GET', `${stage.url}/streams/${name}`)).status === 404)

describe('bad input', () => {
  it.each([
    ['random bytes', () => randomBytes(2_000_000)],
    ['nothing', () => Buffer.alloc(0)],
    ['a web page', () => Buffer.from(`<!doctype html>${'<p>hello</p>'.repeat(1000)}`)],
    ['an MP4 file', () => Buffer.concat([Buffer.from('0000001c6674797069736f6d', 'hex'), randomBytes(100_000)])],
    [
      'sync bytes without sense',
      () => Buffer.alloc(188 * 2000, Buffer.concat([Buffer.from([0x47]), Buffer.alloc(187, 0xff)])),
    ],
  ])('%s instead of MPEG-TS is 415 with a reason', async (_, body) => {
    const { status, json } = await ingest('bad', body())
    expect(status).toBe(415)
    expect(json).toMatchObject({ status: 415, code: 'unsupported-media' })
    expect(json.detail).toMatch(/MPEG-TS/)
    await gone('bad')
  })

  it('a body that breaks off within a frame is played up to there', async () => {
    const clip = await readFile(await stage.clip({ seconds: 4, width: 320, height: 240, fps: 30 }))
    const cut = clip.subarray(0, Math.floor(clip.length * 0.6))
    const body = request(`${stage.url}/ingest/cut`, { method: 'POST', agent: false })
    const answered = new Promise<number | undefined>((resolve) =>
      body.once('response', (response) => resolve(response.statusCode)),
    )
    for (let part = 0; part < 24; part++) {
      body.write(cut.subarray((cut.length * part) / 24, (cut.length * (part + 1)) / 24))
      await sleep(100)
    }
    await stage.waitForStatus('cut', 'frames', ({ egress }) => egress.fps > 0)
    body.end()
    expect(await answered).toBe(200)
    expect((await stage.status('cut')).ingest?.lost ?? 0).toBeLessThanOrEqual(1)
    await gone('cut')
  })

  it('audio without video is refused with a message', async () => {
    const file = await stage.clip({ seconds: 4, width: 320, height: 240, fps: 30, audio: true })
    const [audio = Buffer.alloc(0)] = await runTool(ffmpegPath(), [
      '-v',
      'error',
      '-i',
      file,
      '-vn',
      '-c',
      'copy',
      '-f',
      'mpegts',
      'pipe:1',
    ])
    const { status, json } = await ingest('audio', audio)
    expect(status).toBe(415)
    expect(json.detail).toMatch(/video/)
    await gone('audio')
  })

  it('video without audio plays', async () => {
    await using publisher = await stage.publish(
      'silent',
      await stage.clip({ seconds: 8, width: 320, height: 240, fps: 30 }),
    )
    expect((await stage.status('silent')).ingest?.audio).toBeNull()
    await publisher.stop()
    await gone('silent')
  })

  it.each(['../..', '%2e%2e%2fetc', 'a%2fb', '-x', 'a b', 'x'.repeat(65), 'demo-out'])(
    'the stream name %s is refused',
    async (name) => {
      const { status, json } = await ingest(encodeURI(name).replaceAll('%25', '%'), 'x')
      // Names that URL parsing changes never reach the server.
      expect([400, 404]).toContain(status)
      expect(json.code).toMatch(/invalid-request|not-found/)
      expect((await httpJson<unknown[]>('GET', `${stage.url}/streams`)).json).toHaveLength(1)
    },
  )

  it('an unknown pipeline is 404 and lists the known ones', async () => {
    const { status, json } = await ingest('who', 'x', '?pipeline=nonesuch')
    expect(status).toBe(404)
    expect(json.detail).toMatch(/nonesuch/)
    expect(json.detail).toMatch(/effects/)
    expect(json.detail).toMatch(/noop/)
    await gone('who')
  })

  it('invalid initial params are 422, with an error per field', async () => {
    const { status, json } = await ingest(
      'params',
      'x',
      `?pipeline=effects&params=${encodeURIComponent('{"strength":9}')}`,
    )
    expect(status).toBe(422)
    expect(json).toMatchObject({ code: 'invalid-params', errors: [{ path: '/strength' }] })
    expect((await ingest('params', 'x', '?params=nonsense')).status).toBe(400)
    await gone('params')
  })

  it('a stream above MAX_STREAMS is 503 with Retry-After', async () => {
    const clip = await stage.clip({ seconds: 20, width: 320, height: 240, fps: 15, kbps: 300 })
    await using second = await stage.publish('second', clip)
    await using third = await stage.publish('third', clip)
    const answer = await httpJson<Problem>('POST', `${stage.url}/ingest/fourth`, { body: 'x' })
    expect(answer.status).toBe(503)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
    expect(answer.json.detail).toMatch(/MAX_STREAMS/)
    await Promise.all([second.stop(), third.stop()])
    await gone('second')
    await gone('third')
  })

  it('a second publisher of a stream is 409', async () => {
    const { status, json } = await ingest('witness', 'x')
    expect(status).toBe(409)
    expect(json.detail).toMatch(/publisher already/)
  })

  it('a change of resolution in mid-stream is followed', async () => {
    const small = await readFile(await stage.clip({ seconds: 3, width: 320, height: 240, fps: 30 }))
    const large = await readFile(await stage.clip({ seconds: 3, width: 640, height: 360, fps: 30 }))
    const body = request(`${stage.url}/ingest/resize`, { method: 'POST', agent: false })
    body.on('error', () => {})
    const pour = async (bytes: Buffer) => {
      for (let at = 0; at < bytes.length; at += bytes.length / 30) {
        body.write(bytes.subarray(at, at + bytes.length / 30))
        await sleep(100)
      }
    }
    const pouring = pour(small)
      .then(() => pour(large))
      .then(() => body.end())
    await stage.waitForStatus('resize', 'the small one', ({ egress }) => egress.width === 320)
    const now = await stage.waitForStatus('resize', 'the large one', ({ egress }) => egress.width === 640)
    expect(now.ingest).toMatchObject({ width: 640, height: 360 })
    expect(now.egress).toMatchObject({ width: 640, height: 360 })
    await pouring
    await gone('resize')
  })

  it.each([
    ['an odd size', { width: 321, height: 241 }, { width: 320, height: 240 }],
    ['4K', { width: 3840, height: 2160 }, { width: 1926, height: 1084 }],
  ])('%s plays', async (name, size, expected) => {
    const file = `${stage.folder}/${name.replaceAll(' ', '-')}.ts`
    await runTool(
      ffmpegPath(),
      [
        ...[
          '-v',
          'error',
          '-f',
          'lavfi',
          '-i',
          `testsrc=s=${size.width}x${size.height}:r=10:d=5`,
          '-pix_fmt',
          'yuv444p',
        ],
        ...['-c:v', 'libx264', '-preset', 'ultrafast', '-g', '10', file],
      ],
      { limitMs: 60_000 },
    )
    await using publisher = await startPublisher({ input: file, url: `${stage.url}/ingest/size` })
    const now = await stage.waitForStatus(
      'size',
      'frames',
      ({ egress, inference }) => egress.width > 0 && inference.fps > 0,
      30_000,
    )
    expect(now.ingest).toMatchObject(size)
    expect(Math.abs(now.egress.width - expected.width)).toBeLessThanOrEqual(4)
    expect(now.egress.width % 2).toBe(0)
    expect(now.egress.height % 2).toBe(0)
    await publisher.stop()
    await gone('size')
  })

  it('a client that never reads the reply is disconnected', async () => {
    const { hostname, port } = new URL(stage.url)
    const socket = connect(Number(port), hostname)
    socket.pause()
    socket.on('error', () => {})
    const closed = new Promise((resolve) => socket.once('close', resolve))
    socket.write(`POST /ingest/mute HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n`)
    const garbage = randomBytes(64 * 1024)
    const writing = setInterval(() => {
      if (socket.writableLength < 1_000_000)
        socket.write(`${garbage.length.toString(16)}\r\n`) && socket.write(garbage) && socket.write('\r\n')
    }, 10)
    await gone('mute')
    // The server closes its side, so writing fails.
    await Promise.race([closed, sleep(15_000)])
    clearInterval(writing)
    expect(socket.destroyed).toBe(true)
  })

  it('a viewer that vanishes is dropped', async () => {
    const viewer = await record(`${stage.url}/out/witness.ts`)
    await stage.waitForStatus('witness', 'a viewer', ({ egress }) => egress.viewers === 1)
    viewer.stop()
    await stage.waitForStatus('witness', 'no viewer', ({ egress }) => egress.viewers === 0)
  })
})

it('the other stream ran all the time', () => {
  expect(witnessed).toBeGreaterThan(10)
})
