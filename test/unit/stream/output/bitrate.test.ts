import { describe, expect, it } from 'vitest'
import { BitrateGovernor } from '../../../../src/stream/output/bitrate.ts'

describe('BitrateGovernor', () => {
  it('returns the full bitrate while no viewer is limited', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    expect(governor.observe([], 0)).toBe(false)
    expect(governor.observe([undefined, 9000], 1000)).toBe(false)
    expect(governor.kbps).toBe(2500)
  })

  it('never drops because of one viewer of several', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    for (const others of [1, 2, 3, 10]) expect(governor.observe([64, ...Array(others).fill(undefined)], 0)).toBe(false)
    expect(governor.kbps).toBe(2500)
  })

  it('never drops because of two of a few', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    for (const others of [1, 2, 3, 5, 7, 8])
      expect(governor.observe([64, 100, ...Array(others).fill(undefined)], 0)).toBe(false)
    expect(governor.kbps).toBe(2500)
  })

  it('follows the third slowest of a few viewers, with headroom, and not below an eighth', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    expect(governor.observe([undefined, 64, 100, 1000], 0)).toBe(true)
    expect(governor.kbps).toBe(800)
    expect(governor.observe([100], 5000)).toBe(true)
    expect(governor.kbps).toBe(313)
  })

  it('rises again only after a while', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    governor.observe([1000], 0)
    expect(governor.observe([undefined], 5000)).toBe(false)
    expect(governor.observe([undefined], 10_000)).toBe(true)
    expect(governor.kbps).toBe(2500)
  })

  it('ignores small changes', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    governor.observe([1000], 0)
    expect(governor.observe([1100], 60_000)).toBe(false)
  })

  it('leaves the slowest fifth of a large audience to its losses', () => {
    const governor = new BitrateGovernor({ maxKbps: 2500 })
    expect(governor.observe([200, 200, 200, ...Array(12).fill(9000)], 0)).toBe(false)
    expect(governor.observe([200, 200, 200, 1000, ...Array(11).fill(9000)], 0)).toBe(true)
    expect(governor.kbps).toBe(800)
  })
})
