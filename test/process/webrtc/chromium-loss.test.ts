import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { launchChromium, startCollecting, takeFrames } from '../../helpers/chromium.ts'
import { clipPackets, playPackets } from './clip-feed.ts'
import { LossyPath } from './lossy-path.ts'
import { publishFromPage, VIDEO_STATS, type VideoStats, watchFromPage } from './page.ts'
import { SignallingServer } from './server.ts'

const FPS = 30
const SECONDS = 8
const FRAMES = FPS * SECONDS

let packets: EncodedPacket[]
let browser: Browser
beforeAll(async () => {
  const shape = { width: 1280, height: 720, fps: FPS, gop: FPS, kbps: 2500 }
  packets = await clipPackets({ seconds: SECONDS, ...shape, audio: true })
  browser = await launchChromium()
})
afterAll(() => browser?.close())

test('a viewer behind a network that loses 5 % keeps watching', async () => {
  await using path = new LossyPath({ loss: 0.05, disorder: 0.05 })
  await using server = new SignallingServer()
  server.route = await path.open()
  const url = await server.listen()
  const playing = new AbortController()
  const done = playPackets(packets, server.broadcast, playing.signal)
  const page = await browser.newPage()
  try {
    await page.goto(url)
    await startCollecting(page, 'video')
    await watchFromPage(page)
    await page.waitForTimeout(10_000)
    const frames = await takeFrames(page)
    const stats = await page.evaluate<VideoStats>(VIDEO_STATS)
    const session = server.viewers[0]!
    console.log({ freezes: stats.freezeCount, frozenSeconds: stats.totalFreezesDuration, ...session.stats() })
    expect(path.lost).toBeGreaterThan(80)
    expect(session.stats().resent).toBeGreaterThan(40)
    expect(stats.framesDecoded).toBeGreaterThan(FPS * 7)
    expect(frames.length).toBeGreaterThan(FPS * 3)
    expect(stats.totalFreezesDuration).toBeLessThan(2)
    const numbers = frames.map(({ number }) => number).filter((number) => number !== null)
    const ahead = numbers.slice(1).map((number, i) => (number - numbers[i]! + FRAMES) % FRAMES)
    expect(Math.max(...ahead)).toBeLessThan(FPS * 1.5)
    expect(server.viewers).toHaveLength(1)
  } finally {
    playing.abort()
    await done
    await page.close()
  }
})

test('so does a publisher', async () => {
  await using path = new LossyPath({ loss: 0.05, disorder: 0.05 })
  await using server = new SignallingServer()
  server.route = await path.open()
  const page = await browser.newPage()
  try {
    await page.goto(await server.listen())
    await publishFromPage(page)
    const source = await server.publishers[0]!.source
    const arrivals: number[] = []
    const reading = (async () => {
      for await (const { track } of source.packets) if (track.kind === 'video') arrivals.push(performance.now())
    })()
    await page.waitForTimeout(10_000)
    const gaps = arrivals.slice(1).map((at, i) => at - arrivals[i]!)
    console.log({ frames: arrivals.length, longestGapMs: Math.max(...gaps), ...source.stats() })
    expect(path.lost).toBeGreaterThan(30)
    expect(arrivals.length).toBeGreaterThan(150)
    expect(Math.max(...gaps)).toBeLessThan(1000)
    await page.evaluate('peer.close()')
    await reading
  } finally {
    await page.close()
  }
})
