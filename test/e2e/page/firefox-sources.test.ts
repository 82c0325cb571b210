import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'puppeteer-core'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { ffmpegPath, findFirefox } from '../../helpers/binaries.ts'
import { launchFirefox } from '../../helpers/browser/firefox.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http } from '../../helpers/server/http.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'
import { waitFor } from '../../helpers/wait.ts'

const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const SECONDS = 8

describe.skipIf(!findFirefox())('what Firefox publishes', () => {
  let server: TestServer
  let browser: Browser
  let page: Page
  let folder: string
  let clip: string
  const complaints: string[] = []

  beforeAll(async () => {
    mkdirSync(ARTEFACTS, { recursive: true })
    folder = mkdtempSync(join(tmpdir(), 'mr-firefox-'))
    // Without its plugin, Firefox plays no H.264.
    clip = join(folder, 'film.webm')
    const video = ['-f', 'lavfi', '-i', `testsrc2=size=320x180:rate=15:duration=${SECONDS}`]
    const audio = ['-f', 'lavfi', '-i', `sine=frequency=440:duration=${SECONDS}`]
    const codecs = ['-c:v', 'libvpx', '-deadline', 'realtime', '-b:v', '400k', '-c:a', 'libopus']
    await runTool(ffmpegPath(), ['-v', 'error', ...video, ...audio, ...codecs, clip])
    ;[server, browser] = await Promise.all([startServer({ env: { MAX_PIXELS: '76800' } }), launchFirefox()])
  }, 120_000)
  afterAll(async () => {
    await browser?.close()
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })
  beforeEach(async () => {
    await page?.close()
    page = await browser.newPage()
    page.on('pageerror', (error) => complaints.push(String(error)))
    await page.setViewport({ width: 1440, height: 900 })
    await page.goto(server.url)
  })

  const button = (name: string) => page.locator(`::-p-aria([name="${name}"][role="button"])`)
  const statusOf = async (name: string) => {
    const { status, text } = await http('GET', `${server.url}/streams/${name}`)
    return status === 200 ? JSON.parse(text) : undefined
  }
  const shown = (role: string) =>
    page.evaluate(`document.querySelector('video[data-role="${role}"]')?.mozPaintedFrames ?? 0`) as Promise<number>
  async function framesAdvance(role: string): Promise<void> {
    const before = await shown(role)
    await waitFor(`frames of the ${role}`, async () => (await shown(role)) > before + 5)
  }

  it('its camera, with a preview and a choice of devices', async () => {
    await button('Use camera').click()
    await page.waitForSelector('::-p-aria([name="Publish from this camera"][role="dialog"])')
    await waitFor('the preview', async () =>
      page.evaluate(`document.querySelector('.camera-dialog video').videoWidth > 0`),
    )
    const names = (await page.evaluate(
      `[...document.querySelectorAll('.camera-dialog option')].map(({ textContent }) => textContent)`,
    )) as string[]
    expect(names.length).toBeGreaterThan(2)
    expect(names).toContain('No audio')
    await button('Publish').click()
    await page.waitForFunction(`location.search === '?stream=demo'`)
    await waitFor('the camera at the server', async () => (await statusOf('demo'))?.ingest?.fps > 3)
    const { ingest } = await statusOf('demo')
    expect(ingest).toMatchObject({ kind: 'whip', codec: 'vp8', audio: { codec: 'opus' } })
    await framesAdvance('input')
    await framesAdvance('output')
    await page.screenshot({ path: `${ARTEFACTS}/firefox-camera.png` })
    await button('Stop stream').click()
    await page.waitForSelector('::-p-text(The stream has ended.)')
    expect(complaints).toEqual([])
  }, 120_000)

  it('a file with its audio, paused, sought and looped', async () => {
    const base64 = readFileSync(clip).toString('base64')
    await page.evaluate((text: string) => {
      const transfer = new DataTransfer()
      const bytes = Uint8Array.from(atob(text), (char) => char.charCodeAt(0))
      transfer.items.add(new File([bytes], 'film.webm', { type: 'video/webm' }))
      const drop = new DragEvent('drop', { dataTransfer: transfer, bubbles: true, cancelable: true })
      document.querySelector('.start')?.dispatchEvent(drop)
    }, base64)
    await page.waitForFunction(`location.search === '?stream=demo'`, { timeout: 60_000 })
    await waitFor('the file at the server', async () => (await statusOf('demo'))?.ingest?.fps > 3)
    await page.waitForSelector('.file-controls:not([hidden])')
    expect(await page.evaluate(`document.querySelector('.file-controls').textContent`)).not.toContain('No audio')
    await waitFor('its audio', async () => (await statusOf('demo'))?.ingest?.audio?.codec === 'opus')
    expect((await statusOf('demo')).ingest).toMatchObject({ kind: 'whip', codec: 'vp8', width: 320, height: 180 })
    await framesAdvance('output')

    const place = () =>
      page.evaluate(`Number(document.querySelector('[aria-label="Position in the file"]').value)`) as Promise<number>
    const seek = (seconds: number) =>
      page.evaluate(`(() => {
        const range = document.querySelector('[aria-label="Position in the file"]')
        range.value = ${seconds}
        range.dispatchEvent(new Event('input'))
      })()`)
    await button('Pause').click()
    await seek(3)
    await waitFor('the place', async () => Math.abs((await place()) - 3) < 0.2)
    await button('Play').click()
    await waitFor('it to go on', async () => (await place()) > 3.3)
    await seek(SECONDS - 1)
    await waitFor('it to begin again', async () => (await place()) < SECONDS / 2)
    await waitFor('frames after the loop', async () => (await statusOf('demo'))?.ingest.fps > 3)
    await framesAdvance('output')
    await page.screenshot({ path: `${ARTEFACTS}/firefox-file.png` })
    await button('Stop stream').click()
    await page.waitForSelector('::-p-text(The stream has ended.)')
    expect(complaints).toEqual([])
  }, 120_000)
})
