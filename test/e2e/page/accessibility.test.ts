import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { AXE, describeViolations, RUN_AXE, type Violation } from '../../helpers/browser/axe.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))

let stage: Stage
let browser: Browser
beforeAll(async () => {
  stage = await setStage({ env: { PIPELINE_DIR: FIXTURES } })
  browser = await launchChromium()
  const clip = await stage.clip({ seconds: 20, width: 320, height: 240, fps: 15, kbps: 300 })
  await stage.publish('demo', clip, { query: '?pipeline=effects', loop: -1 })
  await stage.publish('every', clip, { query: '?pipeline=every-param', loop: -1 })
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

const DESKTOP = { width: 1440, height: 900 }
const PHONE = { width: 390, height: 844 }
const sliders = (page: Page) => page.waitForSelector('input[type="range"]')

/** Each state of the page, with the path and the actions that lead to it. */
const STATES: [state: string, path: string, reach: (page: Page) => Promise<unknown>][] = [
  ['the start', '/', (page) => page.getByRole('heading', { name: 'Running now' }).waitFor()],
  ['a stream', '/?stream=demo', sliders],
  [
    'a stream with every kind of control, each of them open',
    '/?stream=every',
    async (page) => {
      await sliders(page)
      await page.getByText('Resolution and loading').click()
      for (const name of ['crop', 'shade']) await page.locator(`[data-param="${name}"] [role="switch"]`).first().check()
      await page.getByRole('button', { name: 'Add to regions' }).click()
    },
  ],
  [
    'a value that is refused',
    '/?stream=demo',
    async (page) => {
      await page.getByLabel('Strength, exact value').fill('7')
      await page.getByText('Between 0 and 1.').waitFor()
    },
  ],
  [
    'a start that lacks params',
    '/',
    async (page) => {
      await page.getByLabel('Pipeline', { exact: true }).selectOption('required-params')
      await page.getByRole('region', { name: 'Required params' }).waitFor()
      await page.getByRole('button', { name: 'Test pattern' }).click()
      await page.getByText('Required to start the stream.').first().waitFor()
    },
  ],
  [
    'a switch that lacks params',
    '/?stream=demo',
    async (page) => {
      await sliders(page)
      await page.getByLabel('Pipeline', { exact: true }).selectOption('required-params')
      await page.getByRole('button', { name: 'Switch pipeline' }).click()
      await page.getByText('Required to switch the pipeline.').first().waitFor()
    },
  ],
  ['a divider', '/?stream=demo&view=divider', (page) => page.getByRole('slider', { name: /^Divider/ }).waitFor()],
  ['a stream that nobody publishes', '/?stream=nobody', (page) => page.getByText('Nobody is publishing to').waitFor()],
  [
    'a stream that nobody publishes and that lacks params',
    '/?stream=nobody&pipeline=required-params',
    (page) => page.getByRole('region', { name: 'Required params' }).waitFor(),
  ],
  [
    'the choice of a camera',
    '/',
    async (page) => {
      await page.getByRole('button', { name: 'Use camera' }).click()
      await page.getByRole('dialog').waitFor()
    },
  ],
  [
    'the question for a token',
    '/',
    async (page) => {
      await page.getByRole('button', { name: 'Token' }).click()
      await page.getByRole('dialog').waitFor()
    },
  ],
  [
    'the name of a preset',
    '/?stream=demo',
    async (page) => {
      await page.getByRole('button', { name: 'Save', exact: true }).click()
      await page.getByRole('dialog').waitFor()
    },
  ],
]

it.each(STATES)(
  'axe reports nothing on %s, light and dark, each at desktop and phone width',
  async (_, path, reach) => {
    // The CSP of the page blocks foreign scripts, axe among them.
    const context = await browser.newContext({ viewport: DESKTOP, bypassCSP: true, reducedMotion: 'reduce' })
    const page = await context.newPage()
    await page.goto(`${stage.url}${path}`)
    await reach(page)
    for (const viewport of [DESKTOP, PHONE]) {
      await page.setViewportSize(viewport)
      for (const colorScheme of ['light', 'dark'] as const) {
        await page.emulateMedia({ colorScheme })
        expect
          .soft(describeViolations(await violations(page)), `${colorScheme}, ${viewport.width} pixels wide`)
          .toEqual([])
      }
    }
    await context.close()
  },
  90_000,
)

it('every control is reachable by keyboard and shows its focus', async () => {
  const page = await (await browser.newContext({ viewport: DESKTOP })).newPage()
  await page.goto(`${stage.url}/?stream=demo&view=divider`)
  await sliders(page)
  const seen = new Set<string>()
  for (let presses = 0; presses < 120; presses++) {
    await page.keyboard.press('Tab')
    const [name, visible] = await page.evaluate<[string, boolean]>(`(() => {
      const element = document.activeElement
      const box = element.getBoundingClientRect()
      const name = element.getAttribute('aria-label') ?? element.labels?.[0]?.textContent ?? element.textContent
      return [name.trim(), box.width > 0 && box.height > 0]
    })()`)
    expect([name, visible]).toEqual([name, true])
    seen.add(name)
  }
  for (const name of [/^Divider/, /^Stop stream/, /^Strength$/, /^Preset$/, /^Reset all/, /^Copy WHEP/])
    expect(
      [...seen].some((one) => name.test(one)),
      `${name} among ${[...seen].join('; ')}`,
    ).toBe(true)
  await page.context().close()
})

async function violations(page: Page): Promise<Violation[]> {
  await page.evaluate(AXE)
  return await page.evaluate<Violation[]>(RUN_AXE)
}
