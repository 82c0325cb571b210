import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { headerExtensions, rtpCodecs, simulcastLayers } from '../../../src/codec/sdp/media.ts'
import { attribute, attributeValues, direction, inherited, parseSdp, type Sdp } from '../../../src/codec/sdp/session.ts'
import { writeAnswer } from '../../../src/webrtc/signalling/answer.ts'
import { negotiate } from '../../../src/webrtc/signalling/negotiate.ts'

const FOLDER = join(import.meta.dirname, 'offers')

/** Name and payload type of the first video codec in the answer. */
const EXPECTED: Record<string, string> = {
  'whep-aiortc': 'h264 101',
  'whep-chrome': 'h264 108',
  'whep-chrome-data-channel': 'h264 108',
  'whep-firefox': 'h264 126',
  'whep-firefox-esr': 'h264 126',
  'whep-gstreamer': 'h264 98',
  'whep-gstreamer-1.28': 'h264 97',
  'whep-pion': 'h264 106',
  'whep-safari': 'h264 98',
  'whip-aiortc': 'h264 99',
  'whip-chrome': 'vp8 96',
  'whip-chrome-simulcast': 'vp8 96',
  'whip-ffmpeg-8.0': 'h264 106',
  'whip-ffmpeg-8.1': 'h264 106',
  'whip-firefox': 'vp8 120',
  'whip-firefox-esr': 'vp8 120',
  'whip-gstreamer': 'vp8 96',
  'whip-gstreamer-1.28': 'vp8 96',
  'whip-obs-30': 'h264 96',
  'whip-obs-31': 'h264 96',
  'whip-obs-32': 'h264 96',
  'whip-obs-32-simulcast': 'h264 96',
  'whip-obs-32.2': 'h264 96',
  'whip-obs-32.2-simulcast': 'h264 96',
  'whip-pion': 'vp8 96',
  'whip-safari': 'h264 96',
}

/** Header extensions useful to a receiver. */
const RECEIVED = new Set([
  'http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01',
  'urn:ietf:params:rtp-hdrext:sdes:mid',
  'urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id',
  'urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id',
])

const LOCAL = {
  ufrag: 'ufragufr',
  password: 'passwordpasswordpassword',
  fingerprint: { algorithm: 'sha-256', value: 'AA:BB' },
  candidates: ['1 1 udp 2130706431 203.0.113.9 50000 typ host', '2 1 udp 2130706175 fd00::2 50000 typ host'],
}

function answerTo(name: string): { offer: Sdp; answer: Sdp; text: string } {
  const offer = parseSdp(readFileSync(join(FOLDER, `${name}.sdp`), 'utf8'))
  const agreement = negotiate(offer, name.startsWith('whep') ? 'send' : 'receive')
  const sent = agreement.flow === 'send' ? agreement.media : []
  const streams = new Map(
    sent.map(({ index }) => [index, { ssrc: 1 + index, retransmissionSsrc: 11 + index, cname: 'x' }]),
  )
  const text = writeAnswer(agreement, { ...LOCAL, role: agreement.transport.role }, streams)
  return { offer, answer: parseSdp(text), text }
}

test('every offer has its expected answer', () => {
  const files = readdirSync(FOLDER).map((file) => file.replace('.sdp', ''))
  expect(files.sort()).toEqual(Object.keys(EXPECTED).sort())
})

