import { expect, test } from 'vitest'
import { LossyView } from '../../../bench/lib/viewers/loss.ts'

const PACKETS_A_FRAME = 10
const FRAME_MS = 33

/** Frames of ten packets at 30 per second; retransmissions arrive after `backMs`. */
function watch(loss: number, backMs: number | undefined, frames = 300) {
  const due: { at: number; sequence: number }[] = []
  let now = 0
  let asked = 0
  const view = new LossyView(loss, (sequences) => {
    asked += sequences.length
    if (backMs !== undefined) for (const sequence of sequences) due.push({ at: now + backMs, sequence })
  })
  // The first number, chosen so that the wrap falls between two frames.
  const first = 0x10000 - 50 * PACKETS_A_FRAME
  const add = (sequence: number) => {
    const marker = ((sequence + 0x10000 - first) % 0x10000) % PACKETS_A_FRAME === PACKETS_A_FRAME - 1
    view.add({ sequence, marker, timestamp: 0, ssrc: 1, bytes: 1000, at: now })
  }
  for (let frame = 0; frame < frames; frame++) {
    now = frame * FRAME_MS
    for (const { sequence } of due.splice(0, due.filter(({ at }) => at <= now).length)) add(sequence)
    for (let i = 0; i < PACKETS_A_FRAME; i++) add((first + frame * PACKETS_A_FRAME + i) & 0xffff)
  }
  return { ...view.counts, asked }
}

test('without loss nothing is requested, and each frame is shown on arrival', () => {
  expect(watch(0, 0)).toEqual({ resent: 0, gaveUp: 0, freezeMs: FRAME_MS, asked: 0 })
})

test('lost packets are requested, and no frame waits long once they arrive', () => {
  const { resent, gaveUp, freezeMs } = watch(0.05, 0)
  expect(gaveUp).toBe(0)
  expect(resent).toBeGreaterThan(0.04 * 3000)
  expect(resent).toBeLessThan(0.07 * 3000)
  expect(freezeMs).toBeLessThan(500)
})

test('packets that never arrive are given up after half a second', () => {
  const { resent, gaveUp, freezeMs } = watch(0.005, undefined)
  expect(resent).toBe(0)
  expect(gaveUp).toBeGreaterThan(5)
  expect(freezeMs).toBeGreaterThanOrEqual(500)
})
