import { mkdirSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, BrowserContextOptions, Locator, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { READ_MARKER_SOURCE } from '../../helpers/marker.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { startPublisher } from '../../helpers/media/publish.ts'
import { http } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
const GRAY = { effect: 'grayscale', strength: 1 }

let server: TestServer
let browser: Browser
let folder: string
const complaints: string[] = []

beforeAll(async () => {
  mkdirSync(ARTEFACTS, { recursive: true })
  folder = await mkdtemp(join(tmpdir(), 'mr-compare-'))
  server = await startServer({ env: { PIPELINE_DIR: FIXTURES, MAX_STREAMS: '8', ...SMALL_FRAMES } })
  browser = await launchChromium()
  await http(
    'POST',
    `${server.url}/test-pattern/demo?pipeline=effects&params=${encodeURIComponent(JSON.stringify(GRAY))}`,
  )
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})
afterEach(async () => {
  for (const context of browser.contexts()) await context.close()
})

async function open(path: string, options: BrowserContextOptions = {}): Promise<Page> {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, ...options })
  const page = await context.newPage()
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.goto(path.startsWith('http') ? path : `${server.url}${path}`)
  return page
}

/** Colourfulness of the left and the right half of an element in a screenshot. */
async function halves(of: Locator): Promise<[left: number, right: number]> {
  const png = (await of.screenshot()).toString('base64')
  return await of.page().evaluate<[number, number]>(`(async () => {
    const image = new Image()
    image.src = 'data:image/png;base64,${png}'
    await image.decode()
    const canvas = new OffscreenCanvas(64, 36)
    const context = canvas.getContext('2d')
    context.drawImage(image, 0, 0, 64, 36)
    const half = (x) => {
      const { data } = context.getImageData(x, 8, 28, 20)
      let sum = 0
      for (let at = 0; at < data.length; at += 4) {
        const rgb = data.subarray(at, at + 3)
        sum += Math.max(...rgb) - Math.min(...rgb)
      }
      return sum / (28 * 20)
    }
    return [half(0), half(36)]
  })()`)
}

const paramsOf = async (name: string) => {
  const { status, text } = await http('GET', `${server.url}/streams/${name}/params`)
  return status === 200 ? (JSON.parse(text).params as Record<string, unknown>) : undefined
}
const at = async (divider: Locator) => Number(await divider.getAttribute('aria-valuenow'))

it('the input covers the output up to a divider moved by mouse and keys; its position is in the URL', async () => {
  const page = await open('/?stream=demo')
  await page.getByRole('button', { name: 'Compare input and output with a divider' }).click()
  const divider = page.getByRole('slider', { name: /^Divider/ })
  const stage = page.locator('.stage')
  await waitFor(
    'colour to the left and gray to the right',
    async () => {
      const [left, right] = await halves(stage)
      return left > 50 && right < 20
    },
    { limitMs: 60_000 },
  )
  await page.screenshot({ path: `${ARTEFACTS}/divider.png` })

  await divider.focus()
  await page.keyboard.press('ArrowRight')
  expect(await at(divider)).toBe(52)
  await page.keyboard.press('End')
  expect(await at(divider)).toBe(100)
  await waitFor('colour all over', async () => Math.min(...(await halves(stage))) > 50)
  await page.keyboard.press('Home')
  await page.keyboard.press('PageUp')
  expect(await at(divider)).toBe(10)

  const box = await stage.boundingBox()
  const grip = await divider.boundingBox()
  if (!box || !grip) throw new Error('the divider is not shown')
  await page.mouse.move(grip.x + grip.width / 2, box.y + 40)
  await page.mouse.down()
  await page.mouse.move(box.x + box.width * 0.7, box.y + 60, { steps: 5 })
  await page.mouse.up()
  expect(await at(divider)).toBe(70)
  expect(new URL(page.url()).searchParams.get('view')).toBe('divider')
  expect(new URL(page.url()).searchParams.get('split')).toBe('70')
  await page.reload()
  await divider.waitFor()
  expect(await at(divider)).toBe(70)
  await page.getByRole('button', { name: 'Show input and output side by side' }).click()
  await divider.waitFor({ state: 'hidden' })
  expect(new URL(page.url()).searchParams.get('view')).toBe('pair')
  expect(complaints).toEqual([])
}, 150_000)

