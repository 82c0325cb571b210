import jsqr from 'jsqr'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { launchChromium } from '../../helpers/browser/chromium.ts'
import { startServer, type TestServer } from '../../helpers/server/server.ts'

let server: TestServer
let browser: Browser
beforeAll(async () => {
  server = await startServer({ env: { AUTH_TOKEN: 'some-long-secret' } })
  browser = await launchChromium(['--host-resolver-rules=MAP mill.test 127.0.0.1'])
}, 120_000)
afterAll(async () => {
  await browser?.close()
  await server?.stop()
})

async function open(host: string, colorScheme: 'light' | 'dark' = 'light'): Promise<[page: Page, url: string]> {
  const url = `${server.url.replace('127.0.0.1', host)}/?stream=demo`
  const page = await (await browser.newContext({ colorScheme })).newPage()
  await page.goto(url)
  await page.getByRole('heading', { name: 'On a phone' }).waitFor()
  return [page, url]
}

/** Decodes the QR code on the page; undefined without one. */
async function read(page: Page): Promise<string | undefined> {
  const png = await page.getByRole('img', { name: /^QR code/ }).screenshot()
  const { data, width, height } = await page.evaluate<{ data: number[]; width: number; height: number }>(`(async () => {
    const image = new Image()
    image.src = 'data:image/png;base64,${png.toString('base64')}'
    await image.decode()
    const { width, height } = image
    const context = new OffscreenCanvas(width, height).getContext('2d')
    context.drawImage(image, 0, 0)
    return { data: [...context.getImageData(0, 0, width, height).data], width, height }
  })()`)
  return jsqr.default(Uint8ClampedArray.from(data), width, height)?.data
}

it.each(['light', 'dark'] as const)('a phone reads the address of the page from a QR code, %s', async (scheme) => {
  const [page, url] = await open('mill.test', scheme)
  expect(await read(page)).toBe(url)
  await page.getByText('reverse_proxy 127.0.0.1:8000').waitFor()
  await page.context().close()
})

it('on a loopback address, it explains how to open the page elsewhere', async () => {
  const [page] = await open('127.0.0.1')
  await page.getByText('This address works only on this machine.').waitFor()
  expect(await page.getByRole('img', { name: /^QR code/ }).count()).toBe(0)
  await page.context().close()
})
