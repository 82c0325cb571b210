import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const FILLED = { prompt: 'a blue door', seed: 7, style: 'oil' }

let server: TestServer
let browser: Browser
let page: Page
let folder: string
/** Watches the stream `demo` by WHEP. */
const PAGE_VIEWER = `(async () => {
  const peer = globalThis.peer = new RTCPeerConnection()
  const video = globalThis.video = document.body.appendChild(document.createElement('video'))
  video.muted = video.autoplay = true
  peer.addTransceiver('video', { direction: 'recvonly' })
  peer.ontrack = ({ track }) => { video.srcObject = new MediaStream([track]) }
  await peer.setLocalDescription()
  const body = peer.localDescription.sdp
  const answer = await fetch('/whep/demo', { method: 'POST', body, headers: { 'content-type': 'application/sdp' } })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
})()`
const complaints: string[] = []

beforeAll(async () => {
  mkdirSync(ARTEFACTS, { recursive: true })
  folder = mkdtempSync(join(tmpdir(), 'mr-required-'))
  server = await startServer({ env: { PIPELINE_DIR: FIXTURES, ...SMALL_FRAMES } })
  browser = await launchChromium()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage()
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
})
afterEach(async () => {
  await page.context().close()
  await http('DELETE', `${server.url}/streams/demo`)
  await waitFor('the end', async () => (await http('GET', `${server.url}/streams/demo`)).status === 404)
  expect(complaints).toEqual([])
})

const required = () => page.getByRole('region', { name: 'Required params' })
const field = (name: string) => required().locator(`.field[data-param="${name}"]`)
const press = (name: string) => page.getByRole('button', { name, exact: true }).click()

async function choose(pipeline = 'required-params'): Promise<void> {
  await page.goto(server.url)
  // As written, also while a start that is refused is in the list of streams.
  await page.getByLabel('Stream name').fill('demo')
  await page.getByLabel('Pipeline', { exact: true }).selectOption(pipeline)
}

async function fill(): Promise<void> {
  await required().getByLabel('Prompt').fill(FILLED.prompt)
  await required().getByLabel('Seed', { exact: true }).fill(String(FILLED.seed))
  await required().getByRole('radio', { name: 'Oil' }).check()
}

/** The params of the stream, once the page shows it. */
async function started(): Promise<Record<string, unknown>> {
  await page.waitForURL('**/?stream=demo', { timeout: 60_000 })
  await page.locator('.pill', { hasText: 'Live' }).waitFor({ timeout: 60_000 })
  return JSON.parse((await http('GET', `${server.url}/streams/demo/params`)).text).params
}

