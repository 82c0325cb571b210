import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../helpers/chromium.ts'
import { type Stage, setStage } from '../helpers/stage.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

type Violation = { id: string; impact: string; help: string; nodes: { target: string[]; failureSummary: string }[] }

let stage: Stage
let browser: Browser
beforeAll(async () => {
  stage = await setStage()
  browser = await launchChromium()
  const clip = await stage.clip({ seconds: 60, width: 320, height: 240, fps: 15, kbps: 300 })
  await stage.publish('demo', clip, { query: '?pipeline=effects' })
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

it.each([
  ['the start, light', '/?stream=', 'light'],
  ['the start, dark', '/?stream=', 'dark'],
  ['a stream, light', '/?stream=demo', 'light'],
  ['a stream, dark', '/?stream=demo', 'dark'],
] as const)('axe finds nothing serious on %s', async (_, path, colorScheme) => {
  // The page's own policy lets no foreign script in; the checker is one.
  const context = await browser.newContext({ colorScheme, bypassCSP: true, reducedMotion: 'reduce' })
  const page = await context.newPage()
  await page.goto(`${stage.url}${path}`)
  await page.waitForSelector('main')
  if (path.endsWith('demo')) await page.waitForSelector('input[type="range"]')
  expect(describe(await violations(page))).toEqual([])
  await context.close()
})

async function violations(page: Page): Promise<Violation[]> {
  await page.evaluate(AXE)
  const found = await page.evaluate<Violation[]>('axe.run().then(({ violations }) => violations)')
  return found.filter(({ impact }) => impact === 'serious' || impact === 'critical')
}

/** One line for each thing, so that a failure reads by itself. */
function describe(found: Violation[]): string[] {
  return found.flatMap(({ id, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} ${target}: ${failureSummary}`),
  )
}
