import { describe, expect, it, test } from 'vitest'
import { type RtspHead, RtspResponses, transportFrom } from '../../../src/codec/rtsp.ts'

const packet = Buffer.from([0x24, 0, 0, 4, 1, 2, 3, 4])
const response = (line: string, headers: string[] = [], body = '') =>
  Buffer.from(`${[line, ...headers].join('\r\n')}\r\n\r\n${body}`)

function read(chunks: Buffer[]): { heads: RtspHead[]; out: Buffer } {
  const heads: RtspHead[] = []
  const responses = new RtspResponses((head) => {
    heads.push(head)
    return head.lines
  })
  return { out: Buffer.concat(chunks.flatMap((chunk) => responses.push(chunk))), heads }
}

describe('RtspResponses', () => {
  const whole = Buffer.concat([
    response('RTSP/1.0 200 OK', ['CSeq: 1', 'Content-Length: 13'], 'v=0\r\n\r\nRTSP/1'),
    packet,
    response('OPTIONS rtsp://host/x RTSP/1.0', ['CSeq: 7']),
    packet,
    response('RTSP/1.0 404 Not Found'),
  ])

  it.each([whole.length, 1, 3, 17])('passes messages and packets unchanged, in chunks of %i bytes', (size) => {
    const chunks: Buffer[] = []
    for (let at = 0; at < whole.length; at += size) chunks.push(whole.subarray(at, at + size))
    const { heads, out } = read(chunks)
    expect(out).toEqual(whole)
    expect(heads.map(({ status }) => status)).toEqual([200, undefined, 404])
  })

  test('replaces a head on request', () => {
    const responses = new RtspResponses(({ lines }) => [...lines.slice(0, 1), 'X: 1'])
    const out = Buffer.concat(responses.push(response('RTSP/1.0 200 OK', ['Y: 2', 'Content-Length: 2'], 'ab')))
    expect(out.toString()).toBe('RTSP/1.0 200 OK\r\nX: 1\r\n\r\nab')
  })

  it.each<[string, string]>([
    ['a redirect behind lines that end with LF alone', 'RTSP/1.0 200 OK\nCSeq: 1\n\nRTSP/1.0 302 Found\n\n\r\n\r\n'],
    ['a packet amidst a head', 'RTSP/1.0 200 OK\r\n$\0\0\x05: 1\r\n\r\n'],
    ['a header that goes on in the next line', 'RTSP/1.0 200 OK\r\nA: 1\r\n 2\r\n\r\n'],
    ['two lengths', 'RTSP/1.0 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n'],
    ['a length that is no number', 'RTSP/1.0 200 OK\r\nContent-Length: 0x10\r\n\r\n'],
    ['a length beyond all descriptions', 'RTSP/1.0 200 OK\r\nContent-Length: 10000000\r\n\r\n'],
    ['another protocol', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['a head without end', `RTSP/1.0 200 OK\r\nA: ${'x'.repeat(20_000)}`],
  ])('refuses %s', (_, text) => {
    expect(() => read([Buffer.from(text, 'latin1')])).toThrow(/does not speak RTSP/)
  })
})

test('interleaved packets are accepted from the server only', () => {
  const line = 'Transport: RTP/AVP;unicast;source=10.0.0.1; destination=10.0.0.2;server_port=5000-5001'
  expect(transportFrom(line, '192.0.2.7')).toBe('Transport: RTP/AVP;unicast;server_port=5000-5001;source=192.0.2.7')
  expect(transportFrom('CSeq: 2', '192.0.2.7')).toBe('CSeq: 2')
})
