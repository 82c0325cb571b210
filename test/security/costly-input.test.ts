import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { joinNalUnits } from '../../src/codec/annexb.ts'
import { http } from '../helpers/server/http.ts'
import { startServer, type TestServer } from '../helpers/server/server.ts'
import { waitFor } from '../helpers/wait.ts'
import { AUD, bytesOf, H264_STREAM, HandMux, SPS_640x360, slice } from '../unit/codec/mpegts/ts-samples.ts'

/** Input that once cost far more than its length: seconds of the event loop, and gigabytes. */
const MAX_SILENCE_MS = 5000
const MAX_GROWTH_MIB = 600
const PUBLISH_MS = 60_000

let server: TestServer
beforeAll(async () => {
  server = await startServer({
    env: { MAX_STREAMS: '4', MAX_SESSIONS_PER_MINUTE: '0', WARM_PIPELINES: '0', INPUT_TIMEOUT_SECONDS: '10' },
  })
})
afterAll(() => server?.stop())

/** The most memory that the server ever had, in MiB. */
const peakMib = () => Number(/VmHWM:\s+(\d+) kB/.exec(readFileSync(`/proc/${server.pid}/status`, 'utf8'))![1]) / 1024

/** Runs `attack`, and expects that the server answers others meanwhile and keeps its memory. */
async function withstands(attack: () => Promise<unknown>): Promise<void> {
  const before = peakMib()
  let running = true
  let longest = 0
  const others = async () => {
    while (running) {
      const asked = performance.now()
      expect((await http('GET', `${server.url}/health`)).status).toBe(200)
      longest = Math.max(longest, performance.now() - asked)
    }
  }
  const watching = others()
  try {
    await attack()
  } finally {
    running = false
    await watching
  }
  expect(longest).toBeLessThan(MAX_SILENCE_MS)
  expect(peakMib() - before).toBeLessThan(MAX_GROWTH_MIB)
}

const OFFER = readFileSync(new URL('../unit/webrtc/offers/whep-chrome.sdp', import.meta.url), 'utf8').trimEnd()
const lines = (count: number, line: (i: number) => string) =>
  `\r\n${Array.from({ length: count }, (_, i) => line(i)).join('\r\n')}\r\n`
/** The last section with these formats in addition. */
const withFormats = (count: number) => {
  const at = OFFER.lastIndexOf('\r\nm=')
  const more = Array.from({ length: count }, (_, i) => i % 128).join(' ')
  return OFFER.slice(0, at) + OFFER.slice(at).replace(/(\r\nm=[^\r]*)/, `$1 ${more}`)
}

describe('an offer of 125 kB blocks nobody', () => {
  it.each<[string, string]>([
    [
      '33,000 formats and 4,900 lines of feedback for all',
      withFormats(20_000) + lines(4900, (i) => `a=rtcp-fb:* x${i}`),
    ],
    ['20,000 formats', withFormats(20_000)],
    ['4,900 maps of formats', OFFER + lines(4900, (i) => `a=rtpmap:${i % 128} VP8/90000`)],
    ['layers', OFFER + lines(1, () => `a=simulcast:send ${'a;'.repeat(50_000)}`)],
    ['sections', OFFER + lines(4000, (i) => `m=video 0 UDP 96\r\na=mid:${i}`)],
  ])('of %s', async (_, body) => {
    const headers = { 'content-type': 'application/sdp' }
    await withstands(async () => {
      for (const path of ['/whep/costly', '/whip/costly', '/whep/costly', '/whip/costly']) {
        const { status } = await http('POST', `${server.url}${path}`, { headers, body: body.slice(0, 127_000) })
        expect([201, 400, 413, 415], `${path}: ${status}`).toContain(status)
        if (status === 201) await http('DELETE', `${server.url}/streams/costly`)
      }
    })
  })
})

/** 256 PPS of `bytes` each, and then many access units of one tiny slice: once, each of them got all parameter sets. */
function paddedSets(bytes: number, units: number): Uint8Array {
  const sets = Array.from({ length: 256 }, (_, i) => {
    const nal = new Uint8Array(bytes).fill(0x11)
    // pic_parameter_set_id as ue(v).
    const code = (i + 1).toString(2)
    const bits = ('0'.repeat(code.length - 1) + code).padEnd(24, '1')
    nal.set([0x68, ...[0, 8, 16].map((at) => Number.parseInt(bits.slice(at, at + 8), 2))])
    return nal
  })
  const all = [AUD, SPS_640x360, ...sets, ...Array.from({ length: units }, () => slice(5, 3))]
  const mux = new HandMux()
  return bytesOf(mux.tables(H264_STREAM), mux.video(joinNalUnits(all), 0), mux.tables(H264_STREAM))
}

it.each([
  [60, 6000],
  [4000, 6000],
])('MPEG-TS of 256 parameter sets of %i bytes and %i access units is read within its bounds', async (bytes, units) => {
  const body = paddedSets(bytes, units)
  const names = ['one', 'two', 'three'].map((name) => `padded-${bytes}-${name}`)
  await withstands(async () => {
    // Its frames are paced, so that it is answered much later.
    const publishing = names.map((name) =>
      http('POST', `${server.url}/ingest/${name}`, { body, limitMs: PUBLISH_MS }).catch(() => {}),
    )
    const media = (name: string) =>
      waitFor(`media of ${name}`, async () =>
        (await http('GET', `${server.url}/streams/${name}`)).text.includes('"codec":"h264"'),
      )
    await Promise.all(names.map(media))
    for (const name of names) await http('DELETE', `${server.url}/streams/${name}`)
    await Promise.all(publishing)
  })
})

it('none of this was a server error', () => {
  expect(server.exit).toBeUndefined()
  expect(
    server.logs.lines.filter(({ level, msg }) => Number(level) >= 50 && /uncaught|unhandled/.test(String(msg))),
  ).toEqual([])
})
