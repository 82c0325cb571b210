/**
 * `npm run page-image [FILE]` makes `docs/images/page.png`, README's image of the page, from the current page: a test
 * pattern and its edges, live. If frames are dropped because the machine is busy, the stream is restarted.
 */
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { StreamStatus } from '../src/stream/status.ts'
import { launchChromium } from '../test/helpers/browser/chromium.ts'
import { http, httpJson } from '../test/helpers/server/http.ts'
import { startServer } from '../test/helpers/server/server.ts'
import { waitFor } from '../test/helpers/wait.ts'

const IMAGE = fileURLToPath(new URL('../docs/images/page.png', import.meta.url))

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    // Long enough for the charts to show something.
    seconds: { type: 'string', default: '15' },
    tries: { type: 'string', default: '5' },
  },
})
const [file = IMAGE] = positionals

await using server = await startServer()
const browser = await launchChromium()
try {
  const page = await browser.newPage({ viewport: { width: 1280, height: 960 } })
  for (let left = Number(values.tries); left > 0; left--) {
    const dropped = await live(page)
    if (dropped > 0 && left > 1) continue
    await page.screenshot({ path: file })
    console.log(`${file}: ${dropped} frames dropped`)
    break
  }
} finally {
  await browser.close()
}

/** Waits until the stream has run this long, or has dropped a frame; resolves with the number of dropped frames. */
async function live(page: Awaited<ReturnType<typeof browser.newPage>>): Promise<number> {
  const stream = `${server.url}/streams/demo`
  await http('DELETE', stream)
  const params = encodeURIComponent(JSON.stringify({ effect: 'edges' }))
  await http('POST', `${server.url}/test-pattern/demo?pipeline=effects&params=${params}`)
  await page.goto(`${server.url}/?stream=demo`)
  await page.waitForFunction(() => {
    const videos = [...document.querySelectorAll('video')]
    return videos.length === 2 && videos.every((video) => video.currentTime > 1)
  })
  const end = performance.now() + Number(values.seconds) * 1000
  const losses = async () => {
    const { dropped, ingest } = (await httpJson<StreamStatus>('GET', stream)).json
    return Object.values(dropped).reduce((sum, count) => sum + count, 0) + (ingest?.lost ?? 0)
  }
  const limitMs = Number(values.seconds) * 1000 + 10_000
  await waitFor('the time', async () => performance.now() > end || (await losses()) > 0, { limitMs, everyMs: 500 })
  return await losses()
}
