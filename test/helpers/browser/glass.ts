import type { Browser, Page } from 'playwright-core'
import { NUMBERED_CANVAS_SOURCE } from './numbered-canvas.ts'

/** Replaces the camera, which unattended machines lack: 1280x720 at 30 frames per second. */
const IN_PLACE_OF_CAMERA = `(() => {
  if (!navigator.mediaDevices) return
  navigator.mediaDevices.getUserMedia = async () => {
    ${NUMBERED_CANVAS_SOURCE}
    const camera = numberedCanvas(1280, 720, 30)
    window.camera = camera
    return new MediaStream([camera.track()])
  }
  window.startGlass = (video) => {
    ${NUMBERED_CANVAS_SOURCE}
    window.glass = { shown: readNumbers(video, camera.drawn), stop: () => camera.stop() }
  }
})()`

export type Shown = { at: number; ms: number; number: number }

/** Opens the server's page and uses it like a user: presses "Use camera", and watches the output. */
export async function openServersPage(browser: Browser, url: string): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
  await page.addInitScript(IN_PLACE_OF_CAMERA)
  await page.goto(url)
  await page.getByLabel('Pipeline', { exact: true }).selectOption('noop')
  await page.getByRole('button', { name: 'Use camera' }).click()
  await page.getByRole('button', { name: 'Publish', exact: true }).click()
  await page.waitForSelector('video[data-role="output"]')
  await page.evaluate('startGlass(document.querySelector(\'video[data-role="output"]\'))')
  return page
}

/** Frames shown since the last call, with the time since they were drawn. */
export function takeShown(page: Page): Promise<Shown[]> {
  return page.evaluate('window.glass.shown.splice(0)')
}

export async function closeGlass(page: Page): Promise<void> {
  await page.evaluate('window.glass.stop()').catch(() => {})
  await page.close()
}
