import { mkdirSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { LARGE_CLIP } from '../../helpers/media/clip.ts'
import { httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const ARTEFACTS = fileURLToPath(new URL('../../../test-results/page', import.meta.url))
const WIDTH = 640
/** Movement of the square per frame, in pixels. */
const STEP = 8

let stage: Stage
let browser: Browser
let page: Page
/** A page that decodes screenshots. */
let reader: Page
const complaints: string[] = []
beforeAll(async () => {
  mkdirSync(ARTEFACTS, { recursive: true })
  const PIPELINE_DIR = fileURLToPath(new URL('../../fixtures/pipelines', import.meta.url))
  stage = await setStage({ env: { PIPELINE_DIR, WARM_PIPELINES: '0', MAX_STREAMS: '8' } })
  browser = await launchChromium()
  const clip = await stage.clip(LARGE_CLIP)
  await stage.publish('demo', clip, { query: '?pipeline=tracks' })
  reader = await browser.newPage()
  page = await browser.newPage({ viewport: { width: 1440, height: 900 } })
  page.on('pageerror', (error) => complaints.push(error.stack ?? error.message))
  await page.goto(`${stage.url}/?stream=demo&view=output`)
  await waitFor('boxes', () => page.getByRole('button', { name: 'Hide what the pipeline found' }).isVisible())
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

/** First and last column. */
type Span = [number, number]
type Seen = { white: Span | null; outline: Span | null; zoom: number }

/** Columns of the white square and of its outline in a screenshot of the frame, in a row through its middle. */
async function look(): Promise<Seen> {
  const screen = page.locator('.frame.output .screen')
  const png = await screen.screenshot()
  // The CSP of the page itself would block this image.
  return await reader.evaluate<Seen>(`(async () => {
    const image = await createImageBitmap(await (await fetch('data:image/png;base64,${png.toString('base64')}')).blob())
    const { width, height } = image
    const context = new OffscreenCanvas(width, height).getContext('2d')
    context.drawImage(image, 0, 0)
    const { data } = context.getImageData(0, 0, width, height)
    const at = (x, y) => data.subarray(4 * (y * width + x), 4 * (y * width + x) + 3)
    const isWhite = ([r, g, b]) => r > 225 && g > 225 && b > 225
    const isOutline = ([r, g, b]) => Math.max(r, g, b) - Math.min(r, g, b) > 60
    const zoom = Math.min(width / ${WIDTH}, height / 360)
    const row = Math.round((height - 360 * zoom) / 2 + 192 * zoom)
    const columns = (fits) => {
      const found = [...Array(width).keys()].filter((x) => fits(at(x, row)))
      return found.length > 0 ? [found[0], found.at(-1)] : null
    }
    return { white: columns(isWhite), outline: columns(isOutline), zoom }
  })()`)
}

it('a box is drawn where its object is in the frame', async () => {
  const middle = ([first, last]: Span) => (first + last) / 2
  // Offsets in frames. On a busy machine the overlay may be shown in between, and the page's thread may be a frame late.
  const offsets: number[] = []
  const last = () => offsets.slice(-12)
  const told = () =>
    last()
      .map((frames) => frames.toFixed(2))
      .join(' ')
  await waitFor('twelve frames in a row with the outline around the square, most of them exactly', async () => {
    const { white, outline, zoom } = await look()
    if (!white) return false
    if (!outline) throw new Error('the square has no outline')
    offsets.push((middle(outline) - middle(white)) / (STEP * zoom))
    const exact = last().filter((frames) => Math.abs(frames) < 0.3).length
    if (exact > 6 && last().length === 12 && Math.max(...last().map(Math.abs)) < 1.2) return true
    throw new Error(told())
  })
  await page.screenshot({ path: `${ARTEFACTS}/data.png` })
  expect(complaints).toEqual([])
})

it('text is shown below the frame', async () => {
  const texts = new Set<string>()
  await waitFor('other text', async () => texts.add((await page.locator('.data-text').textContent())!).size > 3)
  expect([...texts].every((text) => /^at \d+$/.test(text))).toBe(true)
})

it('boxes can be hidden, and disappear when their pipeline is gone', async () => {
  const drawn = () =>
    page.evaluate<boolean>(`(() => {
      const canvas = document.querySelector('.data-shapes')
      return canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data.some((value) => value > 0)
    })()`)
  expect(await drawn()).toBe(true)
  await page.getByRole('button', { name: 'Hide what the pipeline found' }).click()
  await waitFor('nothing', async () => !(await drawn()))
  await page.reload()
  const show = page.getByRole('button', { name: 'Show what the pipeline found' })
  await show.click()
  await waitFor('boxes', drawn)
  expect((await httpJson('PUT', `${stage.url}/streams/demo/pipeline`, { body: { pipeline: 'noop' } })).status).toBe(200)
  await waitFor('nothing', async () => !(await drawn()))
  expect(complaints).toEqual([])
})
