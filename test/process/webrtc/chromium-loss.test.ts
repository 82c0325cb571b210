import { setTimeout as sleep } from 'node:timers/promises'
import type { Browser } from 'playwright-core'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { launchChromium, startCollecting, takeFrames } from '../../helpers/browser/chromium.ts'
import { clipPackets, playPackets } from './support/clip-feed.ts'
import { LossyPath } from './support/lossy-path.ts'
import { publishFromPage, VIDEO_STATS, type VideoStats, watchFromPage } from './support/page.ts'
import { SignallingServer } from './support/server.ts'

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

const MESSAGES = 800

test('a viewer with 5 % packet loss keeps watching, and gets all data in order', async () => {
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
    await watchFromPage(page, { data: true })
    await page.waitForFunction('window.listens')
    for (let number = 0; number < MESSAGES; number++) {
      server.data.publish(number * 900, { number, sentAt: Date.now() })
      await sleep(10)
    }
    await page.waitForFunction(`said.length === ${MESSAGES}`)
    const frames = await takeFrames(page)
    const stats = await page.evaluate<VideoStats>(VIDEO_STATS)
    const said = await page.evaluate<{ at: number; data: { number: number; sentAt: number } }[]>('said')
    expect(said.map(({ data }) => data.number)).toEqual(Array.from({ length: MESSAGES }, (_, number) => number))
    const lateMs = said.map(({ at, data }) => at - data.sentAt).sort((a, b) => a - b)
    const session = server.viewers[0]!
    console.log({ dataP50: lateMs[MESSAGES / 2], dataP99: lateMs[Math.floor(MESSAGES * 0.99)] })
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