async function shoot(name: string): Promise<void> {
  for (const [size, width, height] of [
    ['phone', 390, 844],
    ['desktop', 1440, 900],
  ] as const) {
    await page.setViewportSize({ width, height })
    expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBe(0)
    for (const colorScheme of ['dark', 'light'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' })
      await page.screenshot({ path: `${ARTEFACTS}/${name}-${size}-${colorScheme}.png`, fullPage: true })
    }
  }
}

type Status = { pipeline: string; params: { revision: number; value: Record<string, unknown> } }

const statusNow = async () => (await httpJson<Status>('GET', `${server.url}/streams/demo`)).json
const onAir = (pipeline: string) => waitFor(pipeline, async () => (await statusNow()).pipeline === pipeline)
const chosen = () => page.getByLabel('Pipeline', { exact: true })
/** The params of the pipeline on air. */
const panel = (param: string) => page.locator(`.params > .field[data-param="${param}"]`)
const swapElsewhere = async (pipeline: string, params?: object) =>
  expect((await http('PUT', `${server.url}/streams/demo/pipeline`, { body: { pipeline, params } })).status).toBe(200)

/** Opens the page of a stream with the pipeline `effects`. */
async function openRunning(): Promise<void> {
  expect((await http('POST', `${server.url}/test-pattern/demo?pipeline=effects`)).status).toBe(201)
  await page.goto(`${server.url}/?stream=demo`)
  await panel('effect').waitFor()
}

it('the start page asks for params without a default, and sends them', async () => {
  await choose()
  await required().waitFor()
  expect(await required().locator('.field[data-param]').count()).toBe(3)
  await press('Test pattern')
  for (const name of ['prompt', 'seed', 'style']) await field(name).getByText('Required to start the stream.').waitFor()
  expect(
    await required()
      .getByLabel('Prompt')
      .evaluate((input) => input === document.activeElement),
  ).toBe(true)
  await shoot('required-missing')
  await fill()
  expect(await required().locator('.error:visible').count()).toBe(0)
  const [line] = await page.locator('.way .lines code').allTextContents()
  expect(line).toContain(`?pipeline=required-params&params=${encodeURIComponent(JSON.stringify(FILLED))}'`)
  await press('Test pattern')
  expect(await started()).toMatchObject({ ...FILLED, strength: 0.5 })
})

it('a pipeline without such params starts as before', async () => {
  await choose()
  await required().waitFor()
  await choose('effects')
  await required().waitFor({ state: 'hidden' })
  await press('Test pattern')
  expect(await started()).toMatchObject({ effect: 'none' })
})

it('a refusal by the pipeline is shown at its field, and can be corrected', async () => {
  await choose()
  await fill()
  await required().getByLabel('Prompt').fill('forbidden')
  await press('Test pattern')
  await field('prompt').getByText('This prompt is not allowed.').waitFor()
  expect(await page.locator('.notices > *').count()).toBe(0)
  await shoot('required-refused')
  await required().getByLabel('Prompt').fill('an open gate')
  await press('Test pattern')
  expect(await started()).toMatchObject({ prompt: 'an open gate' })
})

it('presets of the package fill the fields, and their other params are sent too', async () => {
  await choose()
  await required().getByLabel('Preset').selectOption('Red')
  expect(await required().getByLabel('Prompt').inputValue()).toBe('a red barn')
  expect(await required().getByRole('radio', { name: 'Ink' }).isChecked()).toBe(true)
  await required().getByLabel('Preset').selectOption('Calm')
  await required().getByLabel('Seed', { exact: true }).fill('12')
  await press('Test pattern')
  expect(await started()).toMatchObject({ prompt: 'a red barn', seed: 12, style: 'ink', strength: 0.2 })
})

it('a chain asks for the params of its stages', async () => {
  await choose('effects')
  await press('Add a pipeline to the chain')
  await page.getByLabel('Next pipeline').selectOption('required-params')
  await required().getByLabel('Prompt (required-params)').waitFor()
  await press('Test pattern')
  await field('style').getByText('Required to start the stream.').waitFor()
  await required().getByLabel('Prompt').fill('forbidden')
  await required().getByLabel('Seed (required-params)', { exact: true }).fill('3')
  await required().getByRole('radio', { name: 'Chalk' }).check()
  await press('Test pattern')
  await field('prompt').getByText('This prompt is not allowed.').waitFor()
  await required().getByLabel('Prompt').fill('two hills')
  await press('Test pattern')
  const params = await started()
  expect(params).toMatchObject({ 'required-params': { prompt: 'two hills', seed: 3, style: 'chalk' } })
})

const SOURCES: [source: string, start: () => Promise<unknown>][] = [
  [
    'the camera',
    async () => {
      await press('Use camera')
      await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
    },
  ],
  ['the screen', () => press('Share screen')],
  [
    'a file',
    async () => {
      const file = join(folder, 'clip.mp4')
      await makeNumberedClip({ file, seconds: 5, width: 320, height: 180, fps: 15, kbps: 300 })
      const chooser = page.waitForEvent('filechooser')
      await press('Choose a video')
      await (await chooser).setFiles(file)
    },
  ],
]

it.each(SOURCES)('%s is published with them', async (_, start) => {
  await choose()
  await fill()
  await start()
  expect(await started()).toMatchObject(FILLED)
})

it('the page of a stream that nobody publishes asks for them, and for those of the last one again', async () => {
  await page.goto(`${server.url}/?stream=demo&pipeline=required-params&params={"prompt":"a link"}`)
  await required().waitFor()
  expect(await required().getByLabel('Prompt').inputValue()).toBe('a link')
  await press('Test pattern')
  await field('seed').getByText('Required to start the stream.').waitFor()
  await fill()
  await shoot('required-vacant')
  await page.setViewportSize({ width: 390, height: 844 })
  const clipped = `(() => {
    const [screen, cover] = ['.screen', '.cover'].map((of) => document.querySelector('.frame.output ' + of))
    return cover.scrollHeight - screen.clientHeight
  })()`
  expect(await page.evaluate<number>(clipped)).toBeLessThanOrEqual(0)
  await press('Test pattern')
  await page.locator('.pill', { hasText: 'Live' }).waitFor({ timeout: 60_000 })
  await required().waitFor({ state: 'hidden' })
  await page.locator('.params > .field').first().waitFor()
  expect(JSON.parse((await http('GET', `${server.url}/streams/demo/params`)).text).params).toMatchObject(FILLED)
  await press('Stop stream')
  await required().waitFor()
  expect(await required().getByLabel('Prompt').inputValue()).toBe(FILLED.prompt)
  await press('Test pattern')
  await page.locator('.pill', { hasText: 'Live' }).waitFor({ timeout: 60_000 })
  await page.locator('.params > .field').first().waitFor()
})

it('the page of a stream for which only viewers wait offers to start it, and they see it then', async () => {
  const waiting = await page.context().newPage()
  await waiting.goto(`${server.url}/health`)
  await waiting.evaluate(PAGE_VIEWER)
  await waitFor('a stream that waits', async () => (await http('GET', `${server.url}/streams/demo`)).status === 200)
  await page.goto(`${server.url}/?stream=demo`)
  await page.getByLabel('Pipeline', { exact: true }).selectOption('required-params')
  await fill()
  await press('Test pattern')
  expect(await started()).toMatchObject(FILLED)
  await waitFor('frames at the viewer', () => waiting.evaluate<boolean>('video.currentTime > 0.5'))
})

it('a running stream is switched once the required params are given', async () => {
  await openRunning()
  await chosen().selectOption('required-params')
  await required().getByText('Until you switch, effects stays on air').waitFor()
  await press('Switch pipeline')
  for (const name of ['prompt', 'seed', 'style'])
    await field(name).getByText('Required to switch the pipeline.').waitFor()
  await shoot('switch-missing')
  // The pipeline on air still takes params.
  await panel('effect').getByRole('radio', { name: 'Grayscale' }).check()
  await waitFor('grayscale', async () => (await statusNow()).params.value.effect === 'grayscale')
  expect(await chosen().inputValue()).toBe('required-params')
  expect((await statusNow()).pipeline).toBe('effects')
  await fill()
  await shoot('switch-filled')
  await press('Switch pipeline')
  await required().waitFor({ state: 'hidden' })
  expect(await statusNow()).toMatchObject({ pipeline: 'required-params', params: { value: FILLED } })
  await panel('prompt').waitFor()
  expect(await panel('prompt').getByRole('textbox').inputValue()).toBe(FILLED.prompt)
  expect(await chosen().inputValue()).toBe('required-params')
  expect(await page.locator('.notices > *').count()).toBe(0)
  // The lines to publish to a running stream need none of them.
  expect(await lines()).not.toContain('params=')
})

it('a camera that reconnects after a switch asks for the new pipeline with its params', async () => {
  const sessions: { query: string; url: string }[] = []
  page.on('response', (answer) => {
    const { pathname, search } = new URL(answer.url())
    if (pathname !== '/whip/demo' || answer.status() !== 201) return
    sessions.push({ query: search, url: new URL(answer.headers().location!, answer.url()).href })
  })
  await choose('effects')
  await press('Use camera')
  await page.getByRole('dialog').getByRole('button', { name: 'Publish' }).click()
  await started()
  await chosen().selectOption('required-params')
  await fill()
  await press('Switch pipeline')
  await required().waitFor({ state: 'hidden' })
  await http('DELETE', sessions[0]!.url)
  await waitFor('another session', async () => sessions.length > 1)
  const query = new URLSearchParams(sessions[1]!.query)
  expect(query.get('pipeline')).toBe('required-params')
  expect(JSON.parse(query.get('params')!)).toEqual(FILLED)
})

it('a switch can be cancelled', async () => {
  await openRunning()
  const { params } = await statusNow()
  await chosen().selectOption('required-params')
  await fill()
  await press('Cancel')
  await required().waitFor({ state: 'hidden' })
  expect(await chosen().inputValue()).toBe('effects')
  expect(await chosen().evaluate((select) => select === document.activeElement)).toBe(true)
  expect(await statusNow()).toMatchObject({ pipeline: 'effects', params: { revision: params.revision } })
  // The form is empty the next time.
  await chosen().selectOption('required-params')
  expect(await required().getByLabel('Prompt').inputValue()).toBe('')
})

it('a value that a switch refuses is shown at its field, and can be corrected', async () => {
  await openRunning()
  await chosen().selectOption('required-params')
  await fill()
  await required().getByLabel('Prompt').fill('forbidden')
  await press('Switch pipeline')
  await field('prompt').getByText('This prompt is not allowed.').waitFor()
  expect(
    await required()
      .getByLabel('Prompt')
      .evaluate((input) => input === document.activeElement),
  ).toBe(true)
  await shoot('switch-refused')
  expect(await page.locator('.notices > *').count()).toBe(0)
  expect(await page.getByText('does not load').isVisible()).toBe(false)
  expect((await statusNow()).pipeline).toBe('effects')
  await required().getByLabel('Prompt').fill('an open gate')
  await press('Switch pipeline')
  await onAir('required-params')
  expect((await statusNow()).params.value).toMatchObject({ ...FILLED, prompt: 'an open gate' })
})

it('a switch to a pipeline without required params asks for nothing', async () => {
  await openRunning()
  // Another choice takes the place of one that waits for its params.
  await chosen().selectOption('required-params')
  await required().waitFor()
  await chosen().selectOption('noop')
  await onAir('noop')
  expect(await required().isVisible()).toBe(false)
  await page.getByText('noop is on air.').waitFor()
  expect(await chosen().inputValue()).toBe('noop')
})

it('the form stays while another client switches, until that is to the chosen pipeline', async () => {
  await openRunning()
  await chosen().selectOption('required-params')
  await required().getByLabel('Prompt').fill('a long road')
  await swapElsewhere('noop')
  await required().getByText('Until you switch, noop stays on air').waitFor()
  expect(await required().getByLabel('Prompt').inputValue()).toBe('a long road')
  expect(await chosen().inputValue()).toBe('required-params')
  await swapElsewhere('required-params', FILLED)
  await required().waitFor({ state: 'hidden' })
  await page.getByText('Another client has switched the stream to required-params.').waitFor()
  await panel('prompt').waitFor()
  expect(await panel('prompt').getByRole('textbox').inputValue()).toBe(FILLED.prompt)
})

it('the form for a switch becomes that for a start when the stream ends', async () => {
  await openRunning()
  await chosen().selectOption('required-params')
  await fill()
  await http('DELETE', `${server.url}/streams/demo`)
  await page.getByText('The stream has ended.').waitFor()
  await required().waitFor()
  expect(await page.getByRole('button', { name: 'Switch pipeline' }).isVisible()).toBe(false)
  expect(await required().getByLabel('Prompt').inputValue()).toBe(FILLED.prompt)
  await press('Test pattern')
  expect(await started()).toMatchObject(FILLED)
})

/** The lines for other publishers on the page of a stream. */
async function lines(): Promise<string> {
  const part = page.getByRole('region', { name: 'Watch and publish elsewhere' })
  return (await part.getByLabel(/^(ffmpeg|OBS)/).allTextContents()).join(' ')
}

it('the lines on the page of a stream that nobody publishes have the params, and no secret', async () => {
  await page.goto(`${server.url}/?stream=demo&pipeline=required-params`)
  await required().waitFor()
  const sent = (params: object) => `?pipeline=required-params&params=${encodeURIComponent(JSON.stringify(params))}`
  await required().getByLabel('Prompt').fill('a')
  expect(await lines()).toContain(`${sent({ prompt: 'a' })}' `)
  await fill()
  expect(await lines()).toContain(`/ingest/demo${sent(FILLED)}' `)
  expect(await lines()).toContain(`/whip/demo${sent(FILLED)}`)
  await chosen().selectOption('required-key')
  await required().getByLabel('Key', { exact: true }).fill('open-sesame')
  expect(await lines()).toContain(encodeURIComponent(JSON.stringify({ key: 'SECRET' })))
  expect(await page.locator('body').innerText()).not.toContain('sesame')
  await chosen().selectOption('noop')
  await required().waitFor({ state: 'hidden' })
  expect(await lines()).toMatch(/pipeline=noop'/)
})
