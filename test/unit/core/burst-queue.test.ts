import { describe, expect, it } from 'vitest'
import { BurstQueue } from '../../../src/core/burst-queue.ts'

describe('BurstQueue', () => {
  it('lets a burst pass whole and in order', () => {
    const queue = new BurstQueue<number>(100, 16)
    for (let i = 0; i < 6; i++) expect(queue.push(i, 0)).toEqual([])
    expect(Array.from({ length: 7 }, () => queue.shift())).toEqual([0, 1, 2, 3, 4, 5, undefined])
    expect(queue.dropped).toBe(0)
  })

  it('gives up all but the newest when the oldest has waited too long', () => {
    const queue = new BurstQueue<number>(100, 16)
    queue.push(1, 0)
    queue.push(2, 50)
    expect(queue.push(3, 101)).toEqual([1, 2])
    expect([queue.shift(), queue.shift()]).toEqual([3, undefined])
    expect(queue.dropped).toBe(2)
  })

  it('is bounded in length', () => {
    const queue = new BurstQueue<number>(1e9, 3)
    for (let i = 0; i < 3; i++) queue.push(i, 0)
    expect(queue.push(3, 0)).toEqual([0, 1, 2])
    expect(queue.length).toBe(1)
  })
})
