import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { RecordingStatus } from '../../../src/recording/recording.ts'
import { decodeAudio, decodeNumbers, probePackets } from '../../helpers/media/probe-ts.ts'
import { type Recording, record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const CLIP = { seconds: 120, width: 320, height: 180, fps: 30, audio: 'flash-beep' } as const
type Stored = { file: string; stream: string; bytes: number; growing: boolean }

const start = (stage: Stage, stream: string, body: unknown = {}) =>
  httpJson<RecordingStatus>('POST', `${stage.url}/streams/${stream}/recordings`, { body })
const stop = (stage: Stage, stream: string, id: string) =>
  httpJson<RecordingStatus>('DELETE', `${stage.url}/streams/${stream}/recordings/${id}`)
const stored = async (stage: Stage) => (await httpJson<Stored[]>('GET', `${stage.url}/recordings`)).json
const growsTo = (stage: Stage, bytes: number) =>
  waitFor(`${bytes} bytes on disk`, async () => ((await stored(stage))[0]?.bytes ?? 0) > bytes)

/** Everything output between the first and the last recorded frame, and nothing else. */
async function expectAll(recorded: (number | undefined)[], out: Recording): Promise<void> {
  out.stop()
  const shown = (await decodeNumbers(out.bytes())).map(({ number }) => number)
  const [first, last] = [shown.indexOf(recorded[0]), shown.lastIndexOf(recorded.at(-1))]
  expect([first, last]).not.toContain(-1)
  expect(recorded).toEqual(shown.slice(first, last + 1))
}

/** Start of the first beep with silence before it: a recording may start within a beep. */
function firstBeep(pieces: { pts: number; samples: Int16Array | number[] }[]): number {
  let silent = false
  for (const { pts, samples } of pieces) {
    const loud = samples.findIndex((sample) => Math.abs(sample) > 2000)
    if (loud >= 0 && silent) return pts + loud * (90_000 / 48_000)
    silent = loud < 0
  }
  return Number.NaN
}

let folder: string
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'mr-recordings-'))
})
afterAll(() => rm(folder, { recursive: true, force: true }))

describe('recordings', () => {
  let stage: Stage
  beforeAll(async () => {
    stage = await setStage({ env: { RECORD_DIR: folder, KEYFRAME_SECONDS: '1' } })
    await stage.publish('demo', await stage.clip(CLIP))
  })
  afterAll(() => stage?.[Symbol.asyncDispose]())

  it('contain every frame and the audio, play while they grow, and support range requests', {
    timeout: 120_000,
  }, async () => {
    await using out = await record(`${stage.url}/out/demo.ts`)
    await waitFor('the output', () => out.bytes().length > 50_000)
    const { status, json, headers } = await start(stage, 'demo')
    expect([status, json.state, headers.location]).toEqual([201, 'recording', `recordings/${json.id}`])
    expect((await start(stage, 'demo')).status).toBe(409)

    await growsTo(stage, 100_000)
    const [growing] = await stored(stage)
    expect(growing).toMatchObject({ stream: 'demo', growing: true })
    const url = `${stage.url}/recordings/${growing?.file}`
    const early = await http('GET', url)
    expect((await decodeNumbers(early.bytes)).length).toBeGreaterThan(10)

    await growsTo(stage, 400_000)
    const ended = await stop(stage, 'demo', json.id)
    expect(ended.json).toMatchObject({ state: 'finished', files: [growing?.file], dropped: 0 })
    expect((await stop(stage, 'demo', json.id)).json.state).toBe('finished')

    const whole = await http('GET', url)
    expect([whole.status, whole.headers['content-type'], whole.headers['accept-ranges']]).toEqual([
      200,
      'video/mp4',
      'bytes',
    ])
    const frames = await decodeNumbers(whole.bytes)
    expect(frames.length).toBeGreaterThan(60)
    await expectAll(
      frames.map(({ number }) => number),
      out,
    )
    const [video, audio] = await probePackets(whole.bytes)
    expect([video?.codec, audio?.codec, video?.packets.length]).toEqual(['h264', 'opus', frames.length])
    // A flash and a beep begin with each second of the clip. The frame with the flash itself may be lost on a busy machine.
    const at = firstBeep(await decodeAudio(whole.bytes))
    const near = frames.find(({ number, pts }) => number !== undefined && Math.abs(pts - at) < 45_000)
    const intoSecond = (((near?.number ?? Number.NaN) + CLIP.fps / 2) % CLIP.fps) - CLIP.fps / 2
    const flashAt = (near?.pts ?? Number.NaN) - (intoSecond / CLIP.fps) * 90_000
    expect(Math.abs(flashAt - at)).toBeLessThan(0.04 * 90_000)

    const part = await http('GET', url, { headers: { range: 'bytes=100-199' } })
    expect([part.status, part.headers['content-range']]).toEqual([206, `bytes 100-199/${whole.bytes.length}`])
    expect(part.bytes).toEqual(whole.bytes.subarray(100, 200))
    const last = await http('GET', url, { headers: { range: 'bytes=-10' } })
    expect(last.bytes).toEqual(whole.bytes.subarray(-10))
    const beyond = await http('GET', url, { headers: { range: `bytes=${whole.bytes.length}-` } })
    expect([beyond.status, beyond.headers['content-range']]).toEqual([416, `bytes */${whole.bytes.length}`])
    const head = await http('HEAD', url)
    expect([head.status, head.headers['content-length'], head.bytes.length]).toEqual([
      200,
      String(whole.bytes.length),
      0,
    ])
  })

  it('of the input contain it as viewers see it', { timeout: 120_000 }, async () => {
    const { json } = await start(stage, 'demo', { view: 'input' })
    await waitFor('a file', async () => (await stored(stage)).some(({ growing, bytes }) => growing && bytes > 30_000), {
      limitMs: 40_000,
    })
    const { json: ended } = await stop(stage, 'demo', json.id)
    expect(ended).toMatchObject({ state: 'finished', view: 'input' })
    const numbers = (await decodeNumbers(join(folder, ended.files[0] as string))).map(({ number = -1 }) => number)
    expect(numbers.length).toBeGreaterThan(10)
    expect(numbers).toEqual(numbers.toSorted((a, b) => a - b))
  })

  it.each<[string, string, unknown, number]>([
    ['of a stream there is not', 'nobody', {}, 404],
    ['of another view', 'demo', { view: 'both' }, 400],
    ['with other fields', 'demo', { file: '/etc/passwd' }, 400],
  ])('%s are refused', async (_, stream, body, status) => {
    expect((await start(stage, stream, body)).status).toBe(status)
  })

  it.each([
    '..%2f..%2fpackage.json',
    '%2e%2e%2fpackage.json',
    'package.json',
    'demo-20261129T232003120Z.mp4%00.txt',
    'demo.mp4',
  ])('GET /recordings/%s is not found', async (file) => {
    expect((await http('GET', `${stage.url}/recordings/${file}`)).status).toBe(404)
  })
})

