import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { parseSdp } from '../../../../src/codec/sdp/session.ts'
import { EXTENSIONS, negotiate } from '../../../../src/webrtc/signalling/negotiate.ts'

const read = (name: string) => readFileSync(join(import.meta.dirname, '../offers', `${name}.sdp`), 'utf8')
const chrome = read('whip-chrome')
const obs = read('whip-obs-30')
const ffmpeg = read('whip-ffmpeg-8.0')

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
    ['HEVC', () => publish(ffmpeg.replace('H264/90000', 'H265/90000'))],
    ['interleaved H.264', () => publish(ffmpeg.replace('packetization-mode=1', 'packetization-mode=2'))],
    ['G.711', () => publish(ffmpeg.replace('opus/48000/2', 'PCMU/8000'))],
    ['VP8, to watch', () => watch(ffmpeg.replace('H264', 'VP8').replaceAll('sendonly', 'recvonly'))],
  ])('with nothing but %s', (_, answer) => {
    expect(answer).toThrow(expect.objectContaining({ code: 'unsupported-media' }))
  })
})

describe('an offer is taken', () => {
  test('with what it says for the whole session', () => {
    expect(publish(obs).transport).toMatchObject({ ufrag: '5Ko2', role: 'server' })
  })

  test('of one that is only a DTLS server', () => {
    expect(publish(ffmpeg).transport.role).toBe('client')
  })

  test('with both ways open', () => {
    const both = chrome.replaceAll('a=sendonly', 'a=sendrecv')
    expect(publish(both).media).toHaveLength(2)
    expect(watch(both).media).toHaveLength(2)
    expect(watch(both.replaceAll('a=sendrecv\n', '')).media).toHaveLength(2)
  })

  test('of video alone', () => {
    const video = ffmpeg.slice(0, ffmpeg.indexOf('m=audio')) + ffmpeg.slice(ffmpeg.indexOf('m=video'))
    expect(publish(video).media.map(({ kind }) => kind)).toEqual(['video'])
  })

  test('with its header extensions where they have a use here', () => {
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
