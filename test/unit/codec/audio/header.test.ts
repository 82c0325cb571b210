import { describe, expect, test } from 'vitest'
import { readAc3Header } from '../../../../src/codec/audio/ac3.ts'
import { readAdtsHeader } from '../../../../src/codec/audio/adts.ts'
import { latmHeaderReader } from '../../../../src/codec/audio/latm.ts'
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
  ])('the duration of a packet that starts with %s', (bytes, samples) => {
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

test('random bytes give a plausible header or none', () => {
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

describe('AC-3 and E-AC-3', () => {
  test.each([
    // 192 kbit/s at 48 kHz; 448 kbit/s at 44.1 kHz with six channels; 96 kbit/s at 32 kHz, one channel; half the rate.
    ['0b77fe95 14 40 43', { length: 768, samples: 1536, sampleRate: 48_000, channels: 2 }],
    ['0b77e1e7 5e 40 eb', { length: 1950, samples: 1536, sampleRate: 44_100, channels: 6 }],
    ['0b772fed 8c 40 2f', { length: 576, samples: 1536, sampleRate: 32_000, channels: 1 }],
    ['0b77fe95 14 48 43', { length: 768, sampleRate: 24_000 }],
    // E-AC-3 with six blocks, with one block, and at half the rate.
    ['0b7700ff 34 87 c0', { length: 512, samples: 1536, sampleRate: 48_000, channels: 2 }],
    ['0b7701ff 0f 87 c0', { length: 1024, samples: 256, channels: 6 }],
    ['0b7701ff d4 87 c0', { samples: 1536, sampleRate: 22_050, channels: 2 }],
    ['0b77fe95 3f 40 43', 'bad'],
    ['0b77fe95 d4 40 43', 'bad'],
    ['0b77fe95 14 90 43', 'bad'],
    // A dependent substream without its independent one.
    ['0b7740ff 34 87 c0', 'bad'],
    ['0b78', 'bad'],
    ['0b77fe95 14', 'short'],
    ['0b', 'short'],
  ])('%s', (bytes, header) => {
    const read = readAc3Header(hex(bytes), 0)
    if (typeof header === 'string') expect(read).toBe(header)
    else expect(read).toMatchObject(header)
  })

  test('substreams belong to the preceding frame', () => {
    const frame = (type: string) => {
      const bytes = new Uint8Array(512)
      bytes.set(hex(`0b77${type}ff3487c0`))
      return bytes
    }
    const data = Buffer.concat([frame('00'), frame('40'), frame('08'), frame('00')])
    expect(readAc3Header(data, 0)).toMatchObject({ length: 3 * 512, samples: 1536 })
    expect(readAc3Header(data, 3 * 512)).toMatchObject({ length: 512 })
  })
})

describe('AAC in LATM', () => {
  const frame = (start: string) => {
    const bytes = hex(start)
    const whole = new Uint8Array(3 + (((bytes[1]! & 0x1f) << 8) | bytes[2]!))
    whole.set(bytes.subarray(0, whole.length))
    return whole
  }

  test.each([
    ['56e128 200011901fe7f9', { length: 299, samples: 1024, sampleRate: 48_000, channels: 2 }],
    ['56e208 200013881fe7ff', { length: 523, samples: 1024, sampleRate: 22_050, channels: 1 }],
    // A second program; a truncated config; no config yet.
    ['56e010 200411901fe7f9', 'bad'],
    ['56e002 2000', 'bad'],
    ['56e010 a00011901fe7f9', 'bad'],
    ['56c010 200011901fe7f9', 'bad'],
  ])('%s', (start, header) => {
    const read = latmHeaderReader()(frame(start), 0)
    if (typeof header === 'string') expect(read).toBe(header)
    else expect(read).toMatchObject(header)
  })

  test('a stream configuration applies to later frames, and incomplete frames are not read', () => {
    const read = latmHeaderReader()
    const first = frame('56e128 200011901fe7f9')
    expect(read(first.subarray(0, 200), 0)).toBe('short')
    expect(read(first, 0)).toMatchObject({ sampleRate: 48_000 })
    expect(read(frame('56e010 a0ff'), 0)).toMatchObject({ length: 19, sampleRate: 48_000, samples: 1024 })
  })
})
