import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { http } from '../../helpers/server/http.ts'
import { SMALL_FRAMES, startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const FIXTURES = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))

let server: TestServer
let browser: Browser
let page: Page
const complaints: string[] = []

beforeAll(async () => {
  server = await startServer({ env: { PIPELINE_DIR: FIXTURES, ...SMALL_FRAMES } })
  browser = await launchChromium()
  await http('POST', `${server.url}/test-pattern/demo?pipeline=every-param`)
  page = await open()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

async function open(): Promise<Page> {
  const opened = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage()
  opened.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await opened.goto(`${server.url}/?stream=demo`)
  await opened.locator('.params > .field').first().waitFor({ timeout: 60_000 })
  return opened
}

const params = async () =>
  JSON.parse((await http('GET', `${server.url}/streams/demo/params`)).text).params as Record<string, unknown>
const inForce = (wanted: Record<string, unknown>) =>
  waitFor(`${JSON.stringify(wanted)} in force`, async () => {
    const now = await params()
    return Object.entries(wanted).every(([name, value]) => JSON.stringify(now[name]) === JSON.stringify(value))
  })
const amount = (value: string) => page.getByLabel('Amount, exact value').fill(value)
const preset = (of = page) => of.getByLabel('Preset', { exact: true }).filter({ visible: true }).first()
const chosen = (of = page) => preset(of).locator('option:checked').textContent()
const press = (name: string, of = page) => of.getByRole('button', { name, exact: true }).click()

async function save(name: string): Promise<void> {
  await press('Save')
  const dialog = page.getByRole('dialog', { name: 'Save these params as a preset' })
  await dialog.getByLabel('Name').fill(name)
  await dialog.getByRole('button', { name: 'Save' }).click()
  await page.getByText(`“${name}” saved`).waitFor()
}

it('the presets of a pipeline are listed by GET /pipelines and chosen on the page', async () => {
  const list = JSON.parse((await http('GET', `${server.url}/pipelines`)).text) as { name: string; presets: object }[]
  expect(list.find(({ name }) => name === 'every-param')?.presets).toEqual({
    Soft: { amount: 0.1, guidance: null },
    Strong: { amount: 1, tags: ['loud'] },
  })
  expect(list.find(({ name }) => name === 'noop')?.presets).toEqual({})
  await preset().selectOption('Strong')
  await inForce({ amount: 1, tags: ['loud'] })
  await preset().selectOption('Soft')
  // Params a preset does not name are reset to their defaults.
  await inForce({ amount: 0.1, guidance: null, tags: ['one', 'two'] })
  await amount('0.3')
  await inForce({ amount: 0.3 })
  expect(await chosen()).toBe('Choose…')
})

it('undo takes back one change after the other, and keeps those of other clients', async () => {
  await page.getByRole('radio', { name: 'Good' }).check()
  await inForce({ mode: 'good' })
  await http('PATCH', `${server.url}/streams/demo/params`, { body: { loose: 9 } })
  await waitFor('it on the page', async () => (await page.getByLabel('Loose', { exact: true }).inputValue()) === '9')
  await press('Undo')
  await inForce({ mode: 'fast', amount: 0.3, loose: 9 })
  await press('Undo')
  await inForce({ amount: 0.1, guidance: null })
  await press('Undo')
  await inForce({ amount: 1, tags: ['loud'] })
  await press('Undo')
  await inForce({ amount: 0.5, tags: ['one', 'two'] })
  expect(await page.getByRole('button', { name: 'Undo', exact: true }).isDisabled()).toBe(true)
})

it('user presets are saved, exported, deleted and imported', async () => {
  await amount('0.7')
  await inForce({ amount: 0.7 })
  await save('Mine, “quoted”')
  await amount('0.2')
  await inForce({ amount: 0.2 })
  await page.reload()
  await preset().selectOption('Mine, “quoted”')
  await inForce({ amount: 0.7 })

  const download = page.waitForEvent('download')
  await press('Export')
  const text = readFileSync(await (await download).path(), 'utf8')
  const exported = JSON.parse(text)
  expect(exported).toMatchObject({ pipeline: 'every-param', presets: { 'Mine, “quoted”': { amount: 0.7 } } })
  expect(exported.presets['Mine, “quoted”']).not.toHaveProperty('show_reloading_frame')

  await press('Delete')
  await waitFor('it to be gone', async () => (await chosen()) === 'Choose…')
  await page.getByRole('button', { name: 'Undo' }).last().click()
  await waitFor('it again', async () => (await chosen()) === 'Mine, “quoted”')

  const other = await open()
  expect(await preset(other).locator('option').allTextContents()).not.toContain('Mine, “quoted”')
  const choose = (content: string) =>
    other
      .locator('.preset-actions input[type="file"]')
      .setInputFiles({ name: 'presets.json', mimeType: 'application/json', buffer: Buffer.from(content) })
  await choose(text)
  await waitFor('the imported one', async () => (await chosen(other)) === 'Mine, “quoted”')
  await choose('{"presets":[]}')
  await other.getByText('The file holds no presets. Expected').waitFor()
  await choose('{"pipeline":"effects","presets":{"A":{}}}')
  await other.getByText('The file holds presets of the pipeline “effects”').waitFor()
  await choose('nonsense')
  await other.getByText('The file is not JSON').waitFor()
  await other.context().close()
})

it('names unknown to the pipeline are reported where they were sent', async () => {
  const content = JSON.stringify({ presets: { Old: { amount: 0.4, strenght: 1, 'a/b': 2 } } })
  await page
    .locator('.preset-actions input[type="file"]')
    .setInputFiles({ name: 'presets.json', mimeType: 'application/json', buffer: Buffer.from(content) })
  await preset().selectOption('Old')
  await inForce({ amount: 0.4 })
  const told = page.getByText('Unknown to this pipeline and ignored: strenght, a/b.')
  await told.waitFor()
  expect(await params()).not.toHaveProperty('strenght')
  await amount('0.6')
  await told.waitFor({ state: 'hidden' })
  expect(complaints).toEqual([])
})
