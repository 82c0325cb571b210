import { describe, expect, test } from 'vitest'
import { RateMeter } from '../../../../src/core/counters.ts'
import { BandwidthWatch } from '../../../../src/webrtc/whep/bandwidth.ts'

class Viewer {
  readonly sent = new RateMeter()
  readonly watch = new BandwidthWatch(this.sent)
  now = 10_000
  #highest = 1000

  /** A second of `packets` packets of 1000 bytes, reported in four feedbacks. */
  second(packets: number, fractionLost = 0): void {
    for (let quarter = 0; quarter < 4; quarter++) {
      for (let i = 0; i < packets / 4; i++) this.sent.add(1000, this.now + (i * 1000) / packets)
      this.now += 250
      this.#highest += packets / 4
      const rest = { ssrc: 1, jitter: 0, lastSenderReport: 0, delaySinceLastSenderReport: 0 }
      this.watch.reported({ ...rest, fractionLost, highestSequence: this.#highest }, this.now)
    }
  }

  estimates(kbps: number): void {
    this.watch.estimated(kbps * 1000, this.now)
  }

  get kbps(): number | undefined {
    return this.watch.availableKbps(this.now)
  }
}

describe('the bandwidth of a viewer is not limited', () => {
  test('without an estimate', () => {
    const viewer = new Viewer()
    expect(viewer.kbps).toBeUndefined()
    for (let i = 0; i < 5; i++) viewer.second(300)
    expect(viewer.kbps).toBeUndefined()
  })

  test('by an estimate that has only grown as far as what is sent allows', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 10; i++) {
      viewer.second(20)
      viewer.estimates(140 + i * 10)
      expect(viewer.kbps).toBeUndefined()
    }
  })

  test('by an estimate that falls but is still above what is sent', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 3; i++) viewer.second(300)
    viewer.estimates(4000)
    viewer.estimates(3000)
    expect(viewer.kbps).toBeUndefined()
  })

  test('by losses that can be repaired', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 10; i++) viewer.second(300, 0.06)
    expect(viewer.kbps).toBeUndefined()
  })
})

describe('the bandwidth of a viewer falls', () => {
  test('with an estimate below what is sent, and grows slowly until it limits nothing', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 3; i++) viewer.second(300)
    viewer.estimates(2500)
    viewer.estimates(1000)
    expect(viewer.kbps).toBe(1000)
    viewer.second(120)
    expect(viewer.kbps).toBe(1080)
    for (let i = 0; i < 4; i++) viewer.second(130)
    expect(viewer.kbps).toBeGreaterThan(1300)
    expect(viewer.kbps).toBeLessThan(1500)
    for (let i = 0; i < 8; i++) viewer.second(130)
    expect(viewer.kbps).toBeUndefined()
  })

  test('with heavy losses, and recovers when they end', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 4; i++) viewer.second(300)
    for (let i = 0; i < 4; i++) viewer.second(300, 0.3)
    expect(viewer.kbps).toBeGreaterThan(900)
    expect(viewer.kbps).toBeLessThan(2000)
    for (let i = 0; i < 25; i++) viewer.second(300)
    expect(viewer.kbps).toBeUndefined()
  })

  test('but not for ever', () => {
    const viewer = new Viewer()
    for (let i = 0; i < 100; i++) viewer.second(300, 0.5)
    expect(viewer.kbps).toBe(64)
  })
})
