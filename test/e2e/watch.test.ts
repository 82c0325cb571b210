import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium, startCollecting, takeFrames } from '../helpers/chromium.ts'
import { type Stage, setStage } from '../helpers/stage.ts'
import { waitFor } from '../helpers/wait.ts'

let stage: Stage
let browser: Browser
beforeAll(async () => {
  stage = await setStage({ env: { KEYFRAME_SECONDS: '10' } })
  browser = await launchChromium()
  const clip = await stage.clip({ seconds: 60, width: 1280, height: 720, fps: 30, audio: true })
  await stage.publish('demo', clip)
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

describe('watching in a browser', () => {
  it('shows 30 s of the page with gaps of at most 1 %, in order', async () => {
    const page = await browser.newPage({ viewport: { width: 1280, height: 900 } })
    // A second picture, coded and drawn by the same two cores, is another test's.
    await page.addInitScript("localStorage.setItem('millrace-input-picture', 'hidden')")
    await page.goto(`${stage.url}/?stream=demo`)
    const video = 'video[data-role="output"]'
    await page.waitForSelector(video)
    await startCollecting(page, video)
    await waitFor('the first picture', async () => (await takeFrames(page)).some(({ number }) => number !== null))
    await sleep(2000)
    await takeFrames(page)
    await sleep(30_000)
    const frames = await takeFrames(page)
    await page.close()
    const numbers = frames.map(({ number }) => number).filter((number) => number !== null)
    const first = numbers[0] as number
    const last = numbers.at(-1) as number
    expect(last - first).toBeGreaterThan(29 * 30)
    // The clip's numbers rise by one; what is missing was lost somewhere between ffmpeg and the screen.
    const missing = last - first + 1 - new Set(numbers).size
    expect(missing / (last - first)).toBeLessThanOrEqual(0.01)
    expect(numbers.every((number, index) => index === 0 || number > (numbers[index - 1] as number))).toBe(true)
  }, 90_000)

  it('shows the first picture within 300 ms of the connection, between keyframes 10 s apart', async () => {
    const page = await browser.newPage()
    await page.goto(`${stage.url}/health`)
    const times: number[] = []
    for (let attempt = 0; attempt < 5; attempt++) {
      times.push(await page.evaluate(firstPictureMs, `${stage.url}/whep/demo`))
    }
    await page.close()
    times.sort((a, b) => a - b)
    expect(times[2]).toBeLessThanOrEqual(300)
  })
})

/** Runs in the browser: from the peer connection's `connected` to its first picture, in ms. */
async function firstPictureMs(endpoint: string): Promise<number> {
  const peer = new RTCPeerConnection()
  const video = document.createElement('video')
  video.muted = true
  const stream = new MediaStream()
  video.srcObject = stream
  peer.addTransceiver('video', { direction: 'recvonly' })
  peer.addTransceiver('audio', { direction: 'recvonly' })
  peer.ontrack = ({ track }) => stream.addTrack(track)
  const connected = new Promise<number>((resolve) => {
    peer.onconnectionstatechange = () => {
      if (peer.connectionState === 'connected') resolve(performance.now())
    }
  })
  const shown = new Promise<number>((resolve) => video.requestVideoFrameCallback(() => resolve(performance.now())))
  await peer.setLocalDescription()
  const answer = await fetch(endpoint, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp' },
    body: peer.localDescription?.sdp ?? '',
  })
  await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
  void video.play()
  const result = (await shown) - (await connected)
  peer.close()
  await fetch(new URL(answer.headers.get('location') ?? '', endpoint), { method: 'DELETE' })
  return result
}
