import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findFirefox } from '../../helpers/binaries.ts'
import { AXE, describeViolations, RUN_AXE, type Violation } from '../../helpers/browser/axe.ts'
import { launchFirefox } from '../../helpers/browser/firefox.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))

describe.skipIf(!findFirefox())('the page in Firefox', () => {
  let server: TestServer
  let browser: Browser
  let page: Page
  const complaints: string[] = []

  beforeAll(async () => {
    mkdirSync(ARTEFACTS, { recursive: true })
    // Firefox encodes VP8 in software: small frames leave CPU for the rest.
    ;[server, browser] = await Promise.all([startServer({ env: { MAX_PIXELS: '76800' } }), launchFirefox()])
    page = await browser.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.setViewport({ width: 1440, height: 900 })
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await server?.stop()
  })

  const shown = (role: string) =>
    page.evaluate(`document.querySelector('video[data-role="${role}"]')?.mozPaintedFrames ?? 0`) as Promise<number>
  const framesAdvance = async (role: string) => {
    const before = await shown(role)
    await waitFor(`frames of the ${role}`, async () => (await shown(role)) > before + 5)
  }
  const params = async () => JSON.parse((await http('GET', `${server.url}/streams/demo/params`)).text).params
  const violations = async () => {
    await page.evaluate(AXE)
    return describeViolations((await page.evaluate(RUN_AXE)) as Violation[])
  }

  it('takes a new user from nothing to a frame whose effect they change', async () => {
    await page.goto(server.url)
    await page.locator('::-p-aria([name="Pipeline"][role="combobox"])').fill('effects')
    expect(await violations()).toEqual([])
    await page.locator('::-p-aria([name="Test pattern"][role="button"])').click()
    await page.waitForFunction(`location.search === '?stream=demo'`)
    await framesAdvance('output')
    await framesAdvance('input')
    await page.locator('::-p-aria([name="Grayscale"][role="radio"])').click()
    await waitFor('the effect', async () => (await params()).effect === 'grayscale')
    const strength = await page.waitForSelector('::-p-aria([name="Strength"][role="slider"])')
    await strength?.focus()
    await page.keyboard.press('Home')
    await waitFor('the strength', async () => (await params()).strength === 0)
    expect(await violations()).toEqual([])
    await page.screenshot({ path: `${ARTEFACTS}/firefox.png` })
    expect(complaints).toEqual([])
  }, 120_000)

  it('compares input and output with a divider moved by keys', async () => {
    const compare = page.locator('::-p-aria([name="Compare input and output with a divider"][role="button"])')
    // On a busy machine the page may still move under the pointer.
    const divider = await waitFor('the divider', async () => {
      await compare.setTimeout(5000).click()
      return await page.waitForSelector('.divider:not([hidden])', { timeout: 5000 })
    })
    await framesAdvance('input')
    await divider.focus()
    await page.keyboard.press('End')
    expect(await divider.evaluate((element) => element.getAttribute('aria-valuenow'))).toBe('100')
    expect(await page.evaluate(`location.search`)).toContain('split=100')
    expect(await violations()).toEqual([])
    await page.screenshot({ path: `${ARTEFACTS}/firefox-divider.png` })
    await page.locator('::-p-aria([name="Stop stream"][role="button"])').click()
    await page.waitForSelector('::-p-text(The stream has ended.)')
    expect(complaints).toEqual([])
  }, 120_000)
})