describe.each(Object.keys(EXPECTED))('the answer to %s', (name) => {
  const { offer, answer, text } = answerTo(name)
  const sections = answer.media.map((media, i) => ({ media, offered: offer.media[i]! }))
  const all = sections.filter(({ media }) => media.port > 0)
  const open = all.filter(({ media }) => media.kind !== 'application')

  test('mirrors the sections', () => {
    expect(answer.media.map(({ kind, protocol }) => [kind, protocol])).toEqual(
      offer.media.map(({ kind, protocol }) => [kind, protocol]),
    )
    for (const { media, offered } of sections) expect(attribute(media, 'mid')).toBe(attribute(offered, 'mid'))
    const mids = all.map(({ media }) => attribute(media, 'mid')).join(' ')
    expect(attributeValues(answer, 'group')).toEqual([`BUNDLE ${mids}`])
    expect(open.map(({ media }) => media.kind).sort()).toEqual(['audio', 'video'])
    expect(all.length - open.length).toBe(name.endsWith('data-channel') ? 1 : 0)
  })

  test('uses only offered payload types, the best first', () => {
    for (const { media, offered } of open) {
      expect(offered.formats).toEqual(expect.arrayContaining(media.formats))
      const known = rtpCodecs(offered)
      for (const codec of rtpCodecs(media)) {
        const same = known.find(({ payloadType }) => payloadType === codec.payloadType)!
        expect([codec.name, codec.clockRate, codec.channels]).toEqual([same.name, same.clockRate, same.channels])
        expect(codec.parameters['profile-level-id']).toBe(same.parameters['profile-level-id'])
        expect(codec.parameters.apt).toBe(same.parameters.apt)
        expect(same.feedback).toEqual(expect.arrayContaining(codec.feedback))
      }
    }
    const [first] = rtpCodecs(answer.media.find(({ kind }) => kind === 'video')!)
    expect(`${first!.name} ${first!.payloadType}`).toBe(EXPECTED[name])
  })

  test('takes the complementary direction and role', () => {
    for (const { media, offered } of open) {
      expect(direction(answer, media)).toBe(name.startsWith('whep') ? 'sendonly' : 'recvonly')
      expect(attribute(media, 'setup')).toBe(inherited(offer, offered, 'setup') === 'passive' ? 'active' : 'passive')
      expect(attribute(media, 'rtcp-mux')).toBe('')
      const ids = new Map(headerExtensions(offered).map(({ uri, id }) => [uri, id]))
      for (const { uri, id } of headerExtensions(media)) expect(ids.get(uri)).toBe(id)
      const layers = simulcastLayers(offered)
      expect(attributeValues(media, 'rid')).toEqual(layers.map((layer) => `${layer} recv`))
      expect(attribute(media, 'simulcast')).toBe(layers.length > 0 ? `recv ${layers.join(';')}` : undefined)
    }
  })

  test('has transport and candidates in each section, the reachable address first', () => {
    for (const { media } of all) {
      expect(attribute(media, 'ice-ufrag')).toBe(LOCAL.ufrag)
      expect(attribute(media, 'ice-pwd')).toBe(LOCAL.password)
      expect(attribute(media, 'fingerprint')).toBe('sha-256 AA:BB')
    }
    expect(attributeValues(all[0]!.media, 'candidate')).toEqual(LOCAL.candidates)
    expect(attribute(answer, 'ice-lite')).toBe('')
  })

  test.runIf(name.startsWith('whep'))('declares its media in one stream of the viewer', () => {
    const streams = open.map(({ media }) => attribute(media, 'msid')!.split(' ')[0])
    expect(new Set(streams)).toEqual(new Set(['millrace']))
    for (const { media } of open) {
      const grouped = attribute(media, 'ssrc-group')?.split(' ').slice(1) ?? []
      const declared = attributeValues(media, 'ssrc').map((value) => value.split(' ')[0])
      expect(declared.length).toBeGreaterThan(0)
      expect(declared).toEqual(expect.arrayContaining(grouped))
    }
  })

  test.runIf(name.startsWith('whip'))('accepts everything receivable, and sends nothing', () => {
    for (const { media, offered } of open) {
      for (const ours of ['msid', 'ssrc', 'ssrc-group']) expect(attributeValues(media, ours)).toEqual([])
      const taken = rtpCodecs(media).filter((codec) => codec.name !== 'rtx')
      expect(taken.map(({ payloadType }) => payloadType)).toEqual(
        rtpCodecs(offered)
          .filter(({ name: codec, parameters }) =>
            media.kind === 'audio'
              ? codec === 'opus'
              : codec === 'vp8' || (codec === 'h264' && Number(parameters['packetization-mode'] ?? 0) <= 1),
          )
          .map(({ payloadType }) => payloadType),
      )
      // Losses are repaired only by mechanisms the publisher supports.
      for (const codec of taken) {
        const offeredCodec = rtpCodecs(offered).find(({ payloadType }) => payloadType === codec.payloadType)!
        const useful = offeredCodec.feedback.filter((one) => ['nack', 'nack pli', 'transport-cc'].includes(one))
        expect(codec.feedback).toEqual(useful)
      }
      const uris = headerExtensions(offered).map(({ uri }) => uri)
      expect(headerExtensions(media).map(({ uri }) => uri)).toEqual(uris.filter((uri) => RECEIVED.has(uri)))
    }
  })

  test('is short enough for ffmpeg, with valid line endings', () => {
    expect(text.startsWith('v=0\r\n')).toBe(true)
    expect(text.length).toBeLessThan(8192)
    expect(text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/)
  })
})
