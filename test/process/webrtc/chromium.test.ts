import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { IngestSource } from '../../../src/core/media/endpoints.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { launchChromium, startCollecting, takeFrames } from '../../helpers/browser/chromium.ts'
import { waitFor } from '../../helpers/wait.ts'
import { clipPackets, playPackets } from './support/clip-feed.ts'
import {
  LAYER_WIDTHS,
  type PublishFromPage,
  publishFromPage,
  restartIce,
  VIDEO_STATS,
  type VideoStats,
  watchFromPage,
} from './support/page.ts'
import { SignallingServer } from './support/server.ts'

const FPS = 30
const SECONDS = 8
const FRAMES = FPS * SECONDS

let browser: Browser
beforeAll(async () => {
  browser = await launchChromium()
})
afterAll(() => browser?.close())

describe('Chromium watches', () => {
  let packets: EncodedPacket[]
  beforeAll(async () => {
    const shape = { width: 640, height: 360, fps: FPS, gop: FPS }
    packets = await clipPackets({ seconds: SECONDS, ...shape, audio: 'flash-beep' })
  })

  async function whileWatching(
    look: (page: Page, server: SignallingServer) => Promise<void>,
    route: (answer: string) => string = (answer) => answer,
  ): Promise<void> {
    await using server = new SignallingServer()
    server.route = route
    const url = await server.listen()
    const playing = new AbortController()
    const done = playPackets(packets, server.broadcast, playing.signal)
    const page = await browser.newPage()
    try {
      await page.goto(url)
      await startCollecting(page, 'video')
      expect(await watchFromPage(page)).toMatchObject({ status: 201, etag: expect.stringMatching(/^".+"$/) })
      await server.viewers[0]!.connected
      await look(page, server)
    } finally {
      playing.abort()
      await done
      await page.close()
    }
  }

  test('in order and without delay', () =>
    whileWatching(async (page, server) => {
      await page.waitForTimeout(5000)
      const shown = await takeFrames(page)
      const numbers = shown.map(({ number }) => number).filter((number) => number !== null)
      expect(numbers.length).toBeGreaterThan(90)
      expect(numbers.length).toBeGreaterThan(shown.length - 3)
      const steps = numbers.slice(1).map((number, i) => (number - numbers[i]! + FRAMES) % FRAMES)
      expect(steps.every((step) => step > 0 && step < FRAMES / 2)).toBe(true)
      const video = await page.evaluate<VideoStats>(VIDEO_STATS)
      expect(video.totalFreezesDuration).toBeLessThan(1)
      expect(video).toMatchObject({ packetsLost: 0, srtpCipher: 'SRTP_AEAD_AES_128_GCM' })
      // Playout delay 0: the jitter buffer of the viewer adds less than a frame.
      expect((video.jitterBufferDelay / video.jitterBufferEmittedCount) * 1000).toBeLessThan(20)
      expect(server.viewers[0]!.stats()).toMatchObject({ dropped: 0 })
      expect(server.keyframes).toBeGreaterThan(0)
      await page.evaluate('peer.close()')
      expect(await server.viewers[0]!.closed).toEqual({ why: 'ended' })
    }))

  test('and is notified at once when the session ends', () =>
    whileWatching(async (page, server) => {
      await server.viewers[0]!.close()
      // The connection state changes only after ICE has missed a few checks.
      const transport = 'peer.getReceivers()[0].transport.state'
      await waitFor('the end', async () => (await page.evaluate(transport)) === 'closed', { limitMs: 2000 })
    }))

  test('over TCP where UDP is blocked', () =>
    whileWatching(
      async (page, server) => {
        await page.waitForTimeout(2000)
        expect((await takeFrames(page)).length).toBeGreaterThan(20)
        await page.evaluate('peer.close()')
        expect(await server.viewers[0]!.closed).toEqual({ why: 'ended' })
      },
      (answer) => answer.replace(/a=candidate:.* udp .*\r\n/g, ''),
    ))

  test('and continues after an ICE restart', () =>
    whileWatching(async (page, server) => {
      const before = server.viewers[0]!.etag
      const answer = await restartIce(page)
      expect(answer.status).toBe(200)
      expect(answer.etag).toBe(server.viewers[0]!.etag)
      expect(answer.etag).not.toBe(before)
      await page.waitForTimeout(1500)
      await takeFrames(page)
      await page.waitForTimeout(1000)
      expect((await takeFrames(page)).length).toBeGreaterThan(15)
      expect(await page.evaluate('peer.iceConnectionState')).toBe('connected')
    }))
})

