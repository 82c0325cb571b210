import { describe, expect, it, test } from 'vitest'
import { namedStreams, rtpCodecs } from '../../../src/codec/sdp/media.ts'
import { attribute, attributeValues, parseSdp } from '../../../src/codec/sdp/session.ts'
import { namedAddresses, withoutSilence, writeOffer } from '../../../src/webrtc/client/offer.ts'
import { writeAnswer } from '../../../src/webrtc/signalling/answer.ts'
import { negotiate } from '../../../src/webrtc/signalling/negotiate.ts'

const local = {
  ...{ ufrag: 'abcdefgh', password: 'p'.repeat(24), fingerprint: { algorithm: 'sha-256', value: 'AA:BB' } },
  candidates: [
    '1 1 udp 2130706431 192.0.2.7 5000 typ host',
    '2 1 tcp 1526726655 192.0.2.7 5000 typ host tcptype passive',
  ],
}
const streams = { video: { cname: 'c', ssrc: 7, retransmissionSsrc: 8 }, audio: { cname: 'c', ssrc: 9 } }

describe('our offer', () => {
  it.each(['send', 'receive'] as const)(
    'to %s is accepted by an endpoint of this server, and its answer by us',
    (flow) => {
      const offer = parseSdp(writeOffer(flow, local, flow === 'send' ? streams : {}))
      const theirs = negotiate(offer, flow === 'send' ? 'receive' : 'send')
      expect(theirs.media.map(({ kind, codecs }) => [kind, codecs[0]?.name])).toEqual([
        ['video', 'h264'],
        ['audio', 'opus'],
      ])
      const role = theirs.transport.role
      const answer = parseSdp(writeAnswer(theirs, { ...local, role }, new Map()))
      const ours = negotiate(answer, flow)
      expect(ours.media.map(({ kind, codecs }) => [kind, codecs[0]?.name])).toEqual([
        ['video', 'h264'],
        ['audio', 'opus'],
      ])
      // One side starts the handshake.
      expect(new Set([role, ours.transport.role])).toEqual(new Set(['client', 'server']))
      expect(theirs.media[0]?.repairs).toEqual(flow === 'send' ? new Map([[8, 7]]) : new Map())
    },
  )

  test('uses no payload type twice in its bundle, and no TCP port', () => {
    const { media } = parseSdp(writeOffer('receive', local))
    const formats = media.flatMap((section) => section.formats)
    expect(new Set(formats).size).toBe(formats.length)
    expect(media.flatMap((section) => attributeValues(section, 'candidate'))).toEqual([local.candidates[0]])
    expect(attribute(media[0]!, 'setup')).toBe('actpass')
  })
})

test('has the requested sections in one bundle, each with a transport, and streams in the first', () => {
  const { attributes, media } = parseSdp(writeOffer('send', local, streams, { video: 3, audio: 2, data: true }))
  expect(media.map(({ kind }) => kind)).toEqual(['video', 'video', 'video', 'audio', 'audio', 'application'])
  expect(attributeValues({ attributes }, 'group')).toEqual(['BUNDLE 0 1 2 3 4 5'])
  expect(media.map((section) => attribute(section, 'mid'))).toEqual(['0', '1', '2', '3', '4', '5'])
  expect(media.every((section) => attribute(section, 'ice-ufrag') === local.ufrag)).toBe(true)
  expect(media.map((section) => namedStreams(section).length)).toEqual([2, 0, 0, 1, 0, 0])
  expect(attribute(media[5]!, 'sctp-port')).toBe('5000')
  expect(media.map((section) => attributeValues(section, 'candidate').length)).toEqual([1, 0, 0, 0, 0, 0])
})

test('an answer that accepts audio we do not read is one without', () => {
  const text = writeOffer('send', local, streams).replace('opus/48000/2', 'PCMU/8000')
  const { media } = withoutSilence(parseSdp(text))
  expect(media.map((section) => [section.kind, section.port, rtpCodecs(section).length > 0])).toEqual([
    ['video', 9, true],
    ['audio', 0, true],
  ])
})

test('UDP addresses of an answer are used, each once, and no host names', () => {
  const lines = [
    ...['1 1 udp 1 192.0.2.7 5000 typ host', '1 1 UDP 1 192.0.2.7 5000 typ host', '2 1 tcp 1 192.0.2.7 5000 typ host'],
    ...[
      '3 1 udp 1 host.local 5000 typ host',
      '4 2 udp 1 192.0.2.7 5001 typ host',
      '5 1 udp 1 2001:db8::1 5000 typ srflx',
    ],
    ...['6 1 udp 1 192.0.2.8 0 typ host', 'nonsense'],
  ]
  const sdp = parseSdp(
    `v=0\r\nm=video 9 UDP/TLS/RTP/SAVPF 96\r\n${lines.map((line) => `a=candidate:${line}\r\n`).join('')}`,
  )
  expect(namedAddresses(sdp)).toEqual([
    { address: '192.0.2.7', port: 5000 },
    { address: '2001:db8::1', port: 5000 },
  ])
})
