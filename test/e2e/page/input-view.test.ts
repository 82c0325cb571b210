import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { PAGE_VIEWERS, type PageLook } from '../../helpers/browser/page-viewers.ts'
import { record } from '../../helpers/media/record.ts'
import { descendants, isAlive } from '../../helpers/nothing-left.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const OFFER = readFileSync(join(import.meta.dirname, '../../unit/webrtc/offers/whep-chrome.sdp'), 'utf8')
const INVERT = `?pipeline=effects&params=${encodeURIComponent('{"effect":"invert","strength":1}')}`

let stage: Stage
let browser: Browser
let page: Page
let clip: string
beforeAll(async () => {
  stage = await setStage({ env: { MAX_VIEWERS: '2', STREAM_LINGER_SECONDS: '20' } })
  browser = await launchChromium()
  clip = await stage.clip({ seconds: 90, width: 1280, height: 720, fps: 15 })
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

async function openPage(): Promise<void> {
  page = await browser.newPage()
  await page.goto(`${stage.url}/health`)
  await page.evaluate(PAGE_VIEWERS)
}
/** WHEP URL of the stream under test. */
let whep: string
const watch = (stream: string, view: string) => {
  whep = `/whep/${stream}`
  return page.evaluate(`watch('${whep}?view=${view}')`)
}
const leave = (view: string) => page.evaluate(`leave('${whep}?view=${view}')`)
const look = (view: string) => page.evaluate<PageLook | null>(`look('${whep}?view=${view}')`)
/** Waits until frames with rising numbers are shown. */
async function goesOn(view: string): Promise<PageLook> {
  const first = await waitFor(`a frame of the ${view}`, async () => {
    const now = await look(view)
    return now !== null && now.number !== null && now
  })
  return await waitFor(`more frames of the ${view}`, async () => {
    const now = await look(view)
    return now !== null && now.number !== null && Math.abs(now.number - first.number!) > 5 && now
  })
}

const ffmpegs = () => descendants(stage.server.pid).filter(({ command }) => command.includes('ffmpeg'))

describe('the view of the input', () => {
  it('is shown small beside the output, and uses no encoder while nobody watches', async () => {
    await stage.publish('demo', clip, { query: INVERT })
    await stage.waitForStatus('demo', 'the pipeline', ({ inference }) => inference.fps > 5)
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
    expect(Math.abs((await look('input'))!.number! - (await look('output'))!.number!)).toBeLessThan(30)
    const { egress, processes } = await stage.status('demo')
    expect(egress).toMatchObject({ viewers: 1, inputViewers: 1 })
    expect(ffmpegs()).toHaveLength(3)
    expect(isAlive(processes.inputEncoder!)).toBe(true)

    const refused = await http('POST', `${stage.url}/whep/demo?view=input`, {
      headers: { 'content-type': 'application/sdp' },
      body: OFFER,
    })
    expect([refused.status, refused.text]).toEqual([503, expect.stringContaining('MAX_VIEWERS')])

    await leave('input')
    await waitFor('the end of its encoder', () => ffmpegs().length === 2)
    expect((await stage.status('demo')).processes.inputEncoder).toBeNull()
    await waitFor('its process to be gone', () => !isAlive(processes.inputEncoder!))
    await goesOn('output')
  })

  it('restarts after kill -9 without interrupting the output', async () => {
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
    await waitFor('the event', () => events.bytes().includes('"type":"restart","source":"input-view","count":1'))
    events.stop()
    const after = await stage.waitForStatus('killed', 'frames that go out', ({ egress }) => egress.fps > 5)
    // A busy machine may receive fewer frames than the publisher announces.
    expect(['ONLINE', 'DEGRADED_INPUT']).toContain(after.state)
    expect(after.dropped.afterPipeline - dropped.afterPipeline).toBeLessThan(5)
  })

  it('outlives its publisher, may be opened before it, and follows the size of the frame', async () => {
    await openPage()
    await watch('later', 'input')
    expect((await stage.status('later')).processes.inputEncoder).toBeNull()
    const first = await stage.publish('later', clip, { query: INVERT })
    expect(await goesOn('input')).toMatchObject({ width: 640, height: 360 })
    await first.kill()
    await stage.waitForStatus('later', 'its publisher gone', ({ publishing }) => !publishing)
    const small = await stage.clip({ seconds: 30, width: 480, height: 360, fps: 30 })
    await stage.publish('later', small, { query: '?pipeline=effects' })
    await waitFor('the other size', async () => (await look('input'))?.width === 480)
    expect(await goesOn('input')).toMatchObject({ width: 480, height: 360 })
  })

  it('an unknown view is refused with the list of views', async () => {
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