describe('on a server that records everything in segments', () => {
  it('each segment plays alone, no frame is missing between them, and a server exit finishes them', async () => {
    const own = join(folder, 'all')
    const env = { RECORD_DIR: own, RECORD: 'output', RECORD_SPLIT_SECONDS: '2', KEYFRAME_SECONDS: '1' }
    const stage = await setStage({ env })
    await stage.publish('demo', await stage.clip(CLIP))
    await using out = await record(`${stage.url}/out/demo.ts`)
    const isHalfFull = async () => {
      const [newest, before, ...others] = await stored(stage)
      return others.length > 0 && newest!.bytes > before!.bytes / 2
    }
    await waitFor('a third file with frames', isHalfFull, { limitMs: 60_000 })
    const files = (await stored(stage)).map(({ file }) => file).reverse()
    await stage[Symbol.asyncDispose]()
    const numbers = []
    for (const file of files) {
      const frames = await decodeNumbers(join(own, file))
      expect(frames.length).toBeGreaterThan(20)
      numbers.push(...frames.map(({ number }) => number))
    }
    const shown = (await decodeNumbers(out.bytes())).map(({ number }) => number)
    const last = shown.lastIndexOf(numbers.at(-1))
    const first = numbers.indexOf(shown[0])
    expect([first, last]).not.toContain(-1)
    expect(numbers.slice(first)).toEqual(shown.slice(0, last + 1))
  }, 120_000)

  it('a recording interrupted by a kill plays except for its last second', async () => {
    const own = join(folder, 'killed')
    const stage = await setStage({ env: { RECORD_DIR: own, RECORD: 'output', KEYFRAME_SECONDS: '1' } })
    await stage.publish('demo', await stage.clip(CLIP))
    await using out = await record(`${stage.url}/out/demo.ts`)
    await waitFor('a file', async () => ((await stored(stage))[0]?.bytes ?? 0) > 200_000, { limitMs: 60_000 })
    const [{ file = '' } = {}] = await stored(stage)
    const before = await readFile(join(own, file))
    const shown = out.bytes()
    process.kill(stage.server.pid, 'SIGKILL')
    await stage.server.closed
    const [kept, at] = [await decodeNumbers(join(own, file)), await decodeNumbers(before)]
    const sent = (await decodeNumbers(shown)).length
    expect(sent - kept.length).toBeLessThan(35)
    expect(kept.length).toBeGreaterThanOrEqual(at.length)
    // The server is gone already.
    await Promise.resolve(stage[Symbol.asyncDispose]()).catch(() => {})
  }, 120_000)

  it('a full disk refuses new recordings and ends running ones, and the stream continues', async () => {
    const stage = await setStage({
      env: { RECORD_DIR: join(folder, 'full'), RECORD_MAX_MB: '1', KEYFRAME_SECONDS: '1', VIDEO_BITRATE_KBPS: '6000' },
    })
    await stage.publish('demo', await stage.clip({ ...CLIP, width: 640, height: 360, kbps: 8000 }), { loop: -1 })
    const { json } = await start(stage, 'demo')
    const of = async () =>
      (await httpJson<RecordingStatus[]>('GET', `${stage.url}/streams/demo/recordings`)).json.find(
        ({ id }) => id === json.id,
      )
    await waitFor('the end of the recording', async () => (await of())?.state === 'failed', { limitMs: 60_000 })
    expect((await of())?.error).toMatchObject({ code: 'capacity', message: expect.stringContaining('RECORD_MAX_MB') })
    const refused = await start(stage, 'demo')
    expect([refused.status, JSON.stringify(refused.json)]).toEqual([503, expect.stringContaining('RECORD_MAX_MB')])
    await stage.waitForStatus('demo', 'a full rate', ({ egress }) => egress.fps > 25)
    await stage[Symbol.asyncDispose]()
  }, 120_000)
})
