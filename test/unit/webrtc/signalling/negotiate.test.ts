import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseSdp } from '../../../../src/codec/sdp/session.ts'
import { EXTENSIONS, negotiate } from '../../../../src/webrtc/signalling/negotiate.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, '../offers', `${name}.sdp`), 'utf8')
const chrome = read('whip-chrome')
const obs = read('whip-obs-30')
const ffmpeg = read('whip-ffmpeg-8.0')

/** An offer of a viewer without H.264. */
const av1Only = ffmpeg.replace('H264/90000', 'AV1/90000').replace(/a=fmtp:.*packetization-mode.*\n/, '')
const vp8Only = read('whep-firefox').replaceAll('H264/90000', 'AV1/90000')

const publish = (text: string) => negotiate(parseSdp(text), 'receive')
const watch = (text: string) => negotiate(parseSdp(text), 'send')

describe('an offer is refused', () => {
  test.each<[string, string, string]>([
    ['that only receives', chrome.replaceAll('a=sendonly', 'a=recvonly'), 'must be able to send'],
    ['that is inactive', chrome.replaceAll('a=sendonly', 'a=inactive'), 'must be able to send'],
    ['without media', chrome.slice(0, chrome.indexOf('m=')), 'neither an audio nor a video section'],
    ['whose media is closed', ffmpeg.replace(/^(m=\S+) 9/gm, '$1 0'), 'neither an audio nor a video section'],
    ['with audio alone', ffmpeg.slice(0, ffmpeg.indexOf('m=video')), 'no video section'],
    ['with two cameras', `${ffmpeg}${ffmpeg.slice(ffmpeg.indexOf('m=video'))}`, 'has 2 video sections'],
    ['that is not one bundle', obs.replace('a=group:BUNDLE 0 1', 'a=group:BUNDLE 0'), 'in one BUNDLE group'],
    ['without ICE', obs.replace(/a=ice-ufrag:.*\n/, ''), 'no ice-ufrag and ice-pwd'],
    ['without a fingerprint', obs.replace(/a=fingerprint:.*\n/, ''), 'no fingerprint'],
    ['with SHA-1 alone', obs.replace('a=fingerprint:sha-256', 'a=fingerprint:sha-1'), 'no fingerprint'],
    ['with an unknown role', obs.replace('a=setup:actpass', 'a=setup:holdconn'), 'setup:holdconn'],
    ['without DTLS', obs.replaceAll('UDP/TLS/RTP/SAVPF', 'RTP/AVP'), 'the protocol RTP/AVP'],
  ])('%s', (_, offer, message) => {
    expect(() => publish(offer)).toThrow(expect.objectContaining({ code: 'invalid-request' }))
    expect(() => publish(offer)).toThrow(message)
  })

  test('of a viewer that only sends', () => {
    expect(() => watch(chrome)).toThrow('must be able to receive')
  })

  test.each<[string, () => unknown]>([
    ['H.263', () => publish(ffmpeg.replace('H264/90000', 'H263-1998/90000'))],
    [
      'H.265 out of order',
      () => publish(ffmpeg.replace('H264/90000', 'H265/90000').replace('packetization-mode', 'sprop-max-don-diff')),
    ],
    ['AV1 in 4:4:4', () => publish(ffmpeg.replace('H264/90000', 'AV1/90000').replace('packetization-mode', 'profile'))],
    ['interleaved H.264', () => publish(ffmpeg.replace('packetization-mode=1', 'packetization-mode=2'))],
    ['G.711', () => publish(ffmpeg.replace('opus/48000/2', 'PCMU/8000'))],
    ['VP9, to watch', () => watch(ffmpeg.replace('H264', 'VP9').replaceAll('sendonly', 'recvonly'))],
    ['AV1, where nothing decodes it', () => negotiate(parseSdp(av1Only), 'receive', { readable: ['h264', 'hevc'] })],
    ['VP8, to watch where nothing encodes it', () => negotiate(parseSdp(vp8Only), 'send', { sendable: ['h264'] })],
  ])('with nothing but %s', (_, answer) => {
    expect(answer).toThrow(expect.objectContaining({ code: 'unsupported-media' }))
  })
})

test('audio only is accepted where only audio is processed', () => {
  const offer = parseSdp(ffmpeg.slice(0, ffmpeg.indexOf('m=video')).replace('BUNDLE 0 1', 'BUNDLE 0'))
  expect(negotiate(offer, 'receive', { audioAlone: true }).media.map(({ kind }) => kind)).toEqual(['audio'])
})

test('the error lists the codecs that can be decoded', () => {
  expect(() => negotiate(parseSdp(av1Only), 'receive', { readable: ['h264', 'hevc'] })).toThrow(
    expect.objectContaining({ details: { offered: ['av1'], accepted: ['h264', 'h265'] } }),
  )
  const both = ffmpeg.replace('H264/90000', 'H265/90000').replace(/packetization-mode=\d/, '')
  expect(() => negotiate(parseSdp(both), 'receive', { readable: ['h264', 'av1'] })).toThrow('no video codec')
})

describe('a viewer receives', () => {
  const sent = (text: string) =>
    watch(text)
      .media.find(({ kind }) => kind === 'video')!
      .codecs.map(({ name }) => name)
  test('H.264 when offered, wherever it stands in the offer', () => {
    expect(sent(read('whep-firefox'))).toEqual(['h264'])
  })
  test('VP8 when H.264 is not offered', () => {
    expect(sent(vp8Only)).toEqual(['vp8'])
  })
  test('an error that lists the codecs when it offers neither', () => {
    expect(() => sent(vp8Only.replaceAll('VP8/90000', 'VP9/90000'))).toThrow(
      expect.objectContaining({ details: { offered: expect.anything(), accepted: ['h264', 'vp8'] } }),
    )
  })
})

describe('an offer is accepted', () => {
  test('with session-level attributes', () => {
    expect(publish(obs).transport).toMatchObject({ ufrag: '5Ko2', role: 'server' })
  })

  test('of a DTLS server', () => {
    expect(publish(ffmpeg).transport.role).toBe('client')
  })

  test('with both directions', () => {
    const both = chrome.replaceAll('a=sendonly', 'a=sendrecv')
    expect(publish(both).media).toHaveLength(2)
    expect(watch(both).media).toHaveLength(2)
    expect(watch(both.replaceAll('a=sendrecv\n', '')).media).toHaveLength(2)
  })

  test('with video only', () => {
    const video = ffmpeg.slice(0, ffmpeg.indexOf('m=audio')) + ffmpeg.slice(ffmpeg.indexOf('m=video'))
    expect(publish(video).media.map(({ kind }) => kind)).toEqual(['video'])
  })

  test('with the header extensions used here', () => {
    const { transportSequence, mid, streamId, repairedStreamId, absoluteSendTime, playoutDelay } = EXTENSIONS
    const [audio, video] = publish(chrome).media
    expect([...audio!.extensions.keys()].sort()).toEqual([transportSequence, mid].sort())
    const named = [transportSequence, mid, streamId, repairedStreamId]
    expect([...video!.extensions.keys()].sort()).toEqual(named.sort())
    const [seen] = watch(read('whep-chrome')).media
    expect([...seen!.extensions.keys()]).toEqual([absoluteSendTime, playoutDelay])
    const firefox = watch(read('whep-firefox')).media.find(({ kind }) => kind === 'video')
    expect([...firefox!.extensions.values()]).toMatchObject([{ id: 4 }, { id: 6, direction: 'recvonly' }])
  })
})
