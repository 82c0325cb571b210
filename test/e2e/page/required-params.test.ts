import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { http } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const FILLED = { prompt: 'a blue door', seed: 7, style: 'oil' }

let server: TestServer
let browser: Browser
let page: Page
let folder: string
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
  await page.screenshot({ path: `${ARTEFACTS}/${name}.png`, fullPage: true })
  await page.setViewportSize({ width: 390, height: 844 })
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBe(0)
  await page.screenshot({ path: `${ARTEFACTS}/${name}-phone.png`, fullPage: true })
  await page.setViewportSize({ width: 1440, height: 900 })
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
