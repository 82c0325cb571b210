import { mkdirSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { probePackets } from '../../helpers/media/probe-ts.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const headers = { authorization: 'Bearer secret' }

let folder: string
let server: TestServer
let browser: Browser
let page: Page
const complaints: string[] = []

beforeAll(async () => {
  mkdirSync(ARTEFACTS, { recursive: true })
  folder = await mkdtemp(join(tmpdir(), 'mr-page-recordings-'))
  // Watching needs a token too, which a plain link cannot carry.
  const env = { AUTH_TOKEN: 'secret', VIEW_TOKEN: 'other', RECORD_DIR: folder, KEYFRAME_SECONDS: '1' }
  ;[server, browser] = await Promise.all([startServer({ env }), launchChromium()])
  await http('POST', `${server.url}/test-pattern/demo`, { headers })
  page = await (await browser.newContext({ viewport: { width: 1440, height: 1100 } })).newPage()
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.addInitScript(`sessionStorage.setItem('millrace-token', 'secret')`)
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
  await rm(folder, { recursive: true, force: true })
})

const recorded = async () =>
  JSON.parse((await http('GET', `${server.url}/recordings`, { headers })).text) as { bytes: number; growing: boolean }[]

it('a button starts a recording, which is then listed for download', async () => {
  await page.goto(`${server.url}/?stream=demo`)
  const panel = page.getByRole('region', { name: 'Recordings' })
  await panel.getByText('No recordings yet.').waitFor()
  await panel.getByRole('button', { name: 'Record the output' }).click()
  await panel.getByText('Recording', { exact: true }).waitFor()
  await waitFor('a second of video', async () => ((await recorded())[0]?.bytes ?? 0) > 100_000)
  await panel.scrollIntoViewIfNeeded()
  await page.screenshot({ path: `${ARTEFACTS}/recording.png` })
  // The state is that of the server, so a reload shows it too.
  await page.reload()
  await panel.getByRole('button', { name: 'Stop recording the output' }).click()
  await panel.getByRole('button', { name: 'Record the output' }).waitFor()
  await panel.getByText('Recording', { exact: true }).waitFor({ state: 'hidden' })
  expect((await recorded()).map(({ growing }) => growing)).toEqual([false])

  const download = page.waitForEvent('download')
  await panel.getByRole('link', { name: /^Download demo-/ }).click()
  const saved = await download
  expect(saved.suggestedFilename()).toMatch(/^demo-\d+T\d+Z\.mp4$/)
  const bytes = await readFile(await saved.path())
  expect(bytes.length).toBe((await recorded())[0]!.bytes)
  const video = (await probePackets(bytes)).find(({ kind }) => kind === 'video')
  expect(video?.packets.length).toBeGreaterThan(20)
  await page
    .getByRole('list', { name: 'Events, newest first' })
    .getByText(/Recording of the output finished/)
    .waitFor()
  expect(complaints).toEqual([])
}, 120_000)

it('files outlive their stream, and the start page lists those of all streams', async () => {
  await http('DELETE', `${server.url}/streams/demo`, { headers })
  await page.getByText('The stream has ended.').waitFor()
  const panel = page.getByRole('region', { name: 'Recordings' })
  await panel.getByRole('link', { name: /^Download demo-/ }).waitFor()
  expect(await panel.getByRole('button').count()).toBe(0)
  await page.getByRole('link', { name: 'All streams', exact: true }).click()
  await panel.getByRole('listitem').filter({ hasText: 'demo' }).waitFor()
  await page.screenshot({ path: `${ARTEFACTS}/recordings-start.png`, fullPage: true })
  await page.setViewportSize({ width: 390, height: 844 })
  expect(await page.evaluate<number>('document.documentElement.scrollWidth - innerWidth')).toBeLessThanOrEqual(0)
  expect(complaints).toEqual([])
}, 60_000)
