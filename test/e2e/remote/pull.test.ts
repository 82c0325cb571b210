import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Child } from '../../../src/core/child.ts'
import type { StreamStatus } from '../../../src/stream/status.ts'
import { answerAlways, freePort, serveClip, startFfmpeg, startRtspServer } from '../../helpers/media/media-peer.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const CLIP = { seconds: 20, width: 320, height: 180, fps: 30, gop: 15, audio: true } as const
const SECRET = 'TopSecretKey'
const H264 = 'h264parse ! rtph264pay name=pay0 pt=96 config-interval=-1'

let stage: Stage
let clip: string
let ports: Record<'rtmp' | 'srt' | 'http' | 'rtsp' | 'gone', number>
let cameras: Record<string, string>
let rtsp: (Child & { port: number }) | undefined
let strange: Record<string, AsyncDisposable & { port: number }>
const peers: Child[] = []

beforeAll(async () => {
  const [rtmp = 0, srt = 0, web = 0, camera = 0, gone = 0] = await Promise.all(Array.from({ length: 5 }, freePort))
  ports = { rtmp, srt, http: web, rtsp: camera, gone }
  strange = {
    redirect: await answerAlways('RTSP/1.0 302 Found\r\nCSeq: {CSeq}\r\nLocation: rtsp://10.0.0.1/x\r\n\r\n'),
    unauthorized: await answerAlways(
      'RTSP/1.0 401 Unauthorized\r\nCSeq: {CSeq}\r\nWWW-Authenticate: Basic realm="x"\r\n\r\n',
    ),
    garbage: await answerAlways('what is this?\n\n\n\n'.repeat(2000)),
    moved: await answerAlways('HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/x.ts\r\nContent-Length: 0\r\n\r\n'),
    playlist: await answerAlways(
      `HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n#EXTM3U\nfile:///etc/passwd\n${'#\n'.repeat(3000)}`,
    ),
  }
  const folder = await setStage({
    env: {
      MAX_STREAMS: '8',
      STREAM_LINGER_SECONDS: '1',
      INPUT_TIMEOUT_SECONDS: '10',
      ALLOWED_URLS: [
        ...[`rtmp://127.0.0.1:${ports.rtmp}`, `srt://127.0.0.1:${ports.srt}`, `http://127.0.0.1:${ports.http}`],
        ...[`rtsp://127.0.0.1:${ports.rtsp}`, `rtsp://127.0.0.1:${ports.gone}`],
        ...[`http://127.0.0.1:${ports.gone}`, `rtmp://127.0.0.1:${ports.gone}`],
        ...Object.values(strange).flatMap(({ port }) => [`rtsp://127.0.0.1:${port}`, `http://127.0.0.1:${port}`]),
        ...(await rtspOrigins()),
      ].join(),
    },
  })
  stage = folder
  clip = await stage.clip(CLIP)
})
afterAll(async () => {
  await Promise.all(peers.map((peer) => peer.close()))
  await rtsp?.close()
  await stage?.[Symbol.asyncDispose]()
  for (const one of Object.values(strange ?? {})) await one[Symbol.asyncDispose]()
})

/** RTSP servers of GStreamer, whose clips are made before the folder of the stage exists. */
async function rtspOrigins(): Promise<string[]> {
  const { makeNumberedClip } = await import('../../helpers/media/clip.ts')
  const { mkdtemp } = await import('node:fs/promises')
  const { tmpdir } = await import('node:os')
  const { join } = await import('node:path')
  const folder = await mkdtemp(join(tmpdir(), 'mr-rtsp-'))
  const [h264, hevc] = [join(folder, 'h264.mp4'), join(folder, 'hevc.mp4')]
  const reordered = { ...CLIP, audio: false, bframes: 3 }
  await makeNumberedClip({ ...reordered, file: h264 })
  await makeNumberedClip({ ...reordered, codec: 'hevc', file: hevc })
  const beep = 'audiotestsrc is-live=true ! alawenc ! rtppcmapay name=pay1 pt=8'
  cameras = {
    '/camera': `( filesrc location=${h264} ! qtdemux ! queue ! ${H264} ${beep} )`,
    '/h264': `( filesrc location=${h264} ! qtdemux ! ${H264} )`,
    '/hevc': `( filesrc location=${hevc} ! qtdemux ! h265parse ! rtph265pay name=pay0 pt=96 config-interval=-1 )`,
  }
  rtsp = await startRtspServer(cameras)
  return rtsp ? [`rtsp://127.0.0.1:${rtsp.port}`] : []
}

