import type { Browser as Chromium } from 'playwright-core'
import type { Browser as Firefox } from 'puppeteer-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { vp8KeyframeSize } from '../../../src/codec/rtp/vp8.ts'
import { findFirefox } from '../../helpers/binaries.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { launchFirefox } from '../../helpers/browser/firefox.ts'
import { PAGE_VIEWERS, type PageLook } from '../../helpers/browser/page-viewers.ts'
import { decodeNumbers } from '../../helpers/media/ivf.ts'
import { record } from '../../helpers/media/record.ts'
import { descendants, isAlive } from '../../helpers/nothing-left.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'
import { publishFromPage } from '../../process/webrtc/support/page.ts'
import { WeriftViewer } from '../../process/webrtc/support/viewer.ts'

let stage: Stage
let clip: string
const viewers: WeriftViewer[] = []
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '20' } })
  clip = await stage.clip({ seconds: 90, width: 1280, height: 720, fps: 15 })
})
afterEach(async () => {
  await Promise.all(viewers.splice(0).map(({ peer }) => peer.close()))
  const { json } = await httpJson<{ name: string }[]>('GET', `${stage.url}/streams`)
  await Promise.all(json.map(({ name }) => http('DELETE', `${stage.url}/streams/${name}`)))
})
afterAll(() => stage?.[Symbol.asyncDispose]())

type Watching = { viewer: WeriftViewer; leave(): Promise<void> }

async function watch(stream: string, codec: 'H264' | 'VP8', query = ''): Promise<Watching> {
  const viewer = new WeriftViewer(false, codec)
  viewers.push(viewer)
  const answer = await http('POST', `${stage.url}/whep/${stream}${query}`, {
    headers: { 'content-type': 'application/sdp' },
    body: await viewer.offer(),
  })
  expect([answer.status, answer.text]).toEqual([201, expect.stringContaining(` ${codec}/90000`)])
  await viewer.accept(answer.text)
  const session = new URL(answer.headers.location!, `${stage.url}/whep/${stream}`)
  const leave = async () => {
    await viewer.peer.close()
    expect((await http('DELETE', session.href)).status).toBe(200)
  }
  return { viewer, leave }
}

const ffmpegs = () => descendants(stage.server.pid).filter(({ command }) => command.includes('ffmpeg'))
const more = async ({ units }: WeriftViewer, count: number) => {
  const before = units.length
  await waitFor(`${count} more frames`, () => units.length >= before + count)
}

describe('a viewer without H.264', () => {
  it('gets VP8 from one shared encoder, which runs only while such a viewer watches', async () => {
    await stage.publish('demo', clip)
    const usual = await watch('demo', 'H264')
    await more(usual.viewer, 10)
    expect((await stage.status('demo')).egress.vp8).toBeNull()
    expect(ffmpegs()).toHaveLength(2)

    const [first, second] = [await watch('demo', 'VP8'), await watch('demo', 'VP8')]
    await Promise.all([more(first.viewer, 30), more(second.viewer, 30)])
    for (const { viewer } of [first, second]) {
      const frames = viewer.units.map(({ data }) => data)
      const numbers = await decodeNumbers('vp8', frames)
      expect(numbers.length).toBe(frames.length)
      const read = numbers.filter((number) => number !== undefined)
      expect(read.length).toBeGreaterThan(0.9 * numbers.length)
      expect(read).toEqual(read.toSorted((a, b) => a - b))
      expect(vp8KeyframeSize(viewer.units[0]!.data)).toEqual({ width: 1280, height: 720 })
    }
    expect(ffmpegs()).toHaveLength(3)
    const { egress, processes } = await stage.waitForStatus('demo', 'its rate', (now) => now.egress.vp8!.fps > 0)
    expect(egress).toMatchObject({ viewers: 3, encoder: 'libx264', vp8: { viewers: 2, encoder: 'libvpx' } })
    expect(isAlive(processes.vp8Encoder!)).toBe(true)
    const metrics = (await http('GET', `${stage.url}/metrics`)).text
    expect(metrics).toContain('millrace_stream_vp8_viewers{stream="demo"} 2\n')
    expect(metrics).toContain('millrace_stream_process_running{stream="demo",role="vp8Encoder"} 1\n')

    await first.leave()
    await more(second.viewer, 10)
    await second.leave()
    await waitFor('the end of its encoder', () => ffmpegs().length === 2)
    await waitFor('its process to be gone', () => !isAlive(processes.vp8Encoder!))
    expect(await stage.status('demo')).toMatchObject({
      egress: { viewers: 1, vp8: null },
      processes: { vp8Encoder: null },
    })
    await more(usual.viewer, 10)
  })

  it('continues after a kill -9 of that encoder, and other viewers are not affected', async () => {
    await stage.publish('killed', clip)
    const { viewer } = await watch('killed', 'VP8')
    await more(viewer, 10)
    const before = (await stage.status('killed')).processes
    process.kill(before.vp8Encoder!, 'SIGKILL')
    const { processes, state } = await stage.waitForStatus(
      'killed',
      'another encoder',
      (now) => now.processes.vp8Encoder !== null && now.processes.vp8Encoder !== before.vp8Encoder,
    )
    await more(viewer, 10)
    expect(processes.encoder).toBe(before.encoder)
    expect(['ONLINE', 'DEGRADED_INPUT']).toContain(state)
    const events = await record(`${stage.url}/streams/killed/events?lastEventId=0`)
    await waitFor('the event', () => events.bytes().includes('"type":"restart","source":"encoder-vp8","count":1'))
    events.stop()
  })
})

