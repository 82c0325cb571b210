import { expect, test } from 'vitest'
import { attribute, attributeValues, direction, parseSdp, type Sdp } from '../../../../src/codec/sdp/session.ts'
import { writeAnswer } from '../../../../src/webrtc/signalling/answer.ts'
import { negotiate } from '../../../../src/webrtc/signalling/negotiate.ts'

const LOCAL = {
  ufrag: 'ours',
  password: 'passwordpasswordpassword',
  fingerprint: { algorithm: 'sha-256', value: 'AA:BB' },
  candidates: ['1 1 udp 2130706431 203.0.113.9 50000 typ host'],
}

/** Sections of a browser offer, numbered by position: `kind direction`, with `off` for rejected ones. */
function offerOf(sections: readonly string[], bundle = sections.map((_, i) => String(i))): string {
  const transport = [
    'a=ice-ufrag:abcd',
    'a=ice-pwd:efghijklmnopqrstuvwxyz',
    'a=fingerprint:sha-256 11:22',
    'a=setup:actpass',
  ]
  const codecs: Record<string, string[]> = {
    audio: ['m=audio 9 UDP/TLS/RTP/SAVPF 111', 'a=rtpmap:111 opus/48000/2'],
    pcmu: ['m=audio 9 UDP/TLS/RTP/SAVPF 0', 'a=rtpmap:0 PCMU/8000'],
    video: ['m=video 9 UDP/TLS/RTP/SAVPF 96', 'a=rtpmap:96 H264/90000', 'a=fmtp:96 packetization-mode=1'],
    other: ['m=video 9 UDP/TLS/RTP/SAVPF 98', 'a=rtpmap:98 FLEXFEC-03/90000'],
    bare: [
      'm=video 0 UDP/TLS/RTP/SAVPF 96',
      'a=bundle-only',
      'a=rtpmap:96 H264/90000',
      'a=fmtp:96 packetization-mode=1',
    ],
    data: ['m=application 9 UDP/DTLS/SCTP webrtc-datachannel', 'a=sctp-port:5000', 'a=max-message-size:262144'],
    sctpmap: ['m=application 9 DTLS/SCTP 5000', 'a=sctpmap:5000 webrtc-datachannel 256'],
    closed: ['m=video 0 UDP/TLS/RTP/SAVPF 96', 'a=rtpmap:96 H264/90000'],
  }
  const lines = sections.flatMap((section, i) => {
    const [kind = '', way] = section.split(' ')
    const shared = kind === 'bare' ? [] : transport
    return [...codecs[kind]!, 'c=IN IP4 0.0.0.0', `a=mid:${i}`, ...shared, ...(way ? [`a=${way}`] : [])]
  })
  const group = bundle.length > 0 ? [`a=group:BUNDLE ${bundle.join(' ')}`] : []
  return `${['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', ...group, ...lines].join('\r\n')}\r\n`
}

function answerTo(flow: 'send' | 'receive', offer: string): Sdp {
  const agreement = negotiate(parseSdp(offer), flow)
  return parseSdp(writeAnswer(agreement, { ...LOCAL, role: agreement.transport.role }))
}

test.each<['send' | 'receive', string[], string[]]>([
  ['receive', ['audio inactive', 'video sendonly'], ['inactive', 'recvonly']],
  ['receive', ['audio recvonly', 'video sendonly'], ['inactive', 'recvonly']],
  ['receive', ['audio sendonly', 'video sendonly', 'video inactive'], ['recvonly', 'recvonly', 'inactive']],
  ['receive', ['video inactive', 'audio sendrecv', 'video sendrecv'], ['inactive', 'recvonly', 'recvonly']],
  ['receive', ['video sendonly', 'video sendonly', 'audio', 'audio'], ['recvonly', 'inactive', 'recvonly', 'inactive']],
  ['receive', ['data', 'audio sendonly', 'video sendonly'], ['data', 'recvonly', 'recvonly']],
  ['receive', ['sctpmap', 'video sendonly', 'data', 'data'], ['closed', 'recvonly', 'data', 'closed']],
  ['receive', ['audio inactive', 'bare sendonly'], ['inactive', 'recvonly']],
  ['receive', ['other sendonly', 'video sendonly'], ['closed', 'recvonly']],
  ['receive', ['closed', 'video sendonly'], ['closed', 'recvonly']],
  ['receive', ['pcmu inactive', 'video sendonly'], ['closed', 'recvonly']],
  ['send', ['audio sendonly', 'video recvonly'], ['inactive', 'sendonly']],
  ['send', ['video sendonly', 'audio recvonly'], ['inactive', 'sendonly']],
  ['send', ['audio inactive', 'video recvonly', 'data'], ['inactive', 'sendonly', 'data']],
  ['send', ['data', 'video sendrecv', 'audio', 'video recvonly'], ['data', 'sendonly', 'sendonly', 'inactive']],
])('%s %j', (flow, sections, expected) => {
  const answer = answerTo(flow, offerOf(sections))
  const ways = answer.media.map((media) => {
    if (media.port === 0) return 'closed'
    return media.kind === 'application' ? 'data' : direction(answer, media)
  })
  expect(ways).toEqual(expected)
  expect(answer.media.map((media) => attribute(media, 'mid'))).toEqual(sections.map((_, i) => String(i)))
  // RFC 9143 §7.3.3: rejected sections leave the bundle, inactive ones stay.
  const open = answer.media.filter(({ port }) => port > 0)
  const group = open.map((media) => attribute(media, 'mid')).join(' ')
  expect(attributeValues(answer, 'group')).toEqual([`BUNDLE ${group}`])
  for (const [i, media] of open.entries()) {
    expect(attribute(media, 'ice-ufrag')).toBe('ours')
    expect(attribute(media, 'rtcp-mux')).toBe(media.kind === 'application' ? undefined : '')
    expect(attributeValues(media, 'candidate')).toEqual(i === 0 ? LOCAL.candidates : [])
  }
})

