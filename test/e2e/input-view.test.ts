import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium } from '../helpers/chromium.ts'
import { http, httpJson } from '../helpers/http.ts'
import { READ_MARKER_SOURCE } from '../helpers/marker.ts'
import { descendants, isAlive } from '../helpers/nothing-left.ts'
import { record } from '../helpers/record.ts'
import { type Stage, setStage } from '../helpers/stage.ts'
import { waitFor } from '../helpers/wait.ts'

const INVERT = `?pipeline=effects&params=${encodeURIComponent('{"effect":"invert","strength":1}')}`

let stage: Stage
let browser: Browser
let page: Page
let clip: string
beforeAll(async () => {
  stage = await setStage({ env: { MAX_VIEWERS: '2', STREAM_LINGER_SECONDS: '20' } })
  browser = await launchChromium()
  clip = await stage.clip({ seconds: 60, width: 1280, height: 720, fps: 30 })
})
afterEach(async () => {
  await page?.close()
  const { json } = await httpJson<{ name: string }[]>('GET', `${stage.url}/streams`)
  await Promise.all(json.map(({ name }) => http('DELETE', `${stage.url}/streams/${name}`)))
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

/** Runs in the page: `watch(view)` makes a viewer, `look(view)` tells what it shows. */
const VIEWERS = `(() => {
  ${READ_MARKER_SOURCE}
  const viewers = new Map()
  window.watch = async (url, view) => {
    const peer = new RTCPeerConnection()
    const video = Object.assign(document.createElement('video'), { muted: true, autoplay: true })
    document.body.append(video)
    const stream = video.srcObject = new MediaStream()
    peer.addTransceiver('video', { direction: 'recvonly' })
    peer.addTransceiver('audio', { direction: 'recvonly' })
    peer.ontrack = ({ track }) => stream.addTrack(track)
    await peer.setLocalDescription()
    const answer = await fetch(url + '?view=' + view, {
      method: 'POST',
      headers: { 'content-type': 'application/sdp' },
      body: peer.localDescription.sdp,
    })
    if (answer.status !== 201) throw new Error(await answer.text())
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
    viewers.set(view, { peer, video, session: answer.headers.get('location') })
  }
  window.leave = async (view) => {
    const { peer, video, session } = viewers.get(view)
    peer.close()
    video.remove()
    await fetch(session, { method: 'DELETE' })
  }
  window.look = (view) => {
    const { video } = viewers.get(view)
    const canvas = new OffscreenCanvas(360, 240)
    const context = canvas.getContext('2d', { willReadFrequently: true })
    context.drawImage(video, 0, 0, 360, 240)
    const { data } = context.getImageData(0, 0, 360, 240)
    return {
      width: video.videoWidth,
      height: video.videoHeight,
      number: readMarkerFromRgba(data, 360, 240) ?? null,
      // The marker's first block, white in the clip.
      corner: data[(10 * 360 + 10) * 4],
    }
  }
})()`

type Look = { width: number; height: number; number: number | null; corner: number }

async function openPage(): Promise<void> {
  page = await browser.newPage()
  await page.goto(`${stage.url}/health`)
  await page.evaluate(VIEWERS)
}
const watch = (stream: string, view: string) => page.evaluate(`watch('/whep/${stream}', '${view}')`)
const leave = (view: string) => page.evaluate(`leave('${view}')`)
const look = (view: string) => page.evaluate<Look>(`look('${view}')`)
/** Frames that carry numbers go on. */
async function goesOn(view: string): Promise<Look> {
  const first = await waitFor(`a frame of the ${view}`, async () => {
    const now = await look(view)
    return now.number !== null && now
  })
  return await waitFor(`more frames of the ${view}`, async () => {
    const now = await look(view)
    return now.number !== null && Math.abs(now.number - first.number!) > 5 && now
  })
}

const ffmpegs = () => descendants(stage.server.pid).filter(({ command }) => command.includes('ffmpeg'))

describe('the view of the input', () => {
  it('shows what comes in, small, beside the output; nothing runs for it when nobody watches', async () => {
    await stage.publish('demo', clip, { query: INVERT })
    await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 20)
    expect(ffmpegs()).toHaveLength(2)
    await openPage()
    await watch('demo', 'output')
    await watch('demo', 'input')
    const output = await goesOn('output')
    const input = await goesOn('input')
    expect(input).toMatchObject({ width: 640, height: 360 })
    expect(output).toMatchObject({ width: 1280, height: 720 })
    expect(input.corner).toBeGreaterThan(190)
    expect(output.corner).toBeLessThan(60)
    expect(Math.abs((await look('input')).number! - (await look('output')).number!)).toBeLessThan(30)
    const { egress, processes } = await stage.status('demo')
    expect(egress).toMatchObject({ viewers: 1, inputViewers: 1 })
    expect(ffmpegs()).toHaveLength(3)
    expect(isAlive(processes.inputEncoder!)).toBe(true)

    const refused = await http('POST', `${stage.url}/whep/demo?view=input`, {
      headers: { 'content-type': 'application/sdp' },
      body: 'v=0\r\n',
    })
    expect([refused.status, refused.text]).toEqual([503, expect.stringContaining('MAX_VIEWERS')])

    await leave('input')
    await waitFor('the end of its encoder', () => ffmpegs().length === 2)
    expect((await stage.status('demo')).processes.inputEncoder).toBeNull()
    await waitFor('its process to be gone', () => !isAlive(processes.inputEncoder!))
    await goesOn('output')
  })

  it('begins again after kill -9, and the output does not notice', async () => {
    await stage.publish('killed', clip, { query: INVERT })
    await openPage()
    await watch('killed', 'input')
    await goesOn('input')
    const { processes: before, dropped } = await stage.status('killed')
    process.kill(before.inputEncoder!, 'SIGKILL')
    const { processes } = await stage.waitForStatus(
      'killed',
      'another encoder',
      ({ processes }) => processes.inputEncoder !== null && processes.inputEncoder !== before.inputEncoder,
    )
    await goesOn('input')
    expect(processes.encoder).toBe(before.encoder)
    const events = await record(`${stage.url}/streams/killed/events?lastEventId=0`)
    await sleep(300)
    events.stop()
    expect(events.bytes().toString()).toContain('"type":"restart","source":"input-view","count":1')
    const after = await stage.waitForStatus('killed', 'frames that go out', ({ egress }) => egress.fps > 10)
    expect(after.state).toBe('ONLINE')
    expect(after.dropped.afterPipeline - dropped.afterPipeline).toBeLessThan(5)
  })

  it('outlives its publisher, may come before it, and follows the size of the frame', async () => {
    await openPage()
    await watch('later', 'input')
    expect((await stage.status('later')).processes.inputEncoder).toBeNull()
    const first = await stage.publish('later', clip, { query: INVERT })
    expect(await goesOn('input')).toMatchObject({ width: 640, height: 360 })
    await first.kill()
    await stage.waitForStatus('later', 'its publisher gone', ({ publishing }) => !publishing)
    const small = await stage.clip({ seconds: 30, width: 480, height: 360, fps: 30 })
    await stage.publish('later', small, { query: '?pipeline=effects' })
    await waitFor('the other size', async () => (await look('input')).width === 480)
    expect(await goesOn('input')).toMatchObject({ width: 480, height: 360 })
  })

  it('says what views there are', async () => {
    const answer = await httpJson<{ detail: string }>('POST', `${stage.url}/whep/nobody?view=both`, {
      headers: { 'content-type': 'application/sdp' },
      body: 'v=0\r\n',
    })
    expect(answer.status).toBe(400)
    expect(JSON.stringify(answer.json)).toMatch(/output.*input/)
    expect((await http('GET', `${stage.url}/streams/nobody`)).status).toBe(404)
  })

  it('leaves nothing behind', async () => {
    await openPage()
    await watch('last', 'input')
    await stage.publish('last', clip, { query: INVERT })
    await goesOn('input')
    expect(ffmpegs()).toHaveLength(3)
    expect((await http('DELETE', `${stage.url}/streams/last`)).status).toBe(200)
    expect(ffmpegs()).toEqual([])
  })
})
