import { describe, expect, test } from 'vitest'
import { Vp8Packetizer } from 'werift'
import { joinNalUnits, nalUnits } from '../../../../src/codec/annexb.ts'
import { packetizeH264 } from '../../../../src/codec/rtp/h264.ts'
import type { OrderedPacket } from '../../../../src/codec/rtp/packet.ts'
import { VideoUnits } from '../../../../src/codec/rtp/video-units.ts'

/** 640x360, constrained baseline. */
const SPS = Uint8Array.from(Buffer.from('6742c01ed900a02ff970110000030001000003003c0f162e48', 'hex'))
const PPS = Uint8Array.from(Buffer.from('68cb8cb2', 'hex'))
const slice = (header: number, bytes: number) => {
  const nal = new Uint8Array(bytes).fill(0x55)
  nal.set([header, 0x88])
  return nal
}
const keyframe = (bytes: number) => joinNalUnits([SPS, PPS, slice(0x65, bytes)])
const frame = (bytes: number) => joinNalUnits([slice(0x41, bytes)])

let sequence = 0
function packets(payloads: readonly Uint8Array[], timestamp: number, marker = true): OrderedPacket[] {
  return payloads.map((payload, i) => ({
    lostBefore: 0,
    packet: {
      payloadType: 96,
      marker: marker && i === payloads.length - 1,
      sequence: sequence++ & 0xffff,
      timestamp,
      ssrc: 1,
      extension: new Uint8Array(),
      twoByteExtension: false,
      payloadOffset: 12,
      payload,
    },
  }))
}
const h264 = (unit: Uint8Array, timestamp: number, marker = true) =>
  packets(packetizeH264(unit, 1000), timestamp, marker)

describe('H.264', () => {
  test('frames are reassembled unchanged, keyframes with their size', () => {
    const units = new VideoUnits('h264')
    const out = [...h264(keyframe(5000), 1), ...h264(frame(2500), 2)].flatMap((one) => units.push(one))
    expect(out).toMatchObject([
      { timestamp: 1, key: true, size: { width: 640, height: 360 } },
      { timestamp: 2, key: false },
    ])
    expect(Buffer.compare(out[0]!.data, keyframe(5000))).toBe(0)
    expect(Buffer.compare(out[1]!.data, frame(2500))).toBe(0)
  })

  test('a frame ends where the next starts, when no marker is set', () => {
    const units = new VideoUnits('h264')
    const out = [...h264(keyframe(900), 1, false), ...h264(frame(900), 2)].flatMap((one) => units.push(one))
    expect(out.map(({ timestamp }) => timestamp)).toEqual([1, 2])
  })

  test('parameter sets that are marked belong to the frame that follows', () => {
    const units = new VideoUnits('h264')
    const parts = [SPS, PPS, slice(0x65, 3000)].flatMap((nal) => h264(joinNalUnits([nal]), 1))
    const out = parts.flatMap((one) => units.push(one))
    expect(out).toMatchObject([{ timestamp: 1, key: true, size: { width: 640, height: 360 } }])
    expect(Buffer.compare(out[0]!.data, keyframe(3000))).toBe(0)
    expect(units.dropped).toBe(0)
  })

  test('a damaged frame is dropped, and the next one is whole', () => {
    const units = new VideoUnits('h264')
    const damaged = h264(keyframe(5000), 1)
    damaged.splice(2, 1)
    damaged[2]!.lostBefore = 1
    const out = [...damaged, ...h264(frame(900), 2)].flatMap((one) => units.push(one))
    expect(out.map(({ timestamp }) => timestamp)).toEqual([2])
    expect(units.dropped).toBe(1)
  })

  test('so is one whose end was lost', () => {
    const units = new VideoUnits('h264')
    const cut = h264(keyframe(5000), 1).slice(0, -1)
    const next = h264(frame(2500), 2)
    next[0]!.lostBefore = 1
    const after = h264(frame(900), 3)
    const out = [...cut, ...next, ...after].flatMap((one) => units.push(one))
    expect(out.map(({ timestamp }) => timestamp)).toEqual([3])
    expect(units.dropped).toBe(2)
  })

  test('parameter sets are put in front of keyframes without them', () => {
    const units = new VideoUnits('h264', [SPS, PPS])
    const [unit] = h264(joinNalUnits([slice(0x65, 900)]), 1).flatMap((one) => units.push(one))
    expect(nalUnits(unit!.data).map((nal) => nal[0]! & 0x1f)).toEqual([7, 8, 5])
    expect(unit).toMatchObject({ key: true, size: { width: 640, height: 360 } })
  })

  test('padding is not a frame', () => {
    const units = new VideoUnits('h264')
    expect(packets([new Uint8Array()], 1).flatMap((one) => units.push(one))).toEqual([])
    expect(h264(frame(900), 2).flatMap((one) => units.push(one))).toHaveLength(1)
    expect(units.dropped).toBe(0)
  })

  test('an endless frame is dropped', () => {
    const units = new VideoUnits('h264')
    const part = Uint8Array.from([0x7c, 0x05, ...new Uint8Array(60_000)])
    units.push(packets([Uint8Array.of(0x7c, 0x85, 1)], 1, false)[0]!)
    for (let i = 0; i < 200; i++) units.push(packets([part], 1, false)[0]!)
    expect(units.push(packets([Uint8Array.of(0x7c, 0x45, 1)], 1)[0]!)).toEqual([])
    expect(units.dropped).toBe(1)
  })
})