describe('Chromium publishes', () => {
  async function publish(
    options: PublishFromPage,
    look: (source: IngestSource, page: Page) => Promise<void>,
  ): Promise<void> {
    await using server = new SignallingServer()
    const page = await browser.newPage()
    try {
      await page.goto(await server.listen())
      await publishFromPage(page, options)
      await look(await server.publishers[0]!.source, page)
      await page.evaluate('peer.close()')
      expect(await server.publishers[0]!.closed).toEqual({ why: 'ended' })
    } finally {
      await page.close()
    }
  }

  async function take(source: IngestSource, seconds: number): Promise<EncodedPacket[]> {
    const taken: EncodedPacket[] = []
    for await (const packet of source.packets) {
      taken.push(packet)
      const first = taken.find(({ track }) => track.kind === 'video')
      if (first && packet.track.kind === 'video' && packet.pts - first.pts > seconds * 90_000) break
    }
    return taken
  }

  test.each(['H264', 'VP8', 'VP9', 'AV1'] as const)('%s and Opus, on one clock', (codec) =>
    publish({ codec }, async (source) => {
      expect(source.tracks).toMatchObject([
        { kind: 'video', codec: codec.toLowerCase(), width: expect.any(Number), height: expect.any(Number) },
        { kind: 'audio', codec: 'opus' },
      ])
      const packets = await take(source, 4)
      for (const kind of ['video', 'audio']) {
        const times = packets.filter(({ track }) => track.kind === kind).map(({ pts }) => pts)
        expect(times.length).toBeGreaterThan(40)
        const back = times.flatMap((pts, i) => (i > 0 && pts <= times[i - 1]! ? [pts - times[i - 1]!] : []))
        // Audio is aligned by its arrival, which may be late, until the first sender reports.
        expect(back.length, `${kind}: ${back}`).toBeLessThanOrEqual(kind === 'video' ? 0 : 1)
        expect(times.at(-1)! - times[0]!).toBeGreaterThan(3 * 90_000)
      }
      const last = (kind: string) => packets.findLast(({ track }) => track.kind === kind)!.pts
      expect(Math.abs(last('video') - last('audio'))).toBeLessThan(0.2 * 90_000)
      expect(packets.find(({ track }) => track.kind === 'video')!.key).toBe(true)
      expect(source.stats().lost).toBe(0)
    }),
  )

  test('a keyframe on request', () =>
    publish({ codec: 'H264' }, async (source) => {
      let keys = 0
      let asked = 0
      const end = performance.now() + 3000
      for await (const { track, key } of source.packets) {
        if (track.kind === 'video' && key) keys++
        if (asked === 0 && performance.now() > end - 1500) {
          asked = keys
          source.requestKeyframe()
        }
        if (performance.now() > end) break
      }
      expect(asked).toBeGreaterThan(0)
      expect(keys).toBeGreaterThan(asked)
    }))

  test('three layers, of which the largest is used', () => {
    const layers = [4, 2, 1].map((scale) => ({ rid: `by${scale}`, scaleResolutionDownBy: scale }))
    return publish({ layers }, async (source, page) => {
      const packets = await take(source, 4)
      const video = packets.filter(({ track }) => track.kind === 'video')
      // On a busy machine the browser scales its layers down.
      const widths = await page.evaluate<number[]>(LAYER_WIDTHS)
      expect(widths).toHaveLength(3)
      expect(video.at(-1)!.track).toMatchObject({ width: Math.max(...widths) })
      expect(video.every(({ pts }, i) => i === 0 || pts > video[i - 1]!.pts)).toBe(true)
    })
  })
})
