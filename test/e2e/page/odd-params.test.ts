import { fileURLToPath } from 'node:url'
import type { Browser, ElementHandle, Locator, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { installPythonFixtures, type PythonFolder } from '../../helpers/package/python.ts'
import { http } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))

let python: PythonFolder
let servers: TestServer[]
let browser: Browser
const complaints: string[] = []

beforeAll(async () => {
  python = await installPythonFixtures('my-pipeline', 'odd-pipelines')
  const start = (directory: string) =>
    startServer({ env: { PIPELINE_DIR: directory, WARM_PIPELINES: '0', ...SMALL_FRAMES } })
  ;[browser, ...servers] = await Promise.all([launchChromium(), start(FIXTURES), start(python.directory)])
}, 400_000)
afterAll(async () => {
  await browser?.close()
  await Promise.all((servers ?? []).map((server) => server.stop()))
  python?.[Symbol.dispose]()
})

async function open(server: TestServer, pipeline: string): Promise<Page> {
  expect((await http('POST', `${server.url}/test-pattern/odd?pipeline=${pipeline}`)).status).toBe(201)
  const page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage()
  page.setDefaultTimeout(10_000)
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.goto(`${server.url}/?stream=odd`)
  await page.locator('.params > .field').first().waitFor({ timeout: 60_000 })
  return page
}

/** Everything in a field that needs no typing, as it is now. What opens inside of it comes with another look. */
const CHOICES = 'input[type="range"], input[type="radio"], input[type="checkbox"], select, button:not(.reset)'

type Answers = { refused: string[]; taken: number }

/** Puts one control into each of its positions. */
async function drive(control: ElementHandle<HTMLElement>, done: () => Promise<void>): Promise<void> {
  const kind = await control.evaluate((element) => `${element.tagName} ${element.getAttribute('type')}`)
  if (kind === 'INPUT range') {
    for (const key of ['Home', 'ArrowRight', 'ArrowRight', 'End', 'ArrowLeft', 'PageDown']) {
      await control.press(key)
      await done()
    }
  } else if (kind === 'SELECT null') {
    const values = await control.$$eval('option', (options) =>
      options.map((option) => (option as HTMLOptionElement).value),
    )
    for (const value of values) {
      await control.selectOption(value)
      await done()
    }
  } else {
    await control.click()
    await done()
  }
}

/** All of a field's controls once, also those that others open, up to a few dozen: a tree has no end. */
async function driveField(page: Page, field: Locator, answers: Answers, pending: () => number): Promise<string[]> {
  const seen = new Set<string>()
  const failed: string[] = []
  for (let round = 0; round < 30; round++) {
    const controls = (await field.locator(CHOICES).elementHandles()) as ElementHandle<HTMLElement>[]
    let next: [string, ElementHandle<HTMLElement>] | undefined
    for (const control of controls) {
      const what = await control.evaluate((element) => {
        const input = element as HTMLInputElement
        const named = input.labels?.[0]?.textContent ?? input.getAttribute('aria-label') ?? input.textContent
        return input.disabled || input.offsetParent === null ? '' : `${element.tagName} ${input.type} ${named}`
      })
      if (what && !seen.has(what)) {
        next = [what, control]
        break
      }
    }
    if (!next) break
    seen.add(next[0])
    const refused = answers.refused.length
    const done = async () => {
      const status = page.locator('.params-status')
      await waitFor('an answer', async () => pending() === 0 && (await status.textContent()) !== 'Applying…', {
        everyMs: 10,
      })
    }
    await drive(next[1], done).catch((thrown) => failed.push(`${next[0]}: ${thrown.message}`))
    if (answers.refused.length > refused) failed.push(`${next[0]}: ${answers.refused.slice(refused)}`)
  }
  return failed
}

it.each([
  ['zod', 0, 'odd-params'],
  ['pydantic', 1, 'py-odd-params'],
] as const)(
  'no position of a control is refused, whatever the schema: %s',
  async (_, server, pipeline) => {
    const page = await open(servers[server]!, pipeline)
    const answers: Answers = { refused: [], taken: 0 }
    const isParams = (url: string) => new URL(url).pathname.endsWith('/params')
    let pending = 0
    page.on('request', (request) => {
      if (isParams(request.url()) && request.method() !== 'GET') pending++
    })
    page.on('requestfailed', (request) => {
      if (isParams(request.url()) && request.method() !== 'GET') pending--
    })
    page.on('response', async (answer) => {
      if (!isParams(answer.url()) || answer.request().method() === 'GET') return
      const text = await answer.text()
      if (answer.ok()) answers.taken++
      else answers.refused.push(`${answer.request().postData()} ${text}`)
      pending--
    })
    const fields = page.locator('.params > .field')
    const failed: Record<string, string[]> = {}
    for (const field of await fields.all()) {
      const name = (await field.getAttribute('data-param'))!
      const wrong = await driveField(page, field, answers, () => pending)
      if (wrong.length > 0) failed[name] = wrong
    }
    expect(failed).toEqual({})
    expect(answers.taken).toBeGreaterThan(50)
    expect(complaints).toEqual([])
  },
  300_000,
)
