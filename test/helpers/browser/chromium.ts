import { type Browser, chromium, type Page } from 'playwright-core'
import { chromiumPath } from '../binaries.ts'
import { READ_MARKER_SOURCE } from '../marker.ts'
import { WAIT_MS } from '../wait.ts'
import { notePages } from './page-notes.ts'

/** Quiet, offline, and with a camera and microphone that need no permission. */
const ARGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--autoplay-policy=no-user-gesture-required',
  '--use-fake-ui-for-media-stream',
  '--use-fake-device-for-media-stream',
  '--auto-select-desktop-capture-source=Entire screen',
  // Peers on loopback: mDNS names instead of addresses would not resolve.
  '--disable-features=WebRtcHideLocalIpsWithMdns',
]

export async function launchChromium(extraArgs: string[] = []): Promise<Browser> {
  const browser = await chromium.launch({ executablePath: chromiumPath(), args: [...ARGS, ...extraArgs] })
  const newContext = browser.newContext.bind(browser)
  // `newPage` calls it too.
  browser.newContext = async (options) => {
    const context = await newContext(options)
    context.setDefaultTimeout(WAIT_MS)
    notePages(context)
    return context
  }
  return browser
}

/** One frame shown by a `<video>`. */
export type ShownFrame = {
  /** Read from the frame; null if it has none. */
  number: number | null
  /** `performance.timeOrigin + now` in ms when the browser presented the frame. */
  atMs: number
  /** Seconds on the video's clock. */
  mediaTime: number
  /** The browser's count of presented frames; a step above 1 means that this collector missed some. */
  presentedFrames: number
  width: number
  height: number
}

/** Starts recording each frame that the video at `selector` shows. Call once per page and element. */
export async function startCollecting(page: Page, selector: string): Promise<void> {
  await page.evaluate(`(() => {
    ${READ_MARKER_SOURCE}
    const video = document.querySelector(${JSON.stringify(selector)})
    const canvas = document.createElement('canvas')
    const context = canvas.getContext('2d', { willReadFrequently: true })
    const shown = []
    window.__shownFrames = shown
    // Only the strip, scaled down: reading whole frames back would slow down what is being measured.
    canvas.width = 360
    canvas.height = 40
    const note = (_, meta) => {
      context.drawImage(video, 0, 0, meta.width, Math.floor(meta.height / 6), 0, 0, 360, 40)
      const number = readMarkerFromRgba(context.getImageData(0, 0, 360, 40).data, 360, 240)
      shown.push({
        number: number ?? null,
        atMs: performance.timeOrigin + performance.now(),
        mediaTime: meta.mediaTime,
        presentedFrames: meta.presentedFrames,
        width: meta.width,
        height: meta.height,
      })
      video.requestVideoFrameCallback(note)
    }
    video.requestVideoFrameCallback(note)
  })()`)
}

/** Frames recorded since the last call. */
export function takeFrames(page: Page): Promise<ShownFrame[]> {
  return page.evaluate('window.__shownFrames.splice(0)')
}
