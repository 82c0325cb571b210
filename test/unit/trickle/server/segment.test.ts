import { expect, test } from 'vitest'
import { Segment } from '../../../../src/trickle/server/segment.ts'

const text = (segment: Segment): string => {
  const cursor = segment.cursor()
  const parts: Uint8Array[] = []
  for (let chunk = cursor.next(); chunk; chunk = cursor.next()) parts.push(chunk)
  return Buffer.concat(parts).toString('latin1')
}

test('a cursor reads exactly across pages, however the chunks were split', () => {
  const segment = new Segment(0)
  const whole = Buffer.alloc(700_000)
  for (let i = 0; i < whole.length; i++) whole[i] = (i * 31 + (i >> 8)) & 255
  const sizes = [1, 3, 4095, 4096, 4097, 15_999, 16_000, 16_384, 40_000, 7]
  for (let at = 0, i = 0; at < whole.length; i++) {
    const size = sizes[i % sizes.length] ?? 1
    segment.append(whole.subarray(at, at + size))
    at += size
  }
  segment.close()
  expect(segment.bytes).toBe(whole.length)
  expect(text(segment)).toBe(whole.toString('latin1'))
})

test('a cursor at the end sees later growth and does not move others', () => {
  const segment = new Segment(0)
  const [early, late] = [segment.cursor(), segment.cursor()]
  segment.append(Buffer.from('abc'))
  expect(Buffer.from(early.next() ?? []).toString()).toBe('abc')
  expect(early.next()).toBeUndefined()
  segment.append(Buffer.from('d'))
  segment.append(Buffer.alloc(20_000, 'e'))
  expect(Buffer.from(early.next() ?? []).toString()).toBe('d')
  expect(early.next()).toHaveLength(20_000)
  expect(Buffer.from(late.next() ?? []).toString()).toBe('abcd')
})

test('many one-byte chunks take about as much memory as their bytes', () => {
  const segment = new Segment(0)
  const before = process.memoryUsage().arrayBuffers
  const byte = Buffer.from('x')
  for (let i = 0; i < 300_000; i++) segment.append(byte)
  segment.close()
  expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(2_000_000)
  expect(text(segment)).toHaveLength(300_000)
})

test('a closed segment accepts nothing, and its waiting readers wake up', async () => {
  const segment = new Segment(3)
  const read = (async () => {
    let out = ''
    for await (const chunk of segment.read()) out += Buffer.from(chunk).toString()
    return out
  })()
  segment.append(Buffer.from('a'))
  await Promise.resolve()
  segment.append(Buffer.from('b'))
  segment.close()
  segment.append(Buffer.from('c'))
  expect(await read).toBe('ab')
  expect([segment.bytes, segment.fresh]).toEqual([2, false])
})

test('waiting ends with the signal', async () => {
  const abort = new AbortController()
  const waiting = new Segment(0).changed(abort.signal)
  abort.abort(new Error('enough'))
  await expect(waiting).rejects.toThrow('enough')
})
