import { describe, expect, test } from 'vitest'
import { RateMeter } from '../../../src/core/counters.ts'
import { BandwidthWatch } from '../../../src/webrtc/bandwidth.ts'

class Viewer {
  readonly sent = new RateMeter()
  readonly watch = new BandwidthWatch(this.sent)
  now = 10_000
  #highest = 1000

  /** A second of `packets` packets of 1000 bytes, told of in four reports. */
  second(packets: number, fractionLost: number): void {
    for (let quarter = 0; quarter < 4; quarter++) {
      for (let i = 0; i < packets / 4; i++) this.sent.add(1000, this.now + (i * 1000) / packets)
      this.now += 250
      this.#highest += packets / 4
      const rest = { ssrc: 1, jitter: 0, lastSenderReport: 0, delaySinceLastSenderReport: 0 }
      this.watch.reported({ ...rest, fractionLost, highestSequence: this.#highest }, this.now)
    }
  }

  get kbps(): number | undefined {
    return this.watch.availableKbps(this.now)
  }
}

describe('what a viewer can take', () => {
  test('is not limited by what nobody told', () => {
    const viewer = new Viewer()
    expect(viewer.kbps).toBeUndefined()
    for (let i = 0; i < 5; i++) viewer.second(300, 0)
    expect(viewer.kbps).toBeUndefined()
  })

  test('is its own estimate, as long as that is fresh', () => {
    const viewer = new Viewer()
    viewer.watch.estimated(800_000, viewer.now)
    expect(viewer.kbps).toBe(800)
    viewer.now += 11_000
    expect(viewer.kbps).toBeUndefined()
  })

  test('is not changed by losses that can be mended', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 10; i++) viewer.second(300, 0.06)
    expect(viewer.kbps).toBeUndefined()
  })

  test('falls with heavy losses, and comes back when they end', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 4; i++) viewer.second(300, 0)
    for (let i = 0; i < 4; i++) viewer.second(300, 0.3)
    const low = viewer.kbps!
    expect(low).toBeGreaterThan(900)
    expect(low).toBeLessThan(2000)
    for (let i = 0; i < 25; i++) viewer.second(300, 0)
    expect(viewer.kbps).toBeUndefined()
  })

  test('does not fall for ever', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 100; i++) viewer.second(300, 0.5)
    expect(viewer.kbps).toBe(64)
  })
})
