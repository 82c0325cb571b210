import { describe, expect, it } from 'vitest'
import type { MediaTarget } from '../../../../src/core/url-guard.ts'
import { type RemoteKind, remoteArguments } from '../../../../src/ffmpeg/remote/arguments.ts'
import { Said } from '../../../../src/ffmpeg/remote/said.ts'

const target = (url: string): MediaTarget => ({
  url: new URL(url),
  address: '93.184.216.34',
  port: 9000,
  rejectUnauthorized: false,
})
const told = (kind: RemoteKind, url: string, transport?: 'tcp' | 'udp') =>
  remoteArguments(kind, target(url), '127.0.0.1:40000', transport)

describe('remoteArguments', () => {
  it('connects ffmpeg to RTSP and RTMP servers through the relay only', () => {
    const rtsp = told('rtsp', 'rtsps://user:pass@camera.example/live/1?x=1', 'udp')
    expect(rtsp.url).toBe('rtsp://user:pass@127.0.0.1:40000/live/1?x=1')
    expect(rtsp.options).toEqual(['-rtsp_transport', 'udp', '-protocol_whitelist', 'tcp,udp,rtp'])
    const rtmp = told('rtmp', 'rtmps://live.example/app/instance/key?auth=1')
    expect(rtmp.url).toBe('rtmp://127.0.0.1:40000/')
    expect(rtmp.options.join(' ')).toBe(
      '-rtmp_app app/instance -rtmp_playpath key?auth=1 -rtmp_tcurl rtmps://live.example/app/instance -protocol_whitelist rtmp,tcp',
    )
  })

  it('treats words that RTMP libraries read as options as part of the stream key', () => {
    const { url, options } = told(
      'rtmp',
      'rtmp://live.example/app/key swfUrl=http://10.0.0.1 tcUrl=rtmp://10.0.0.1/x listen=1',
    )
    expect(url).toBe('rtmp://127.0.0.1:40000/')
    expect(options.filter((option) => / |10\.0\.0\.1\b.*listen/.test(option))).toEqual([])
    expect(options.slice(0, 2)).toEqual(['-rtmp_app', 'app/key%20swfUrl=http://10.0.0.1%20tcUrl=rtmp://10.0.0.1'])
  })

  it('connects to SRT servers at the resolved address', () => {
    const { url, options } = told(
      'srt',
      'srt://host.example:9000?streamid=%23!::r=a%2Cm=request&passphrase=a+b%25c&mode=caller',
    )
    expect(url).toBe('srt://93.184.216.34:9000')
    expect(options).toEqual([
      ...['-srt_streamid', '#!::r=a,m=request', '-passphrase', 'a b%c'],
      ...['-mode', 'caller', '-protocol_whitelist', 'srt'],
    ])
  })

  it.each<[RemoteKind, string, RegExp]>([
    ['srt', 'srt://host:9000?mode=listener', /mode=caller/],
    ['srt', 'srt://host:9000?localip=10.0.0.1', /cannot have "localip"/],
    ['srt', 'srt://host:9000?mode=rendezvous', /mode=caller/],
    ['srt', 'srt://host:9000?mode=caller&mode=listener', /mode=caller/],
    ['srt', 'srt://host:9000?Mode=listener', /cannot have "Mode"/],
    ['srt', 'srt://host:9000?listen_timeout=1', /cannot have "listen_timeout"/],
    ['rtmp', 'rtmp://host/app', /an app and a stream/],
    ['rtmp', 'rtmp://host/app/', /an app and a stream/],
  ])('refuses %s %s', (kind, url, why) => expect(() => told(kind, url)).toThrow(why))
})

it('ffmpeg messages contain no secret of the URL, decoded or not', () => {
  const url = 'rtsp://some%20user:pass%2Fword@camera.example/live/secret-key?token=tok%3Den'
  const said = new Said(told('rtsp', url).secrets)
  said.push(`[rtsp @ 0x1] [warning] tried ${url} as some user with pass/word for tok=en`)
  said.push(
    '[error] rtsp://some%20user:pass%2Fword@127.0.0.1:4/live/secret-key?token=tok%3Den: Server returned 404 Not Found',
  )
  said.push('[error] Conversion failed!')
  const error = said.error('rtsp://camera.example:554 cannot be read')
  expect(error.message).toBe('rtsp://camera.example:554 cannot be read: Server returned 404 Not Found')
  expect(JSON.stringify(error)).not.toMatch(/some user|some%20user|word|secret-key|tok=en|tok%3D/)
})
