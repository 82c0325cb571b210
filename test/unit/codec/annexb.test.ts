import { describe, expect, test } from 'vitest'
import { AccessUnitSplitter, ParameterSets } from '../../../src/codec/access-unit.ts'
import { isAnnexB, joinNalUnits, nalSpans, nalUnits, unescapeNal } from '../../../src/codec/annexb.ts'
import { h264Syntax, isH264Keyframe } from '../../../src/codec/h264/nal.ts'
import { parseH264Sps } from '../../../src/codec/h264/sps.ts'
import { hevcSyntax } from '../../../src/codec/hevc/nal.ts'
import { parseHevcSps } from '../../../src/codec/hevc/sps.ts'
import { AppError } from '../../../src/core/errors.ts'
import { AUD, dice, frame, hex, PPS, SPS_640x360, slice } from './mpegts/ts-samples.ts'

describe('byte stream', () => {
  test.each([
    ['', []],
    ['00 00', []],
    ['00 00 01', []],
    ['00 00 01 65', ['65']],
    ['00 00 00 01 65 88', ['6588']],
    ['00 00 01 67 42 00 00 01 68 ce', ['6742', '68ce']],
    ['00 00 01 67 42 00 00 00 00 01 68 ce 00 00', ['6742', '68ce']],
    ['ab cd 00 00 01 65', ['65']],
    ['00 00 01 00 00 01 65', ['65']],
    ['00 00 01 65 00 00 03 01', ['6500000301']],
  ])('%s', (bytes, nals) => {
    expect(nalUnits(hex(bytes)).map((nal) => Buffer.from(nal).toString('hex'))).toEqual(nals)
  })

  test('the zero before a start code belongs to the unit it starts', () => {
    expect(nalSpans(hex('00000001 6742 00000001 68ce 000001 65'))).toEqual([
      { start: 0, offset: 4, end: 6 },
      { start: 6, offset: 10, end: 12 },
      { start: 12, offset: 15, end: 16 },
    ])
  })

  test('is distinguished from length-prefixed units', () => {
    expect(isAnnexB(hex('00000001 67'))).toBe(true)
    expect(isAnnexB(hex('000001 67'))).toBe(true)
    expect(isAnnexB(hex('00000002 67'))).toBe(false)
    expect(isAnnexB(hex('0000'))).toBe(false)
  })

  test('emulation prevention', () => {
    expect(unescapeNal(hex('01 000003 01 000003 000003'))).toEqual(hex('01 0000 01 0000 0000'))
  })
})

describe('H.264 SPS', () => {
  test.each([
    // Main; High, cropped from 1088 lines; Constrained Baseline.
    [Buffer.from(SPS_640x360).toString('hex'), { width: 640, height: 360, profile: 77, level: 30, frameRate: 30 }],
    ['67640028acd940780227e5c05a808080a0000003002000000781e30632c0', { width: 1920, height: 1080, profile: 100 }],
    ['6742c00dda0507e8400000030040000007a3c50aa8', { width: 320, height: 240, profile: 66, progressive: true }],
  ])('%s', (bytes, facts) => {
    expect(parseH264Sps(hex(bytes))).toMatchObject(facts)
  })

  test('a truncated one is an error, except in the usability information', () => {
    for (let length = 0; length < 10; length++) {
      expect(() => parseH264Sps(SPS_640x360.subarray(0, length)), `${length} bytes`).toThrow(AppError)
    }
    for (let length = 12; length < SPS_640x360.length; length++) {
      expect(parseH264Sps(SPS_640x360.subarray(0, length))).toMatchObject({ width: 640, height: 360 })
    }
  })
})

test('HEVC SPS', () => {
  // 1920x1080 Main, with a conformance window.
  const sps = hex('420101016000000300900000030000030078a003c08010e5965666924caf0168080000030008000003 00c84000')
  expect(parseHevcSps(sps)).toMatchObject({ width: 1920, height: 1080, progressive: true, fields: false })
  for (let length = 0; length < 22; length++) expect(() => parseHevcSps(sps.subarray(0, length))).toThrow(AppError)
})

test.each([
  ['42010101600000030090000003000003003ca00a080f165959a4932bc39a808080820000030002000003003210', 1, false],
  ['42010101600000030090000003000003003ca00a080f165959a4932bc39b808084820000030002000003003210', 9, true],
])('HEVC SPS with usability information, written by x265', (bytes, matrix, fullRange) => {
  expect(parseHevcSps(hex(bytes))).toEqual({
    ...{ width: 320, height: 240, progressive: true, fields: false },
    sampleAspect: { width: 4, height: 3 },
    colour: { primaries: 1, transfer: 1, matrix, fullRange },
  })
  for (let length = 24; length < bytes.length / 2; length++) {
    expect(parseHevcSps(hex(bytes).subarray(0, length))).toMatchObject({ width: 320, height: 240 })
  }
})

