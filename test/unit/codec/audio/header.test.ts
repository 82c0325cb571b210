import { describe, expect, test } from 'vitest'
import { readAdtsHeader } from '../../../../src/codec/audio/adts.ts'
import { readMpegAudioHeader } from '../../../../src/codec/audio/mpeg.ts'
import { opusHeaderReader, opusSamples, withOpusHeader } from '../../../../src/codec/audio/opus-ts.ts'
import { adts, dice, hex } from '../mpegts/ts-samples.ts'

describe('ADTS', () => {
  test.each([
    [adts(321), { length: 321, samples: 1024, sampleRate: 48_000, channels: 2 }],
    [hex('fff15040 2a3ffc'), { length: 337, samples: 1024, sampleRate: 44_100, channels: 1 }],
    [hex('fff95dc0 2a3ffd'), { length: 337, samples: 2048, sampleRate: 22_050, channels: 8 }],
    [hex('fff1 7400 2a3ffc'), 'bad'],
    [hex('fff1 5040 2a'), 'short'],
    [hex('ff'), 'short'],
    [hex('00'), 'bad'],
    [hex('fff35040 2a3ffc'), 'bad'],
    [hex('fff15040 00dffc'), 'bad'],
  ])('%s', (data, header) => {
    const read = readAdtsHeader(data, 0)
    if (typeof header === 'string') expect(read).toBe(header)
    else expect(read).toMatchObject(header)
  })
})

describe('MPEG audio', () => {
  test.each([
    // 128 kbit/s layer III at 44.1 kHz, without and with padding; 64 kbit/s at 24 kHz; layer II; layer I.
    ['fffb9000', { length: 417, samples: 1152, sampleRate: 44_100, channels: 2 }],
    ['fffb9200', { length: 418 }],
    ['fffb94c0', { length: 384, sampleRate: 48_000, channels: 1 }],
    ['fff38440', { length: 192, samples: 576, sampleRate: 24_000, channels: 2 }],
    ['fffd8400', { length: 384, samples: 1152, sampleRate: 48_000 }],
    ['ffff4400', { length: 128, samples: 384, sampleRate: 48_000 }],
    ['ffe3 8440', { samples: 576, sampleRate: 12_000 }],
    ['fffb0000', 'bad'],
    ['fffbf000', 'bad'],
    ['fffb9c00', 'bad'],
    ['ffeb9000', 'bad'],
    ['fff99000', 'bad'],
    ['fffb90', 'short'],
    ['0ffb9000', 'bad'],
  ])('%s', (bytes, header) => {
    const read = readMpegAudioHeader(hex(bytes), 0)
    if (typeof header === 'string') expect(read).toBe(header)
    else expect(read).toMatchObject(header)
  })
})

describe('Opus', () => {
  test.each([
    ['00', 480],
    ['18', 2880],
    ['60', 480],
    ['78', 960],
    ['80', 120],
    ['fc', 960],
    ['fd', 1920],
    ['fb 03', 2880],
    ['fb 06', 5760],
    ['fb 3f', 0],
    ['fb', 0],
    ['', 0],
  ])('the length of a packet that begins with %s', (bytes, samples) => {
    expect(opusSamples(hex(bytes))).toBe(samples)
  })

  const read = opusHeaderReader(2)
  test.each([
    ['7fe0 03 fc0102', { skip: 3, length: 3, samples: 960 }],
    ['7ff0 03 0138 fc0102', { skip: 5, length: 3 }],
    ['7ff8 03 0138 0010 fc0102', { skip: 7, length: 3 }],
    ['7fe4 03 02aabb fc0102', { skip: 6, length: 3 }],
    ['7fe0 00', 'bad'],
    ['7f00 03 fc0102', 'bad'],
    ['7fe0', 'short'],
    ['7fe0 ff', 'short'],
    ['7fe4 03', 'short'],
    ['00', 'bad'],
  ])('the control header %s', (bytes, header) => {
    const found = read(hex(bytes), 0)
    if (typeof header === 'string') expect(found).toBe(header)
    else expect(found).toMatchObject(header)
  })

  test('the control header we write', () => {
    expect(withOpusHeader(hex('fc0102'))).toEqual(hex('7fe003fc0102'))
    expect(withOpusHeader(new Uint8Array(255)).subarray(0, 5)).toEqual(hex('7fe0ff0000'))
  })
})

test('random bytes give a header within reason, or none', () => {
  const roll = dice(9)
  for (let round = 0; round < 20_000; round++) {
    const data = Uint8Array.from({ length: roll(12) }, () => (roll(2) ? 0xff : roll(256)))
    for (const read of [readAdtsHeader, readMpegAudioHeader, opusHeaderReader(2)]) {
      const header = read(data, 0)
      if (typeof header === 'string') continue
      expect(header.length).toBeGreaterThan(0)
      expect(header.samples).toBeGreaterThan(0)
      expect(header.sampleRate).toBeGreaterThanOrEqual(7350)
    }
  }
})
