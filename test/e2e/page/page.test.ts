import { mkdirSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const OUTPUT = 'video[data-role="output"]'
const INPUT = 'video[data-role="input"]'
const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))

let browser: Browser
/** Shared by all tests that need no settings of their own; each one leaves it without a stream. */
let server: TestServer
let page: Page
const complaints: string[] = []

beforeAll(async () => {
  mkdirSync(ARTEFACTS, { recursive: true })
  browser = await launchChromium()
  server = await startServer({ env: SMALL_FRAMES })
})
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})
afterEach(async () => {
  await page?.context().close()
  await fetch(`${server.url}/streams/demo`, { method: 'DELETE' })
  await waitFor('the end of the stream', async () => (await fetch(`${server.url}/streams/demo`)).status === 404)
})

async function open(url: string, viewport = { width: 1440, height: 900 }): Promise<Page> {
  const context = await browser.newContext({ viewport })
  page = await context.newPage()
  complaints.length = 0
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.goto(url)
  return page
}

const shown = () =>
  page.evaluate<number>(`document.querySelector('${OUTPUT}')?.getVideoPlaybackQuality().totalVideoFrames ?? 0`)

async function framesAdvance(): Promise<void> {
  const before = await waitFor('a first frame', shown)
  await waitFor('more frames', async () => (await shown()) > before + 15)
}

/** Colourfulness of a frame: mean difference between the largest and smallest of red, green and blue. */
const colour = (video = OUTPUT) =>
  page.evaluate<number>(`(() => {
    const canvas = new OffscreenCanvas(64, 36)
    const context = canvas.getContext('2d', { willReadFrequently: true })
    context.drawImage(document.querySelector('${video}'), 0, 0, 64, 36)
    const { data } = context.getImageData(0, 0, 64, 36)
    let sum = 0
    for (let at = 0; at < data.length; at += 4) {
      const rgb = data.subarray(at, at + 3)
      sum += Math.max(...rgb) - Math.min(...rgb)
    }
    return sum / (64 * 36)
  })()`)

const statusOf = async (server: TestServer) =>
  (await (await fetch(`${server.url}/streams/demo`)).json()) as {
    pipeline: string
    startedAt: string
    params: { value: Record<string, unknown> }
    egress: { inputViewers: number }
  }

const inputViewers = async (server: TestServer) => (await statusOf(server)).egress.inputViewers

/** While the stream of the test before closes, the server answers that it may be tried again. */
async function startPattern(query = ''): Promise<void> {
  await waitFor('the test pattern', async () => {
    const answer = await fetch(`${server.url}/test-pattern/demo${query}`, { method: 'POST' })
    if (answer.status !== 201) throw new Error(`${answer.status} ${await answer.text()}`)
    return true
  })
}

async function useCamera(): Promise<void> {
  await page.getByRole('button', { name: 'Use camera' }).click()
  await page.getByRole('button', { name: 'Publish', exact: true }).click()
}

