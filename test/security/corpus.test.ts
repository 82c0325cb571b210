import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { attack, targets } from '../fuzz/targets.ts'

const CORPUS = fileURLToPath(new URL('../fuzz/corpus', import.meta.url))
/** Real inputs take less than a millisecond; the rest is for busy machines. */
const INPUT_MS = 2000
const VARIANTS = 300

const inputs = (name: string): Buffer[] =>
  readdirSync(join(CORPUS, name)).map((file) => readFileSync(join(CORPUS, name, file)))

/** Damage as networks and attackers cause it: changed bytes, truncation, repeated or missing parts. */
function damaged(input: Buffer, seed: number): Buffer {
  let state = (seed * 2654435761) >>> 0 || 1
  const dice = (below: number) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
  const [from, length] = [dice(input.length), 1 + dice(64)]
  const rest = input.subarray(from + length)
  switch (seed % 4) {
    case 0: {
      const other = Buffer.from(input)
      for (let i = 0; i < 1 + (seed % 16); i++) other[dice(other.length)] = [0, 0xff, 0x7f, 0x80, dice(256)][dice(5)]!
      return other
    }
    case 1:
      return input.subarray(0, from)
    case 2:
      return Buffer.concat([input.subarray(0, from), rest])
    default:
      return Buffer.concat([input.subarray(0, from + length), input.subarray(from)])
  }
}

describe.each(Object.keys(targets))('%s', (name) => {
  // The table checksums are computed by the accompanying target.
  const seeds = name === 'mpegts-tables' ? [Buffer.from('0001f000e100f0001be100f000', 'hex')] : inputs(name)

  test('accepts any mutation of its corpus within its bounds', () => {
    expect(seeds.length).toBeGreaterThan(0)
    for (const input of seeds) {
      attack(name, input)
      for (let seed = 1; seed <= VARIANTS; seed++) {
        const variant = damaged(input, seed)
        const start = performance.now()
        attack(name, variant)
        expect(performance.now() - start, variant.toString('hex').slice(0, 2000)).toBeLessThan(INPUT_MS)
      }
    }
  })
})

test.each(Object.keys(targets).filter((name) => !['mpegts-tables', 'opus', 'stun'].includes(name)))(
  '%s: parses something from its corpus',
  (name) => {
    expect(inputs(name).map((input) => targets[name]?.run(input))).toEqual(
      inputs(name).map(() => expect.toSatisfy((bytes: number) => bytes > 0)),
    )
  },
)