describe('VP8', () => {
  const frame = (key: boolean, bytes: number) => {
    const data = Buffer.alloc(bytes, 7)
    data.set(key ? [0x10, 0, 0, 0x9d, 0x01, 0x2a, 0x80, 0x02, 0x68, 0x01] : [0x11, 0, 0])
    return data
  }

  test('frames packetized by another implementation are reassembled unchanged', () => {
    const units = new VideoUnits('vp8')
    const packetizer = new Vp8Packetizer()
    const payloads = (data: Buffer) => packetizer.packetize(data, 0).map(({ payload }) => payload)
    const frames = [frame(true, 4000), frame(false, 300), frame(false, 2000)]
    const out = frames.flatMap((data, i) => packets(payloads(data), i + 1)).flatMap((one) => units.push(one))
    expect(out).toMatchObject([{ key: true, size: { width: 640, height: 360 } }, { key: false }, { key: false }])
    for (const [i, data] of frames.entries()) expect(Buffer.compare(out[i]!.data, data)).toBe(0)
  })

  test.each([
    ['with all fields', [0x90, 0xf0, 0x81, 0x23, 0x05, 0x20]],
    ['with a short frame id', [0x90, 0x80, 0x12]],
    ['with nothing', [0x10]],
  ])('a descriptor %s is removed', (_, descriptor) => {
    const units = new VideoUnits('vp8')
    const payload = Uint8Array.from([...descriptor, ...frame(true, 40)])
    const [unit] = packets([payload], 1).flatMap((one) => units.push(one))
    expect(Buffer.compare(unit!.data, frame(true, 40))).toBe(0)
  })

  test.each([[[]], [[0x90]], [[0x90, 0x80, 0x81]], [[0x00, 1, 2]]])('%j is not a frame', (bytes) => {
    const units = new VideoUnits('vp8')
    expect(packets([Uint8Array.from(bytes)], 1).flatMap((one) => units.push(one))).toEqual([])
  })
})

test.each(['h264', 'vp8'] as const)('random payloads of %s are survived', (codec) => {
  const units = new VideoUnits(codec)
  for (let i = 0; i < 5000; i++) {
    const payload = Uint8Array.from({ length: Math.floor(Math.random() * 40) }, () => Math.floor(Math.random() * 256))
    units.push({ ...packets([payload], i >> 2, i % 3 === 0)[0]!, lostBefore: i % 50 === 0 ? 1 : 0 })
  }
})