describe('the page', () => {
  it('takes a new user from nothing to a frame whose effect they change', async () => {
    await open(server.url)
    await page.getByLabel('Pipeline', { exact: true }).selectOption('effects')
    await page.getByRole('button', { name: 'Test pattern' }).click()
    await page.waitForURL('**/?stream=demo')
    await framesAdvance()
    const colourful = await waitFor('a colourful frame', async () => {
      const now = await colour()
      return now > 60 && now
    })

    await page.getByRole('radio', { name: 'Grayscale' }).check()
    await waitFor('a gray frame', async () => (await colour()) < 15)
    await page.getByText(/Applied, revision \d+/).waitFor()
    await page.getByRole('slider', { name: 'Strength' }).fill('0')
    await waitFor('the colours to come back', async () => (await colour()) > colourful * 0.7)

    const strength = page.getByLabel('Strength, exact value')
    await strength.fill('7')
    await page.getByText('Between 0 and 1.').waitFor()
    expect((await statusOf(server)).params.value).toMatchObject({ effect: 'grayscale', strength: 0 })
    await page.getByRole('button', { name: 'Reset Effect to its default' }).click()
    await waitFor('the reset', async () => (await statusOf(server)).params.value.effect === 'none')

    const figures = page.getByRole('region', { name: 'How it runs' })
    const tile = (title: string) => figures.locator('.tile', { hasText: title }).locator('.tile-value').textContent()
    await waitFor('frames per second', async () => Number(await tile('Frames per second')) > 5)
    expect(Number(await tile('Added latency'))).toBeGreaterThan(0)
    await page
      .getByRole('list', { name: 'Events, newest first' })
      .getByText(/Params applied/)
      .first()
      .waitFor()
    await page.screenshot({ path: `${ARTEFACTS}/stream.png` })

    const { startedAt } = await statusOf(server)
    await page.evaluate(`document.querySelector('${OUTPUT}').before = true`)
    await page.getByLabel('Pipeline', { exact: true }).selectOption('noop')
    await waitFor('the other pipeline', async () => (await statusOf(server)).pipeline === 'noop')
    await framesAdvance()
    // The same stream in the same player, without an interruption.
    expect((await statusOf(server)).startedAt).toBe(startedAt)
    expect(
      await page.evaluate(`document.querySelector('${OUTPUT}').before && !document.querySelector('${OUTPUT}').paused`),
    ).toBe(true)
    await page.getByText('noop is on air.').waitFor()

    await page.getByRole('button', { name: 'Add a pipeline to the chain' }).click()
    await page.getByLabel('Next pipeline').selectOption('effects')
    await waitFor('the chain', async () => (await statusOf(server)).pipeline === 'noop,effects')
    await page.getByRole('radio', { name: 'Grayscale' }).check()
    await waitFor('a gray frame', async () => (await colour()) < 15)
    expect((await statusOf(server)).params.value).toMatchObject({ effects: { effect: 'grayscale' } })
    await page.getByRole('button', { name: 'Remove this pipeline' }).click()
    await waitFor('noop alone', async () => (await statusOf(server)).pipeline === 'noop')

    await page.getByRole('button', { name: 'Stop stream' }).click()
    await page.getByText('The stream has ended.').waitFor()
    expect(complaints).toEqual([])
  }, 120_000)

  it('publishes the camera and shows input and output side by side', async () => {
    await open(server.url)
    await page.getByLabel('Pipeline', { exact: true }).selectOption('effects')
    await useCamera()
    await page.waitForURL('**/?stream=demo')
    await framesAdvance()
    await page.getByRole('figure', { name: 'Input' }).waitFor()
    await waitFor('the input beside it', () =>
      page.evaluate<boolean>(`document.querySelector('${INPUT}').videoWidth > 0`),
    )
    // The view is local to the page, so the server counts no input viewer.
    expect(await inputViewers(server)).toBe(0)
    const { ingest } = (await (await fetch(`${server.url}/streams/demo`)).json()) as { ingest: { kind: string } }
    expect(ingest.kind).toBe('whip')
    await waitFor('a colourful frame', async () => (await colour()) > 40)
    await page.getByRole('radio', { name: 'Grayscale' }).check()
    await waitFor('a gray frame', async () => (await colour()) < 15)
    await page.screenshot({ path: `${ARTEFACTS}/camera.png` })
    await page.getByRole('button', { name: 'Stop stream' }).click()
    await page.getByText('The stream has ended.').waitFor()
    await page.getByRole('figure', { name: 'Input' }).waitFor({ state: 'hidden' })
    expect(complaints).toEqual([])
  }, 120_000)

  it('lists cameras and microphones by name, and handles a denied permission', async () => {
    await open(server.url)
    await page.getByRole('button', { name: 'Use camera' }).click()
    const dialog = page.getByRole('dialog', { name: 'Publish from this camera' })
    const names = (label: string) => dialog.getByLabel(label).locator('option').allTextContents()
    await expect.poll(() => names('Camera'), { timeout: 20_000 }).toEqual(['fake_device_0'])
    await expect.poll(() => names('Microphone'), { timeout: 20_000 }).toContain('Fake Audio Input 2')
    await dialog.getByLabel('Microphone').selectOption('No audio')
    await waitFor('the preview', () => page.evaluate<boolean>(`document.querySelector('dialog video').videoWidth > 0`))
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    expect(new URL(page.url()).search).toBe('')

    await page.getByRole('button', { name: 'Use camera' }).click()
    await dialog.getByLabel('Microphone').selectOption('Fake Audio Input 2')
    await dialog.getByRole('button', { name: 'Publish', exact: true }).click()
    await framesAdvance()
    await page.getByRole('button', { name: 'Stop stream' }).click()
    await page.getByText('The stream has ended.').waitFor()
    // The selection is remembered.
    await page.getByRole('button', { name: 'Use camera' }).click()
    expect(await dialog.getByLabel('Microphone').locator('option:checked').textContent()).toBe('Fake Audio Input 2')
    await dialog.getByRole('button', { name: 'Publish', exact: true }).click()
    await framesAdvance()
    expect(complaints).toEqual([])
  }, 120_000)

  it('publishes the screen', async () => {
    await open(server.url)
    await page.getByRole('button', { name: 'Share screen' }).click()
    await page.waitForURL('**/?stream=demo')
    await framesAdvance()
    await page.getByRole('figure', { name: 'Input' }).waitFor()
    expect(complaints).toEqual([])
  }, 120_000)

  it('shows the input of any stream beside its output, as long as somebody watches it', async () => {
    const params = encodeURIComponent('{"effect":"grayscale","strength":1}')
    await startPattern(`?pipeline=effects&params=${params}`)
    await open(`${server.url}/?stream=demo`)
    await framesAdvance()
    await waitFor('a colourful input', async () => (await colour(INPUT)) > 60)
    await waitFor('a gray output', async () => (await colour()) < 15)
    expect(await inputViewers(server)).toBe(1)
    await page.screenshot({ path: `${ARTEFACTS}/pair.png` })

    const figure = page.getByRole('figure', { name: 'Input' })
    await page.getByRole('button', { name: 'Hide the input' }).focus()
    await page.keyboard.press('Enter')
    await figure.waitFor({ state: 'hidden' })
    await waitFor('the server to be left alone', async () => (await inputViewers(server)) === 0)
    await page.reload()
    await framesAdvance()
    expect(await figure.isVisible()).toBe(false)
    expect(await inputViewers(server)).toBe(0)
    await page.getByRole('button', { name: 'Show the input' }).click()
    await waitFor('the input again', async () => (await colour(INPUT)) > 60)

    await fetch(`${server.url}/streams/demo`, { method: 'DELETE' })
    await page.getByText('The stream has ended.').waitFor()
    await figure.waitFor({ state: 'hidden' })
    expect(complaints).toEqual([])
  }, 120_000)

  it('shows one view on a phone until the other is selected', async () => {
    await startPattern()
    await open(`${server.url}/?stream=demo`, { width: 390, height: 844 })
    await framesAdvance()
    expect(await inputViewers(server)).toBe(0)
    await page.getByRole('button', { name: 'Show the input' }).click()
    await waitFor('the input', async () => (await colour(INPUT)) > 60)
    expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0)
  }, 120_000)

  it('publishes again when the server is back, but not after the user stopped the stream', async () => {
    const first = await startServer({ env: SMALL_FRAMES })
    await open(first.url)
    await useCamera()
    await framesAdvance()
    await first.stop()
    const figure = page.getByRole('figure', { name: 'Input' })
    await figure.getByText('The connection was lost. Publishing again…').waitFor()
    await using second = await startServer({ env: { ...SMALL_FRAMES, PORT: new URL(first.url).port } })
    await figure.getByText('The connection was lost.').waitFor({ state: 'hidden' })
    await waitFor('the stream', async () => (await fetch(`${second.url}/streams/demo`)).ok)
    await framesAdvance()

    expect((await fetch(`${second.url}/streams/demo`, { method: 'DELETE' })).status).toBe(200)
    await page.getByText('The stream has ended.').waitFor()
    await figure.waitFor({ state: 'hidden' })
    await sleep(3000)
    expect((await fetch(`${second.url}/streams/demo`)).status).toBe(404)
    expect(complaints).toEqual([])
  }, 120_000)

  it('uses the ICE servers that the server lists', async () => {
    const iceServers = [
      { urls: 'stun:127.0.0.1:9' },
      { urls: 'turn:127.0.0.1:9?transport=udp', username: 'me', credential: 'a "word"' },
    ]
    await using server = await startServer({ env: { ...SMALL_FRAMES, ICE_SERVERS: JSON.stringify(iceServers) } })
    await open(server.url)
    await page.evaluate(`(() => {
      const Real = RTCPeerConnection
      window.peers = []
      window.RTCPeerConnection = class extends Real {
        constructor(...options) {
          super(...options)
          peers.push(this)
        }
      }
    })()`)
    await useCamera()
    await framesAdvance()
    const used = await page.evaluate<RTCIceServer[][]>('peers.map((peer) => peer.getConfiguration().iceServers)')
    // One connection publishes, one watches.
    expect(used.map((servers) => servers.map(({ urls }) => [urls].flat()))).toEqual(
      Array(2).fill([['stun:127.0.0.1:9'], ['turn:127.0.0.1:9?transport=udp']]),
    )
    expect(used[0]?.[1]).toMatchObject({ username: 'me', credential: 'a "word"' })
  }, 120_000)

  it('reports when the server is unreachable, and continues when it is back', async () => {
    const first = await startServer({ env: SMALL_FRAMES })
    await open(first.url)
    await page.getByRole('button', { name: 'Test pattern' }).click()
    await framesAdvance()
    await first.stop()
    await page.getByText('The server does not answer. This page keeps retrying.').waitFor()
    await using _second = await startServer({ env: { ...SMALL_FRAMES, PORT: new URL(first.url).port } })
    await page.getByRole('button', { name: 'Test pattern' }).click()
    await framesAdvance()
    await page.getByRole('status').getByText('The server does not answer').waitFor({ state: 'hidden' })
    expect(complaints).toEqual([])
  }, 120_000)

  it('asks for the token, again when it is wrong, and uses it', async () => {
    await using server = await startServer({ env: { ...SMALL_FRAMES, AUTH_TOKEN: 'right-token' } })
    await open(server.url)
    await page.getByRole('button', { name: 'Test pattern' }).click()
    const dialog = page.getByRole('dialog')
    await dialog.getByLabel('Token').fill('wrong-token')
    await dialog.getByRole('button', { name: 'Use token' }).click()
    await page
      .getByText(/A token is required|is wrong/)
      .first()
      .waitFor()
    if (!(await dialog.isVisible())) await page.getByRole('button', { name: 'Test pattern' }).click()
    await dialog.getByLabel('Token').fill('right-token')
    await dialog.getByRole('button', { name: 'Use token' }).click()
    await page.waitForURL('**/?stream=demo')
    await framesAdvance()
    expect(complaints).toEqual([])
  }, 120_000)

  it.each([
    ['store', 1440, 900],
    ['tablet', 820, 1180],
    ['phone', 390, 844],
  ])('fits a %s', async (name, width, height) => {
    for (const [view, path] of [
      ['start', '/'],
      ['waiting', '/?stream=nobody'],
    ]) {
      await open(`${server.url}${path}`, { width, height })
      await page.getByRole('heading', { level: 1 }).waitFor()
      await page.getByLabel('Pipeline', { exact: true }).locator('option').first().waitFor({ state: 'attached' })
      const beyond = await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
      expect(beyond).toBeLessThanOrEqual(0)
      await page.screenshot({ path: `${ARTEFACTS}/${view}-${name}.png`, fullPage: true })
      expect(complaints).toEqual([])
      await page.context().close()
    }
  })
})