const serve = async (output: string[]): Promise<Child> => {
  const peer = await serveClip(clip, output)
  peers.push(peer)
  return peer
}
/** RTSP server of GStreamer at a port chosen in advance. */
const camera = async (): Promise<Child> => {
  const peer = (await startRtspServer(cameras, { port: ports.rtsp }))!
  peers.push(peer)
  return peer
}
const rtmpServer = () => serve(['-f', 'flv', '-listen', '1', `rtmp://127.0.0.1:${ports.rtmp}/live/${SECRET}`])
const rtmpUrl = () => `rtmp://127.0.0.1:${ports.rtmp}/live/${SECRET}`

type Answer = StreamStatus & { code?: string; detail?: string }
const pull = (name: string, input: object, more: object = {}) =>
  httpJson<Answer>('POST', `${stage.url}/streams`, { body: { name, input, ...more } })
/** Retries, since a server of ffmpeg takes a moment to listen. */
const pullSoon = async (name: string, input: object, more: object = {}) =>
  waitFor(`the answer to ${name}`, async () => {
    const answer = await pull(name, input, more)
    if (answer.status !== 201) throw new Error(JSON.stringify(answer.json))
    return answer.json
  })
const end = (name: string) => http('DELETE', `${stage.url}/streams/${name}`)

/**
 * Expects the frames of the clip, in order and at their timestamps; on a busy machine the pipeline may drop some, but
 * none is lost before it.
 */
async function expectFrames(name: string): Promise<void> {
  // The overlay is large too.
  await stage.waitForStatus(name, 'processed frames', ({ inference }) => inference.fps > 5)
  await using out = await record(`${stage.url}/out/${name}.ts`)
  await waitFor('output', () => out.bytes().length > 120_000)
  const shown = await waitFor(
    'six frames of the clip',
    async () => {
      const frames = await decodeNumbers(out.bytes())
      const whole = frames.flatMap(({ number, pts }) => (number === undefined ? [] : { number, pts }))
      return whole.length > 5 && whole
    },
    { everyMs: 1000 },
  )
  out.stop()
  const numbers = shown.map(({ number }) => number)
  // Each at its timestamp within the milliseconds of RTMP. Sender reports of an RTSP server with audio move both.
  const moved = shown.slice(1).filter(({ number, pts }, i) => {
    const before = shown[i]!
    return Math.abs(pts - before.pts - (number - before.number) * (90_000 / CLIP.fps)) > 100
  })
  if (name !== 'cam-camera-0') expect(moved).toEqual([])
  expect(numbers.filter((number, i) => i > 0 && number <= (numbers[i - 1] as number))).toEqual([])
  expect((await stage.status(name)).ingest?.lost).toBe(0)
}