test('a section outside the bundle is rejected, since it would need its own transport', () => {
  const answer = answerTo('receive', offerOf(['video sendonly', 'video inactive'], ['0']))
  expect(answer.media.map(({ port }) => port)).toEqual([9, 0])
  expect(attributeValues(answer, 'group')).toEqual(['BUNDLE 0'])
})

test('data channels have their port and maximum message size', () => {
  const agreement = negotiate(parseSdp(offerOf(['video recvonly', 'data'])), 'send')
  expect(agreement.data).toMatchObject({ index: 1, mid: '1', port: 5000, maxMessageBytes: 262_144 })
  const answer = writeAnswer(agreement, { ...LOCAL, role: 'server' }, new Map(), 12_345)
  const { protocol, formats, attributes } = parseSdp(answer).media[1]!
  expect({ protocol, formats }).toEqual({ protocol: 'UDP/DTLS/SCTP', formats: ['webrtc-datachannel'] })
  expect(attributes).toEqual(
    expect.arrayContaining([
      { name: 'setup', value: 'passive' },
      { name: 'sctp-port', value: '5000' },
      { name: 'max-message-size', value: '12345' },
    ]),
  )
  const agreed = (size: string) =>
    negotiate(parseSdp(offerOf(['video recvonly', 'data']).replace('a=max-message-size:262144', size)), 'send').data
  expect(agreed('a=x')!.maxMessageBytes).toBe(65_536)
  expect(agreed('a=max-message-size:0')!.maxMessageBytes).toBe(16 * 1024 * 1024)
  for (const port of ['0', '65536', 'x']) {
    const offer = offerOf(['video recvonly', 'data']).replace('sctp-port:5000', `sctp-port:${port}`)
    expect(negotiate(parseSdp(offer), 'send').data).toBeUndefined()
  }
  expect(negotiate(parseSdp(offerOf(['video recvonly', 'data'], ['0'])), 'send').data).toBeUndefined()
})

test('nothing is bundled or identified beyond the offer', () => {
  const offer = offerOf(['video sendonly'], []).replace(/a=mid.*\r\n/, '')
  const answer = answerTo('receive', offer)
  expect(attributeValues(answer, 'group')).toEqual([])
  expect(attribute(answer.media[0]!, 'mid')).toBeUndefined()
})

test.each<['send' | 'receive', string[], string, string]>([
  ['receive', ['audio sendonly', 'video inactive'], 'invalid-request', 'the video section is inactive'],
  ['receive', ['pcmu sendonly', 'video sendonly'], 'unsupported-media', 'no audio codec'],
  ['receive', ['other sendonly', 'audio sendonly', 'video inactive'], 'unsupported-media', 'no video codec'],
  ['send', ['video sendonly', 'audio inactive'], 'invalid-request', 'must be able to receive'],
  ['send', ['other recvonly', 'audio recvonly'], 'unsupported-media', 'no video codec'],
  ['send', ['data'], 'invalid-request', 'neither an audio nor a video section'],
])('%s %j is refused', (flow, sections, code, message) => {
  expect(() => answerTo(flow, offerOf(sections))).toThrow(expect.objectContaining({ code }))
  expect(() => answerTo(flow, offerOf(sections))).toThrow(message)
})
