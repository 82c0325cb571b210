import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseSdpFragment, writeSdpFragment } from '../../../../src/codec/sdp/fragment.ts'
import {
  h264ParameterSets,
  h264Profile,
  headerExtensions,
  repairStreams,
  rtpCodecs,
} from '../../../../src/codec/sdp/media.ts'
import { attribute, attributeValues, direction, inherited, parseSdp } from '../../../../src/codec/sdp/session.ts'

const TEXT = `v=0
o=- 1 1 IN IP4 0.0.0.0
s=-
t=0 0
a=setup:actpass
m=video 9 UDP/TLS/RTP/SAVPF 96 97 98
c=IN IP4 0.0.0.0
a=mid:0
a=recvonly
a=rtpmap:96 H264/90000
a=fmtp:96 profile-level-id=42E01F; packetization-mode=1;sprop-parameter-sets=Z0LAHtkDxWhAAAADAEAAAAwDxYuS,aMuMsg==
a=rtcp-fb:96 nack
a=rtcp-fb:* nack pli
a=rtpmap:97 rtx/90000
a=fmtp:97 apt=96
a=extmap:3/recvonly urn:one
a=ssrc-group:FID 7 8
a=ssrc-group:SIM 7 9
`

describe('parseSdp', () => {
  const sdp = parseSdp(TEXT)
  const [media] = sdp.media

  test('sections, attributes and inherited values', () => {
    expect(media).toMatchObject({ kind: 'video', port: 9, protocol: 'UDP/TLS/RTP/SAVPF', formats: ['96', '97', '98'] })
    expect(attribute(media!, 'mid')).toBe('0')
    expect(attribute(media!, 'setup')).toBeUndefined()
    expect(inherited(sdp, media!, 'setup')).toBe('actpass')
    expect(direction(sdp, media!)).toBe('recvonly')
    expect(attributeValues(media!, 'rtcp-fb')).toHaveLength(2)
  })

  test('codecs with their parameters and feedback', () => {
    const [h264, rtx] = rtpCodecs(media!)
    expect(h264).toMatchObject({ payloadType: 96, name: 'h264', clockRate: 90_000, feedback: ['nack', 'nack pli'] })
    expect(h264!.parameters).toMatchObject({ 'profile-level-id': '42E01F', 'packetization-mode': '1' })
    expect(h264ParameterSets(h264!).map((nal) => nal[0])).toEqual([0x67, 0x68])
    expect(rtx).toMatchObject({ name: 'rtx', parameters: { apt: '96' } })
    expect(repairStreams(media!)).toEqual(new Map([[8, 7]]))
    expect(headerExtensions(media!)).toEqual([{ id: 3, uri: 'urn:one', direction: 'recvonly' }])
  })

  test('both line endings, and text in front', () => {
    expect(parseSdp(`offer\n${TEXT.replaceAll('\n', '\r\n')}`)).toEqual(sdp)
  })

  test.each([
    ['nothing', ''],
    ['another format', '{"type":"offer"}'],
    ['a broken line', 'v=0\r\nhello\r\n'],
    ['a section without formats', 'v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF\r\n'],
    ['a section without a port', 'v=0\r\nm=audio x UDP/TLS/RTP/SAVPF 0\r\n'],
    ['too many lines', `v=0\r\n${'a=x\r\n'.repeat(6000)}`],
  ])('%s is refused', (_, text) => {
    expect(() => parseSdp(text)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
  })
})

test.each([
  ['42e01f', 'constrained-baseline'],
  ['42c016', 'constrained-baseline'],
  ['42001f', 'baseline'],
  ['4d001f', 'main'],
  ['4d801f', 'constrained-baseline'],
  ['64001f', 'high'],
  ['640c1f', 'high'],
  ['f4001f', 'other'],
  ['422001e', 'other'],
  [undefined, 'baseline'],
])('profile-level-id %s is %s', (id, profile) => {
  const parameters: Record<string, string> = id === undefined ? {} : { 'profile-level-id': id }
  const codec = { payloadType: 96, name: 'h264', clockRate: 90_000, channels: 1, parameters, feedback: [] }
  expect(h264Profile(codec)).toBe(profile)
})

describe('fragments', () => {
  test('candidates and credentials, at session and media level', () => {
    const fragment =
      'a=ice-ufrag:EsAw\r\na=ice-pwd:P2uYro0UCOQ4zxjKXaWCBui1\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n'
    expect(parseSdpFragment(fragment)).toEqual({
      ufrag: 'EsAw',
      password: 'P2uYro0UCOQ4zxjKXaWCBui1',
      candidates: ['1 1 udp 1 192.0.2.1 9 typ host'],
    })
    const inside = 'm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=ice-ufrag:EsAw\r\na=ice-pwd:secret\r\na=end-of-candidates\r\n'
    expect(parseSdpFragment(inside)).toEqual({ ufrag: 'EsAw', password: 'secret', candidates: [] })
  })

  test.each(['', 'hello', 'a=mid:0\r\n', 'a=ice-ufrag:EsAw\r\n', '\0'])('%j is refused', (text) => {
    expect(() => parseSdpFragment(text)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
  })

  test('written text parses back', () => {
    const ice = { ufrag: 'u', password: 'p', candidates: ['1 1 udp 1 192.0.2.1 9 typ host'] }
    expect(parseSdpFragment(writeSdpFragment(ice, { kind: 'video', mid: '0', format: 96 }))).toEqual(ice)
  })
})

test('parsing is linear in the length of the offer, whatever it contains', () => {
  const offer = (formats: number, feedback: number) =>
    [
      'v=0',
      `m=video 9 UDP/TLS/RTP/SAVPF ${Array.from({ length: formats }, (_, i) => i % 128).join(' ')}`,
      ...Array.from({ length: 128 }, (_, i) => `a=rtpmap:${i} H264/90000`),
      ...Array.from({ length: feedback }, (_, i) => `a=rtcp-fb:* x${i}`),
    ].join('\n')
  const codecs = rtpCodecs(parseSdp(offer(33_000, 4500)).media[0]!)
  expect(codecs).toHaveLength(128)
  expect(codecs.reduce((sum, { feedback }) => sum + feedback.length, 0)).toBeLessThanOrEqual(128 * 64)
  const many = `m=video 9 UDP/TLS/RTP/SAVPF ${Array.from({ length: 129 }, (_, i) => i).join(' ')}`
  expect(() => parseSdp(`v=0\n${many}`)).toThrow('over 128 formats')
  expect(() => parseSdp(`v=0\n${'m=video 9 RTP/AVP 96\n'.repeat(65)}`)).toThrow('over 64 media sections')
})

test('500 damaged offers are parsed or refused', () => {
  const folder = join(import.meta.dirname, '../../webrtc/offers')
  const offers = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'latin1'))
  for (let i = 0; i < 500; i++) {
    const bytes = Buffer.from(offers[i % offers.length]!, 'latin1')
    for (let flips = 0; flips < 1 + (i % 20); flips++)
      bytes[Math.floor(Math.random() * bytes.length)] = Math.random() * 256
    try {
      const { media } = parseSdp(bytes.toString('latin1'))
      for (const one of media) for (const codec of rtpCodecs(one)) h264ParameterSets(codec)
    } catch (thrown) {
      expect(thrown).toMatchObject({ code: 'invalid-request' })
    }
  }
})
