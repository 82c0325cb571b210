import { describe, expect, it } from 'vitest'
import { BurstQueue } from '../../../src/core/burst-queue.ts'

describe('BurstQueue', () => {
  it('passes a burst whole and in order', () => {
    const queue = new BurstQueue<number>({ waitMs: 100, length: 16 })
    for (let i = 0; i < 6; i++) expect(queue.push(i, 0)).toEqual([])
    expect(Array.from({ length: 7 }, () => queue.shift())).toEqual([0, 1, 2, 3, 4, 5, undefined])
    expect(queue.dropped).toBe(0)
  })

  it('drops all but the newest when the oldest has waited too long', () => {
    const queue = new BurstQueue<number>({ waitMs: 100, length: 16 })
    queue.push(1, 0)
    queue.push(2, 50)
    expect(queue.push(3, 101)).toEqual([1, 2])
    expect([queue.shift(), queue.shift()]).toEqual([3, undefined])
    expect(queue.dropped).toBe(2)
  })

  it('uses the limits of the moment', () => {
    const queue = new BurstQueue<number>((now) => ({ waitMs: now < 1000 ? 500 : 100, length: 16 }))
    queue.push(1, 800)
    expect(queue.push(2, 999)).toEqual([])
    expect(queue.push(3, 1000)).toEqual([1, 2])
  })

  it('drops only the oldest where the loss is to be spread', () => {
    const queue = new BurstQueue<number>({ waitMs: 100, length: 4, spread: true })
    for (let i = 0; i < 4; i++) expect(queue.push(i, i * 30)).toEqual([])
    expect(queue.push(4, 121)).toEqual([0])
    expect(queue.push(5, 200)).toEqual([1, 2, 3])
    expect([queue.shift(), queue.shift(), queue.shift(), queue.dropped]).toEqual([4, 5, undefined, 4])
  })

  it('is bounded in length', () => {
    const queue = new BurstQueue<number>({ waitMs: 1e9, length: 3 })
    for (let i = 0; i < 3; i++) queue.push(i, 0)
    expect(queue.push(3, 0)).toEqual([0, 1, 2])
    expect(queue.length).toBe(1)
  })
})
