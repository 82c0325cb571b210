import { mkdtempSync, rmSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { launchChromium, startCollecting, takeFrames } from '../../helpers/browser/chromium.ts'
import { makeNumberedClip } from '../../helpers/media/clip.ts'
import { waitFor } from '../../helpers/wait.ts'

test('a browser reads the frame numbers of a video it plays', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'chromium-test-'))
  const file = join(folder, 'clip.mp4')
  await makeNumberedClip({ file, seconds: 3, width: 640, height: 360, fps: 30 })
  const clip = await readFile(file)
  const server = createServer((request, response) => {
    if (request.url === '/clip.mp4') response.writeHead(200, { 'content-type': 'video/mp4' }).end(clip)
    else response.writeHead(200, { 'content-type': 'text/html' }).end('<video src="/clip.mp4" muted></video>')
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const browser = await launchChromium()
  try {
    const page = await browser.newPage()
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`)
    await startCollecting(page, 'video')
    await page.evaluate('document.querySelector("video").play()')
    await waitFor('the end of the video', () => page.evaluate<boolean>('document.querySelector("video").ended'))
    const shown = await takeFrames(page)
    const numbers = shown.map((frame) => frame.number)
    expect(numbers.length).toBeGreaterThan(30)
    expect(numbers).not.toContain(null)
    expect(numbers).toEqual(numbers.toSorted((a, b) => (a ?? 0) - (b ?? 0)))
    expect(shown[0]).toMatchObject({ width: 640, height: 360 })
  } finally {
    await browser.close()
    server.close()
    rmSync(folder, { recursive: true, force: true })
  }
})