describe('POST /streams with an input', () => {
  it.each<[string, () => string, () => string[], object]>([
    ['rtmp', rtmpUrl, () => ['-f', 'flv', '-listen', '1', rtmpUrl()], {}],
    [
      'srt',
      () => `srt://127.0.0.1:${ports.srt}?passphrase=${SECRET}`,
      () => ['-f', 'mpegts', `srt://127.0.0.1:${ports.srt}?mode=listener&passphrase=${SECRET}`],
      {},
    ],
    [
      'mpegts',
      () => `http://127.0.0.1:${ports.http}/${SECRET}.ts`,
      () => ['-f', 'mpegts', '-listen', '1', `http://127.0.0.1:${ports.http}/${SECRET}.ts`],
      { type: 'mpegts' },
    ],
  ])('pulls %s', async (kind, url, output, more) => {
    await serve(output())
    const started = await pullSoon(kind, { url: url(), ...more })
    expect(started).toMatchObject({ name: kind, publishing: true, pull: { type: kind, state: 'running', failures: 0 } })
    const status = await stage.waitForStatus(kind, 'audio', ({ ingest }) => ingest?.audio?.codec === 'aac')
    expect(status.ingest).toMatchObject({ kind, codec: 'h264', width: 320, height: 180 })
    expect(status.pull?.from).toMatch(/^\w+:\/\/127\.0\.0\.1:\d+$/)
    await expectFrames(kind)
    expect((await end(kind)).status).toBe(200)
  })

  it.each<[string, string, object, string]>([
    ['by TCP, with the audio of a camera', 'camera', {}, 'opus'],
    ['by UDP', 'h264', { transport: 'udp' }, ''],
    ['in H.265', 'hevc', {}, ''],
    ['in H.265 by UDP', 'hevc', { transport: 'udp' }, ''],
  ])('pulls RTSP with B-frames %s', async (_, path, more, audio) => {
    if (!rtsp) return
    const name = `cam-${path}-${Object.keys(more).length}`
    const { status, json } = await pull(name, { url: `rtsp://127.0.0.1:${rtsp.port}/${path}`, ...more })
    expect([status, json.ingest?.kind], JSON.stringify(json)).toEqual([201, 'rtsp'])
    const known = await stage.waitForStatus(name, 'frames', ({ ingest }) => (ingest?.fps ?? 0) > 5)
    expect([known.ingest?.codec, known.ingest?.audio?.codec ?? '']).toEqual([path === 'hevc' ? path : 'h264', audio])
    await expectFrames(name)
    await end(name)
  })

  it('reconnects to a lost source, and the stream keeps its params', async () => {
    const first = await rtmpServer()
    await pullSoon('back', { url: rtmpUrl() }, { pipeline: 'effects' })
    await httpJson('PATCH', `${stage.url}/streams/back/params`, { body: { effect: 'invert' } })
    await using out = await record(`${stage.url}/out/back.ts`)
    first.process.kill('SIGKILL')
    const lost = await stage.waitForStatus('back', 'the loss', ({ pull }) => pull?.state === 'waiting')
    expect(lost).toMatchObject({ publishing: false, state: 'OFFLINE', pull: { type: 'rtmp' } })
    // Longer than a stream waits for a publisher, and than the first retries.
    await stage.waitForStatus('back', 'further tries', ({ pull }) => (pull?.failures ?? 0) >= 3)
    const had = out.bytes().length
    await waitFor('the overlay', () => out.bytes().length > had)
    await rtmpServer()
    const again = await stage.waitForStatus(
      'back',
      'the source',
      ({ publishing, ingest }) => publishing && !!ingest?.fps,
    )
    expect(again).toMatchObject({ pull: { state: 'running' }, params: { value: { effect: 'invert' } } })
    expect(again.pull?.lastError?.message).toMatch(/refuses the connection|has ended the stream/)
    await end('back')
  })

  it('detects stopped and killed sources of every protocol at once, and reconnects', {
    timeout: 180_000,
  }, async () => {
    const through = async (kind: string, start: () => Promise<Child>, input: object) => {
      const name = `lost-${kind}`
      let peer = await start()
      // It accepts one client, and exits when that one has given up.
      const soon = async (what: string, is: () => Promise<boolean>) =>
        await waitFor(`${what} of ${name}`, async () => {
          if (peer.exit) peer = await start()
          return await is()
        })
      await soon('the answer', async () => (await pull(name, input)).status === 201)
      peer.process.kill('SIGSTOP')
      const silent = await stage.waitForStatus(name, 'the silence', ({ pull }) => (pull?.failures ?? 0) > 0)
      peer.process.kill('SIGKILL')
      await peer.closed
      await soon('the return', async () => {
        const { pull, ingest } = await stage.status(name)
        return pull?.state === 'running' && !!ingest?.fps
      })
      peer.process.kill('SIGKILL')
      const lost = await stage.waitForStatus(name, 'the loss', ({ pull }) => pull?.state === 'waiting')
      await end(name)
      return [silent.pull?.lastError?.message, lost.pull?.lastError?.message, lost.publishing]
    }
    const srt = `srt://127.0.0.1:${ports.srt}`
    const web = `http://127.0.0.1:${ports.http}/x.ts`
    const told = await Promise.all([
      through('rtmp', rtmpServer, { url: rtmpUrl() }),
      through('srt', () => serve(['-f', 'mpegts', `${srt}?mode=listener`]), { url: srt }),
      through('mpegts', () => serve(['-f', 'mpegts', '-listen', '1', web]), { type: 'mpegts', url: web }),
      ...(rtsp ? [through('rtsp', camera, { url: `rtsp://127.0.0.1:${ports.rtsp}/h264` })] : []),
    ])
    for (const [silent, lost, publishing] of told) {
      // SRT itself notices after five seconds.
      expect(silent).toMatch(/127\.0\.0\.1:\d+ has (sent nothing for 10 s|ended the stream)/)
      expect(lost).toMatch(/has (ended the stream|sent nothing)|the connection of the publisher broke/)
      expect(publishing).toBe(false)
    }
  })

  const at = (port: number, scheme = 'rtsp') => `${scheme}://user:${SECRET}@127.0.0.1:${port}/x`
  it.each<[string, () => object, number, RegExp]>([
    ['a server that is not there', () => ({ url: at(ports.gone) }), 502, /refuses the connection/],
    [
      'an RTMP server that is not there',
      () => ({ url: at(ports.gone, 'rtmp').replace('/x', '/live/x') }),
      502,
      /refuses/,
    ],
    ['a wrong password', () => ({ url: at(strange.unauthorized!.port) }), 502, /401 Unauthorized/],
    ['a redirect to a private address', () => ({ url: at(strange.redirect!.port) }), 502, /redirects are not followed/],
    ['garbage', () => ({ url: at(strange.garbage!.port) }), 502, /does not speak RTSP/],
    [
      'a redirect of HTTP',
      () => ({ type: 'mpegts', url: at(strange.moved!.port, 'http') }),
      502,
      /redirects are not followed/,
    ],
    ['a playlist', () => ({ type: 'mpegts', url: at(strange.playlist!.port, 'http') }), 415, /HLS playlist/],
    ['a private address', () => ({ url: 'rtsp://10.0.0.1/x' }), 400, /ALLOWED_URLS/],
    ['loopback', () => ({ url: 'srt://localhost:9000' }), 400, /ALLOWED_URLS/],
    ['an SRT listener', () => ({ url: `srt://127.0.0.1:${ports.srt}?mode=listener` }), 400, /mode=caller/],
    ['an option of SRT that binds', () => ({ url: `srt://127.0.0.1:${ports.srt}?localip=1` }), 400, /cannot have/],
    ['RTMP without a stream', () => ({ url: `rtmp://127.0.0.1:${ports.rtmp}/live` }), 400, /an app and a stream/],
    ['a file', () => ({ type: 'rtsp', url: 'file:///etc/passwd' }), 400, /rtsp:\/\//],
    ['HTTP of no type', () => ({ url: 'http://example.com/x.ts' }), 400, /must be mpegts/],
    ['another type', () => ({ type: 'hls', url: 'http://example.com/x.m3u8' }), 400, /expected form/],
  ])('refuses %s and leaves nothing behind', async (_, input, status, why) => {
    const answer = await pull('none', input())
    expect([answer.status, `${answer.json.detail} ${JSON.stringify(answer.json)}`]).toEqual([
      status,
      expect.stringMatching(why),
    ])
    expect(JSON.stringify(answer.json)).not.toContain(SECRET)
    expect((await http('GET', `${stage.url}/streams/none`)).status).toBe(404)
  })

  it('refuses a playlist by SRT, and opens nothing that it names', async () => {
    const list = join(stage.folder, 'list.m3u8')
    await writeFile(list, `#EXTM3U\nhttp://127.0.0.1:${ports.gone}/${SECRET}.ts\n${'#\n'.repeat(1_000_000)}`)
    const srt = `srt://127.0.0.1:${ports.srt}`
    const args = ['-f', 'data', '-raw_packet_size', '1316', '-i', list, '-map', '0', '-c', 'copy', '-f', 'data']
    const peer = await startFfmpeg([...args, `${srt}?mode=listener&pkt_size=1316&maxbw=200000&linger=20`])
    peers.push(peer)
    const refused = await waitFor('the answer', async () => {
      const answer = await pull('none', { url: srt })
      if (answer.status !== 415) throw new Error(`${JSON.stringify(answer.json)} ${peer.said()}`)
      return answer.json
    })
    expect(refused.detail).toMatch(/HLS playlist/)
    expect((await http('GET', `${stage.url}/streams/none`)).status).toBe(404)
  })

  it('refuses params with a whole number that a double does not hold, and names it', async () => {
    const body = `{"name":"none","input":{"url":"srt://127.0.0.1:${ports.srt}"},"params":{"a":[9007199254740993]}}`
    const headers = { 'content-type': 'application/json' }
    const { status, json } = await httpJson<Answer>('POST', `${stage.url}/streams`, { body, headers })
    expect(status).toBe(422)
    expect(json).toMatchObject({ code: 'invalid-params', errors: [{ path: '/params/a/0' }] })
    expect((await http('GET', `${stage.url}/streams/none`)).status).toBe(404)
  })

  it('shows no secret of a URL anywhere', async () => {
    const { text } = await http('GET', `${stage.url}/metrics`)
    expect(text + stage.server.logs.text).not.toContain(SECRET)
    expect(stage.server.logs.named('pulled stream disconnected').length).toBeGreaterThan(0)
  })
})