describe('keyframes', () => {
  const intra = slice(1, 40)
  intra[1] = 0x88
  const recoveryPoint = hex('06 06 01 c4 80')
  const otherMessage = hex('06 05 02 0601 80')
  test.each([
    ['an IDR frame', [AUD, slice(5, 40)], true],
    ['a P frame', [AUD, slice(1, 40)], false],
    ['a recovery point', [AUD, recoveryPoint, slice(1, 40)], true],
    ['another message', [AUD, otherMessage, slice(1, 40)], false],
    ['an intra frame with its SPS', [AUD, SPS_640x360, PPS, intra], true],
    ['an intra frame alone', [AUD, intra], false],
    ['a P frame with an SPS', [AUD, SPS_640x360, PPS, slice(1, 40)], false],
    ['no frame', [AUD, SPS_640x360, PPS], false],
  ])('%s: %s', (_, nals, key) => {
    expect(isH264Keyframe(nals)).toBe(key)
  })

  test('of HEVC: IDR, CRA and BLA only', () => {
    const keys = Array.from({ length: 32 }, (_, type) => hevcSyntax.isKeyframe([Uint8Array.of(type << 1, 1, 0x80, 0)]))
    expect(keys.map((key, type) => (key ? type : -1)).filter((type) => type >= 0)).toEqual([
      16, 17, 18, 19, 20, 21, 22, 23,
    ])
  })
})

describe('access units', () => {
  const split = (data: Uint8Array) => new AccessUnitSplitter(h264Syntax).split(data).map((unit) => unit.data)

  test('are split at delimiters, parameter sets and first slices, not between slices', () => {
    const units = [
      joinNalUnits([AUD, SPS_640x360, PPS, slice(5, 50), slice(5, 60, false)]),
      joinNalUnits([slice(1, 50), slice(1, 50, false)]),
      joinNalUnits([slice(1, 50)]),
      joinNalUnits([SPS_640x360, PPS, slice(5, 50)]),
    ]
    expect(split(new Uint8Array(Buffer.concat(units)))).toEqual(units)
  })

  test('of a stream that may have fields stay together', () => {
    // One of these bits is frame_mbs_only_flag.
    const interlaced = [...Array(SPS_640x360.length * 8).keys()].flatMap((bit) => {
      const changed = SPS_640x360.slice()
      changed[bit >> 3] = (changed[bit >> 3] as number) ^ (0x80 >> (bit & 7))
      try {
        return parseH264Sps(changed).progressive ? [] : [changed]
      } catch {
        return []
      }
    })
    expect(interlaced.length).toBeGreaterThan(0)
    const unit = joinNalUnits([AUD, interlaced[0] as Uint8Array, PPS, slice(5, 50), slice(1, 50)])
    expect(split(unit)).toEqual([unit])
  })

  test('keyframes without parameter sets get the latest ones', () => {
    const sets = new ParameterSets(h264Syntax)
    const [first] = new AccessUnitSplitter(h264Syntax).split(frame(true, 200))
    const [bare] = new AccessUnitSplitter(h264Syntax).split(joinNalUnits([AUD, slice(5, 50)]))
    if (!first || !bare) throw new Error('no access unit')
    expect(sets.complete(bare)).toBeUndefined()
    sets.note(first)
    expect(sets.complete(first)).toBe(first.data)
    expect(sets.complete(bare)).toEqual(joinNalUnits([AUD, SPS_640x360, PPS, slice(5, 50)]))
  })
})

test('parameter sets added to many tiny keyframes stay within the size of the input', () => {
  const padded = Array.from({ length: 256 }, (_, id) => {
    // pic_parameter_set_id as Exp-Golomb, then padding.
    const bits = (id + 1).toString(2)
    const code = `${'0'.repeat(bits.length - 1)}${bits}1`.padEnd(24, '0')
    const head = [0x68, ...[0, 8, 16].map((at) => Number.parseInt(code.slice(at, at + 8), 2))]
    return Uint8Array.from({ length: 4000 }, (_, i) => head[i] ?? 0xff)
  })
  const sets = new ParameterSets(h264Syntax)
  const [first] = new AccessUnitSplitter(h264Syntax).split(joinNalUnits([AUD, SPS_640x360, ...padded, slice(5, 8)]))
  sets.note(first!)
  const produced = (count: number) => {
    let bytes = 0
    const units = new AccessUnitSplitter(h264Syntax).split(
      joinNalUnits(Array.from({ length: count }, () => slice(5, 8))),
    )
    expect(units).toHaveLength(count)
    for (const unit of units) bytes += sets.complete(unit)!.length
    return bytes
  }
  const input = joinNalUnits([slice(5, 8)]).length
  for (const count of [1000, 2000, 4000]) expect(produced(count)).toBeLessThan(4 * count * input + 1024 * 1024)
})

test('random bytes terminate, and throw nothing but AppError', () => {
  const roll = dice(7)
  for (let round = 0; round < 3000; round++) {
    const data = Uint8Array.from({ length: roll(120) }, () => (roll(3) === 0 ? roll(2) : roll(256)))
    for (const syntax of [h264Syntax, hevcSyntax]) {
      const sets = new ParameterSets(syntax)
      for (const unit of new AccessUnitSplitter(syntax).split(data)) {
        sets.note(unit)
        sets.complete(unit)
      }
      try {
        syntax.parseSps(data)
      } catch (thrown) {
        expect(thrown).toBeInstanceOf(AppError)
      }
    }
  }
})