it('both sides of the divider show the same frame, however late the pipeline is', async () => {
  const clip = join(folder, 'numbered.ts')
  await makeNumberedClip({ file: clip, seconds: 20, width: 320, height: 240, fps: 15, kbps: 400 })
  const params = encodeURIComponent(JSON.stringify({ frame_ms: 250 }))
  const url = `${server.url}/ingest/late?pipeline=slow&params=${params}`
  await using _publisher = await startPublisher({ input: clip, url, loop: -1 })
  const page = await open('/?stream=late&view=divider')
  await page.locator('[data-role="matched-input"][data-match="same"]').waitFor({ timeout: 45_000 })
  // For each output frame: its number, that of the input drawn over it, and that of the live input.
  await page.evaluate(`(() => {
    ${READ_MARKER_SOURCE}
    const at = (role) => document.querySelector('[data-role="' + role + '"]')
    const canvas = new OffscreenCanvas(360, 240)
    const context = canvas.getContext('2d', { willReadFrequently: true })
    const number = (image) => {
      context.drawImage(image, 0, 0, 360, 240)
      return readMarkerFromRgba(context.getImageData(0, 0, 360, 240).data, 360, 240) ?? null
    }
    globalThis.seen = []
    const look = () => {
      at('output').requestVideoFrameCallback(look)
      const { match } = at('matched-input').dataset
      seen.push({ match, output: number(at('output')), matched: number(at('matched-input')), input: number(at('input')) })
    }
    look()
  })()`)
  type Seen = { match: string; output: number | null; matched: number | null; input: number | null }
  const same = await waitFor('frames of both', async () => {
    const all = await page.evaluate<Seen[]>('seen')
    const same = all.filter(({ match, output, matched }) => match === 'same' && output !== null && matched !== null)
    return same.length >= 12 && same
  })
  // One more frame may have been shown by the time it is read.
  const equal = same.filter(({ output, matched }) => output === matched)
  expect(equal.length / same.length).toBeGreaterThan(0.7)
  expect(same.some(({ input, matched }) => input !== matched)).toBe(true)
  expect(complaints).toEqual([])
}, 120_000)

it('a finger moves it on a phone', async () => {
  const page = await open('/?stream=demo&view=divider&split=30', {
    viewport: { width: 390, height: 844 },
    hasTouch: true,
  })
  const divider = page.getByRole('slider', { name: /^Divider/ })
  await divider.waitFor({ timeout: 30_000 })
  const [box, grip] = [await page.locator('.stage').boundingBox(), await divider.boundingBox()]
  if (!box || !grip) throw new Error('the divider is not shown')
  const touch = await page.context().newCDPSession(page)
  const y = Math.round(grip.y + grip.height / 2)
  const points = (x: number) => ({ touchPoints: [{ x: Math.round(x), y }] })
  await touch.send('Input.dispatchTouchEvent', { type: 'touchStart', ...points(grip.x + grip.width / 2) })
  for (const share of [0.4, 0.6, 0.8])
    await touch.send('Input.dispatchTouchEvent', { type: 'touchMove', ...points(box.x + box.width * share) })
  await touch.send('Input.dispatchTouchEvent', { type: 'touchEnd', touchPoints: [] })
  await waitFor('it to follow', async () => Math.abs((await at(divider)) - 80) <= 1)
  await page.screenshot({ path: `${ARTEFACTS}/divider-phone.png` })
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0)
  expect(complaints).toEqual([])
})

it('a link carries view and params: offered for a running stream, used for one started from it', async () => {
  const page = await open('/?stream=demo&view=divider&split=25')
  const line = page.getByRole('textbox', { name: 'This page with its view and params' })
  await waitFor('the params in the link', async () => {
    await line.hover()
    return (await line.textContent())?.includes('grayscale')
  })
  const link = new URL((await line.textContent()) ?? '')
  expect(JSON.parse(link.searchParams.get('params') ?? '')).toEqual({ effect: 'grayscale' })

  await http('PATCH', `${server.url}/streams/demo/params`, { body: { effect: 'invert' } })
  const other = await open(link.href)
  expect(await at(other.getByRole('slider', { name: /^Divider/ }))).toBe(25)
  await other.getByText('This link contains params: Effect.').waitFor()
  expect(await paramsOf('demo')).toMatchObject({ effect: 'invert' })
  await other.getByRole('button', { name: 'Apply them' }).click()
  await waitFor('them in force', async () => (await paramsOf('demo'))?.effect === 'grayscale')

  link.searchParams.set('stream', 'fresh')
  await other.goto(link.href)
  await other.getByRole('button', { name: 'Test pattern' }).click()
  await waitFor('a stream with them', async () => (await paramsOf('fresh'))?.effect === 'grayscale')
  await http('DELETE', `${server.url}/streams/fresh`)
  expect(complaints).toEqual([])
}, 120_000)

it('the charts start with the history the server keeps', async () => {
  const history = async () => JSON.parse((await http('GET', `${server.url}/streams/demo/history`)).text)
  await waitFor('some history', async () => (await history()).samples.egressFps.length > 12, { limitMs: 60_000 })
  const known = await history()
  const lengths = Object.values<number[]>(known.samples).map(({ length }) => length)
  expect(new Set(lengths).size).toBe(1)
  expect(known.states.map(({ state }: { state: string }) => state)).toContain('ONLINE')

  const page = await open('/?stream=demo')
  const figures = page.getByRole('region', { name: 'How it runs' })
  const points = () =>
    figures
      .locator('.plot')
      .first()
      .evaluate((path) => path.getAttribute('d')?.split('L').length ?? 0)
  await waitFor('the chart', async () => (await points()) > 0)
  await waitFor('its past', async () => (await points()) >= known.samples.egressFps.length)
  // On a busy machine the state may change; its age still counts from its start, not from the page load.
  await waitFor('the state’s age', async () => {
    const { stateSince } = JSON.parse((await http('GET', `${server.url}/streams/demo`)).text)
    const shown = await figures.getByText(/^for \d+:\d\d$/).textContent()
    const [minutes = 0, seconds = 0] = (shown ?? '').replace('for ', '').split(':').map(Number)
    const age = (Date.now() - Date.parse(stateSince)) / 1000
    return age > 4 && Math.abs(age - (minutes * 60 + seconds)) < 3
  })
  expect(complaints).toEqual([])
}, 120_000)
