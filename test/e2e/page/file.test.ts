import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const run = promisify(execFile)
const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const SECONDS = 12

let server: TestServer
let browser: Browser
let page: Page
let folder: string
let clip: string
const complaints: string[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mr-page-file-'))
  clip = join(folder, 'my film.mp4')
  await makeNumberedClip({ file: clip, seconds: SECONDS, width: 320, height: 180, fps: 15, audio: true, kbps: 400 })
  writeFileSync(join(folder, 'old.avi'), 'RIFF....AVI LIST, and no more')
  server = await startServer()
  browser = await launchChromium()
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
  rmSync(folder, { recursive: true, force: true })
})
beforeEach(async () => {
  await page?.context().close()
  page = await (await browser.newContext({ viewport: { width: 1440, height: 900 } })).newPage()
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.goto(server.url)
})

async function choose(file: string): Promise<void> {
  const chooser = page.waitForEvent('filechooser')
  await page.getByRole('button', { name: 'Choose a video' }).click()
  await (await chooser).setFiles(file)
}

const statusOf = async (name: string) => {
  const { status, text } = await http('GET', `${server.url}/streams/${name}`)
  return status === 200 ? JSON.parse(text) : undefined
}
const place = async () => Number(await page.getByRole('slider', { name: 'Position in the file' }).inputValue())

/** Mean volume in dB of the next two seconds of the output. */
async function loudness(name: string): Promise<number> {
  const input = ['-v', 'info', '-nostats', '-i', `${server.url}/out/${name}.ts`]
  const { stderr } = await run(ffmpegPath(), [...input, '-t', '2', '-vn', '-af', 'volumedetect', '-f', 'null', '-'], {
    timeout: 60_000,
  })
  return Number(/mean_volume: (-?[\d.]+|-inf) dB/.exec(stderr)?.[1]?.replace('-inf', '-Infinity') ?? Number.NaN)
}

it('a video file is published with its audio, paused, sought and looped', async () => {
  await choose(clip)
  await page.waitForURL('**/?stream=demo', { timeout: 60_000 })
  const controls = page.getByRole('region', { name: 'The file' })
  await controls.getByText('my film.mp4').waitFor()
  await waitFor('frames', async () => (await statusOf('demo'))?.egress.fps > 5, { limitMs: 60_000 })
  const { ingest } = await statusOf('demo')
  expect(ingest).toMatchObject({ kind: 'whip', width: 320, height: 180, audio: { codec: 'opus' } })
  expect(await loudness('demo')).toBeGreaterThan(-40)
  await page.screenshot({ path: `${ARTEFACTS}/file.png` })
  await controls.getByLabel('Volume').fill('0')
  await waitFor('silence', async () => (await loudness('demo')) < -70, { limitMs: 60_000 })

  await controls.getByRole('button', { name: 'Pause' }).click()
  const at = await place()
  await controls.getByRole('slider', { name: 'Position in the file' }).fill('3')
  await waitFor('the place', async () => Math.abs((await place()) - 3) < 0.2)
  expect(at).not.toBe(3)
  await controls.getByRole('button', { name: 'Play' }).click()
  await waitFor('it to go on', async () => (await place()) > 3.5)

  await controls.getByRole('slider', { name: 'Position in the file' }).fill(String(SECONDS - 1))
  await waitFor('it to begin again', async () => (await place()) < SECONDS / 2)
  await waitFor('frames after the loop', async () => (await statusOf('demo'))?.ingest.fps > 5)

  await page.getByLabel('Pipeline', { exact: true }).selectOption('noop')
  await waitFor('the other pipeline', async () => (await statusOf('demo'))?.pipeline === 'noop', { limitMs: 60_000 })
  await waitFor('frames through it', async () => (await statusOf('demo'))?.ingest?.fps > 5, { limitMs: 60_000 })
  await controls.getByText('my film.mp4').waitFor()

  await controls.getByRole('switch', { name: 'Loop' }).uncheck()
  await controls.getByRole('slider', { name: 'Position in the file' }).fill(String(SECONDS - 1))
  await controls.waitFor({ state: 'hidden', timeout: 30_000 })
  expect(complaints).toEqual([])
}, 240_000)

it('a file can be dropped on the page', async () => {
  await page.getByLabel('Stream name').fill('dropped')
  const bytes = readFileSync(clip).toString('base64')
  const data = await page.evaluateHandle(async (base64: string) => {
    const raw = Uint8Array.from(atob(base64), (char) => char.charCodeAt(0))
    const transfer = new DataTransfer()
    transfer.items.add(new File([raw], 'dropped.mp4', { type: 'video/mp4' }))
    return transfer
  }, bytes)
  await page.dispatchEvent('.start', 'drop', { dataTransfer: data })
  await page.waitForURL('**/?stream=dropped', { timeout: 60_000 })
  await page.getByRole('region', { name: 'The file' }).getByText('dropped.mp4').waitFor()
  await waitFor('the stream', async () => (await statusOf('dropped'))?.ingest?.fps > 5, { limitMs: 60_000 })
  await page.getByRole('button', { name: 'Stop stream' }).click()
  await page.getByText('The stream has ended.').waitFor()
  expect(complaints).toEqual([])
}, 120_000)

it('an unplayable file is reported, with the formats the browser plays and how to convert it', async () => {
  await choose(join(folder, 'old.avi'))
  await page.getByText('This browser cannot play “old.avi”').waitFor()
  await page.getByText("ffmpeg -i 'old.avi' -c:v libx264").waitFor()
  expect(new URL(page.url()).search).toBe('')
  expect(complaints).toEqual([])
})