describe('the view of the input, in VP8', () => {
  let chromium: Chromium
  beforeAll(async () => {
    chromium = await launchChromium()
  })
  afterAll(() => chromium?.close())

  it('is the VP8 of the publisher as it is, and is encoded when the next publisher sends H.264', async () => {
    const page = await chromium.newPage()
    await page.goto(`${stage.url}/health`)
    const { location } = (await publishFromPage(page, { codec: 'VP8' })) as { location: string }
    await stage.waitForStatus('demo', 'its publisher', ({ ingest }) => ingest?.codec === 'vp8')
    const { viewer } = await watch('demo', 'VP8', '?view=input')
    await more(viewer, 30)
    const { ingest, processes, egress } = await stage.status('demo')
    expect(egress.inputViewers).toBe(1)
    expect(processes.inputVp8Encoder).toBeNull()
    expect(ffmpegs()).toHaveLength(2)
    const sizes = viewer.units.map(({ data }) => vp8KeyframeSize(data)).filter((size) => size !== undefined)
    expect(sizes.at(-1)).toEqual({ width: ingest!.width, height: ingest!.height })

    await http('DELETE', location)
    await page.close()
    await stage.waitForStatus('demo', 'its publisher gone', ({ publishing }) => !publishing)
    const before = viewer.units.length
    await stage.publish('demo', clip)
    await more(viewer, 40)
    expect((await stage.status('demo')).processes.inputVp8Encoder).not.toBeNull()
    const later = viewer.units.slice(before).map(({ data }) => data)
    const key = later.findIndex((data) => vp8KeyframeSize(data)?.width === 640)
    expect(vp8KeyframeSize(later[key]!)).toEqual({ width: 640, height: 360 })
    const numbers = await decodeNumbers('vp8', later.slice(key))
    expect(numbers.filter((number) => number !== undefined).length).toBeGreaterThan(20)
  })
})

describe.skipIf(!findFirefox())('Firefox without its OpenH264 plugin', () => {
  let firefox: Firefox
  beforeAll(async () => {
    firefox = await launchFirefox()
  })
  afterAll(() => firefox?.close())

  it('watches the output and the input', async () => {
    await stage.publish('fox', clip)
    const page = await firefox.newPage()
    await page.goto(`${stage.url}/health`)
    await page.evaluate(PAGE_VIEWERS)
    for (const url of ['/whep/fox', '/whep/fox?view=input']) {
      const offer = (await page.evaluate(`watch('${url}')`)) as string
      expect(offer).not.toMatch(/H264/i)
      expect(offer).toContain('VP8/90000')
      const look = async () => ((await page.evaluate(`look('${url}')`)) as PageLook | null)?.number
      const first = await waitFor('a numbered frame', look)
      await waitFor('frames after it', async () => ((await look()) ?? 0) > first + 15)
    }
    expect((await stage.status('fox')).egress).toMatchObject({ viewers: 1, inputViewers: 1, vp8: { viewers: 1 } })
    await page.close()
  })
})
