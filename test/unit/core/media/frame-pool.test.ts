import { describe, expect, it } from 'vitest'
import { FramePool, giveBack, lendMemory } from '../../../../src/core/media/frame-pool.ts'

describe('FramePool', () => {
  it('reuses returned memory, once', () => {
    const pool = new FramePool()
    const data = pool.take(100)
    pool.give(data)
    pool.give(data)
    expect(pool.take(100)).toBe(data)
    expect(pool.take(100)).not.toBe(data)
  })

  it('drops memory of another size', () => {
    const pool = new FramePool()
    const small = pool.take(100)
    pool.give(small)
    expect(pool.take(200)).toHaveLength(200)
    expect(pool.take(100)).not.toBe(small)
  })

  it('keeps no part of a larger buffer, and is bounded', () => {
    const pool = new FramePool()
    const part = new Uint8Array(1000).subarray(100, 200)
    pool.give(part)
    expect(pool.take(100)).not.toBe(part)
    const many: Uint8Array[] = Array.from({ length: 20 }, () => new Uint8Array(100))
    for (const data of many) pool.give(data)
    const again = Array.from({ length: 20 }, () => pool.take(100))
    expect(again.filter((data) => many.includes(data))).toHaveLength(12)
  })

  it('returns lent memory to its lender, once, and does not keep it', () => {
    const pool = new FramePool()
    const data = new Uint8Array(100)
    let returned = 0
    lendMemory(data, () => returned++)
    pool.give(data)
    expect(returned).toBe(1)
    expect(pool.take(100)).not.toBe(data)
    expect(giveBack(data)).toBe(false)
    expect(returned).toBe(1)
  })
})
