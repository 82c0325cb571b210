import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser, Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { launchChromium, startCollecting, takeFrames } from '../../helpers/browser/chromium.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

let stage: Stage
let browser: Browser
beforeAll(async () => {
  stage = await setStage({ env: { MAX_STREAMS: '4' } })
  browser = await launchChromium()
})
// Sessions left by a failed test would take the places of others.
afterEach(async () => {
  await Promise.all(browser.contexts().map((context) => context.close()))
  const streams = (await (await fetch(`${stage.url}/streams`)).json()) as { name: string }[]
  await Promise.all(streams.map(({ name }) => fetch(`${stage.url}/streams/${name}`, { method: 'DELETE' })))
})
afterAll(async () => {
  await browser?.close()
  await stage?.[Symbol.asyncDispose]()
})

/**
 * Makes the page publish a canvas with frame numbers drawn like `drawMarker`, noting in `drawnAt` when
 * each was drawn, and watch the stream in its `<video>`.
 */
const PUBLISH_AND_WATCH = `async ({ endpoint, codec }) => {
  document.body.innerHTML = '<video autoplay muted playsinline></video>'
  const canvas = Object.assign(document.createElement('canvas'), { width: 1280, height: 720 })
  const context = canvas.getContext('2d')
  const drawnAt = window.drawnAt = []
  const draw = () => {
    const number = drawnAt.length
    const bits = ((number << 8) | (Math.imul(number ^ 0x5a5a5a, 0x9e3779b1) >>> 24)) >>> 0
    context.fillStyle = '#567'
    context.fillRect(0, 0, 1280, 720)
    context.fillStyle = '#abc'
    context.fillRect((number * 8) % 1280, 300, 120, 120)
    for (let row = 0; row < 2; row++) {
      for (let column = 0; column < 18; column++) {
        const bit = (bits >>> (31 - (row * 16 + column - 1))) & 1
        const white = column === 0 ? row === 0 : column === 17 ? row === 1 : bit === 1
        context.fillStyle = white ? '#fff' : '#000'
        context.fillRect(Math.round(column * 1280 / 18), row * 60, Math.ceil(1280 / 18), 60)
      }
    }
    drawnAt.push(performance.timeOrigin + performance.now())
  }
  draw()
  setInterval(draw, 1000 / 30)
  const exchange = async (peer, kind) => {
    await peer.setLocalDescription()
    const headers = { 'content-type': 'application/sdp' }
    const answer = await fetch(endpoint(kind), { method: 'POST', headers, body: peer.localDescription.sdp })
    if (answer.status !== 201) throw new Error(await answer.text())
    await peer.setRemoteDescription({ type: 'answer', sdp: await answer.text() })
    return new URL(answer.headers.get('location'), answer.url).href
  }
  const publisher = window.publisher = new RTCPeerConnection()
  const sender = publisher.addTransceiver(canvas.captureStream(30).getVideoTracks()[0], { direction: 'sendonly' })
  const wanted = ({ mimeType }) => mimeType === 'video/' + codec || mimeType === 'video/rtx'
  sender.setCodecPreferences(RTCRtpSender.getCapabilities('video').codecs.filter(wanted))
  window.session = await exchange(publisher, 'whip')
  const viewer = window.viewer = new RTCPeerConnection()
  const stream = document.querySelector('video').srcObject = new MediaStream()
  viewer.ontrack = ({ track }) => stream.addTrack(track)
  viewer.addTransceiver('video', { direction: 'recvonly' })
  viewer.addTransceiver('audio', { direction: 'recvonly' })
  await exchange(viewer, 'whep')
}`

async function open(stream: string, codec: 'H264' | 'VP8' | 'VP9' | 'AV1'): Promise<Page> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 760 } })
  await page.goto(`${stage.url}/health`)
  const endpoint = `(kind) => '${stage.url}/' + kind + '/${stream}'`
  await page.evaluate(`(${PUBLISH_AND_WATCH})({ endpoint: ${endpoint}, codec: '${codec}' })`)
  await startCollecting(page, 'video')
  await stage.waitForStatus(stream, 'its publisher', ({ ingest }) => ingest?.kind === 'whip')
  await waitFor('a numbered frame', async () => (await takeFrames(page)).some(({ number }) => number !== null))
  return page
}

/** Of the frames shown since the last call: their numbers and delays in ms. */
async function take(page: Page): Promise<{ number: number; delayMs: number; atMs: number }[]> {
  const drawnAt = await page.evaluate<number[]>('drawnAt')
  return (await takeFrames(page)).flatMap(({ number, atMs }) =>
    number === null || drawnAt[number] === undefined ? [] : { number, atMs, delayMs: atMs - drawnAt[number] },
  )
}

const percentile = (values: readonly number[], q: number) =>
  values.toSorted((a, b) => a - b)[Math.floor(values.length * q)]!

describe('a browser that publishes and watches', () => {
  it.each(['H264', 'VP8', 'VP9'] as const)(
    'sees its own %s frames in order, with a delay that does not grow',
    async (codec) => {
      const stream = `whip-${codec.toLowerCase()}`
      const page = await open(stream, codec)
      await sleep(3000)
      await take(page)
      await sleep(8000)
      const shown = await take(page)
      const numbers = shown.map(({ number }) => number)
      expect(numbers.length).toBeGreaterThan(8 * 15)
      expect(numbers.every((number, i) => i === 0 || number > numbers[i - 1]!)).toBe(true)
      const delays = shown.map(({ delayMs }) => delayMs)
      const half = Math.floor(delays.length / 2)
      const growth = percentile(delays.slice(half), 0.5) - percentile(delays.slice(0, half), 0.5)
      console.log(codec, { p50: percentile(delays, 0.5), p95: percentile(delays, 0.95), growth })
      expect(percentile(delays, 0.5)).toBeLessThan(500)
      expect(growth).toBeLessThan(60)
      const { ingest } = await stage.status(stream)
      expect(ingest).toMatchObject({ kind: 'whip', codec: codec.toLowerCase() })
      await page.close()
    },
  )

  it('is accepted when it offers AV1 only', async () => {
    const page = await open('whip-av1', 'AV1')
    const { ingest } = await stage.status('whip-av1')
    expect(ingest).toMatchObject({ kind: 'whip', codec: 'av1', width: 1280, height: 720 })
    await page.close()
  })

  it('may stop by DELETE', async () => {
    const page = await open('whip-stop', 'H264')
    const answer = await page.evaluate<number>('fetch(session, { method: "DELETE" }).then((answer) => answer.status)')
    expect(answer).toBe(200)
    await waitFor('the end of the connection', async () =>
      ['closed', 'failed'].includes(await page.evaluate<string>('publisher.getSenders()[0].transport.state')),
    )
    await page.close()
  })

  it.each(['that sends', 'that fell silent'])('is disconnected with its stream: one %s', async (which) => {
    const page = await open('whip-deleted', 'H264')
    if (which === 'that fell silent') await page.evaluate('publisher.getSenders()[0].replaceTrack(null)')
    const since = Date.now()
    const answer = await fetch(`${stage.url}/streams/whip-deleted`, { method: 'DELETE' })
    expect(answer.ok).toBe(true)
    expect(Date.now() - since).toBeLessThan(5000)
    await waitFor('the end of the connection', async () =>
      ['closed', 'failed'].includes(await page.evaluate<string>('publisher.getSenders()[0].transport.state')),
    )
    await page.close()
  })
})
