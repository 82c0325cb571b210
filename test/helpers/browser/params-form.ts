import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { isDeepStrictEqual } from 'node:util'
import type { Browser, Locator, Page } from 'playwright-core'
import { expect } from 'vitest'
import { http } from '../server/http.ts'
import { waitFor } from '../wait.ts'

const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))

/** A use of a field, and the value that its param then has. */
export type Step = [what: string, name: string, act: (field: Locator) => Promise<unknown>, value: unknown]

/** The params form on the page of a server's stream `demo`. */
export class ParamsForm {
  readonly page: Page
  /** Uncaught errors of the page. */
  readonly complaints: string[] = []
  readonly #url: string

  private constructor(page: Page, url: string) {
    this.page = page
    this.#url = url
    page.on('pageerror', (error) => this.complaints.push(error.stack ?? error.message))
    page.setDefaultTimeout(10_000)
  }

  /** Resolves when the form is shown. */
  static async open(
    browser: Browser,
    url: string,
    viewport = { width: 1440, height: 900 },
    colorScheme: 'light' | 'dark' = 'light',
  ): Promise<ParamsForm> {
    const context = await browser.newContext({ viewport, colorScheme, reducedMotion: 'reduce' })
    const form = new ParamsForm(await context.newPage(), url)
    await form.page.goto(`${url}/?stream=demo`)
    await form.page.locator('.params > .field').first().waitFor({ timeout: 60_000 })
    return form
  }

  /** The stream's params. */
  async params(): Promise<Record<string, unknown>> {
    return JSON.parse((await http('GET', `${this.#url}/streams/demo/params`)).text).params
  }

  field(name: string): Locator {
    return this.page.locator(`.params > .field[data-param="${name}"]`)
  }

  /** Resolves when the server has the value, and the field shows no error. */
  async inForce(name: string, value: unknown): Promise<void> {
    let last: unknown
    await waitFor(`${name} to be ${JSON.stringify(value)}`, async () => {
      last = (await this.params())[name]
      return isDeepStrictEqual(last, value)
    }).catch(async (cause) => {
      const said = await this.field(name).locator('.error').allTextContents()
      throw new Error(`${name} is ${JSON.stringify(last)}; the page says ${JSON.stringify(said)}`, { cause })
    })
    expect(await this.field(name).locator('.error:visible').count()).toBe(0)
  }

  /** Takes all steps, and fails with those whose value did not take effect. */
  async take(steps: readonly Step[]): Promise<void> {
    const failed: string[] = []
    for (const [what, name, act, value] of steps) {
      const step = act(this.field(name)).then(() => this.inForce(name, value))
      await step.catch((thrown) => failed.push(`${what}: ${thrown.message}`))
    }
    expect(failed).toEqual([])
    expect(this.complaints).toEqual([])
  }

  /** Expects that nothing is wider than the page, and keeps a screenshot of the form as `NAME.png`. */
  async expectFit(name: string): Promise<void> {
    const side = this.page.locator('.side')
    const inside = await side.evaluate((element) => element.scrollWidth - element.clientWidth)
    const beyond = await this.page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')
    expect([inside, beyond]).toEqual([0, 0])
    await side.evaluate((element) => {
      element.style.position = 'static'
      element.style.maxHeight = 'none'
    })
    mkdirSync(ARTEFACTS, { recursive: true })
    await side.screenshot({ path: `${ARTEFACTS}/${name}.png` })
  }

  async close(): Promise<void> {
    await this.page.context().close()
  }
}

export const press = (at: Locator, name: string): Promise<void> => at.getByRole('button', { name, exact: true }).click()
export const pick = (at: Locator, name: string): Promise<void> => at.getByRole('radio', { name, exact: true }).check()
