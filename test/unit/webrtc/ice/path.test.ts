import { expect, test } from 'vitest'
import { parseBindingRequest, writeBindingSuccess } from '../../../../src/codec/stun.ts'
import { IcePath } from '../../../../src/webrtc/ice/path.ts'

const LOCAL = { ufrag: 'ours', password: 'password of ours' }
const REMOTE = { ufrag: 'theirs', password: 'password of theirs' }

function open() {
  const sent: Buffer[] = []
  const clock = { now: 0 }
  const path = new IcePath({ address: '192.0.2.1', port: 4000, send: (data) => sent.push(data), connected: false })
  /** Response of a peer that receives what is sent. */
  const answer = (password = REMOTE.password) => {
    const request = parseBindingRequest(sent.at(-1)!)!
    return writeBindingSuccess(request, path, password)
  }
  const media = (count: number) =>
    Array.from({ length: count }, () => path.send(Buffer.alloc(1000), clock.now)).filter(Boolean)
  const received = (bytes: number) => path.received(bytes, clock.now)
  const ask = () => path.askConsent(LOCAL, REMOTE, clock.now)
  const take = (data: Buffer) => path.takeAnswer(data, clock.now)
  return { path, sent, clock, answer, media, received, ask, take }
}

test('without consent, at most three times the bytes received are sent', () => {
  const { media, received } = open()
  expect(media(1)).toHaveLength(0)
  received(1000)
  expect(media(10)).toHaveLength(3)
})

test('the response to one of our checks gives consent, once, and only when signed', () => {
  const { path, sent, clock, answer, media, received, ask, take } = open()
  received(200)
  ask()
  expect(parseBindingRequest(sent[0]!)).toMatchObject({ username: 'theirs:ours', controlled: true })
  expect(take(answer('another password'))).toBe(false)
  expect(path.hasConsent(clock.now)).toBe(false)
  const good = answer()
  expect(take(good)).toBe(true)
  expect(media(100)).toHaveLength(100)
  expect(take(good)).toBe(false)
})

test('consent ends 30 s after the last response, and bytes received meanwhile give no budget', () => {
  const { clock, answer, media, received, ask, take } = open()
  received(200)
  ask()
  take(answer())
  received(1_000_000)
  clock.now += 29_000
  expect(media(5)).toHaveLength(5)
  clock.now += 2000
  expect(media(5)).toHaveLength(0)
  // New packets may be answered, so that the path becomes usable again.
  received(200)
  ask()
  expect(take(answer())).toBe(true)
  expect(media(5)).toHaveLength(5)
})

test('a check is repeated every half second until answered, then every few seconds', () => {
  const { sent, clock, answer, received, ask, take } = open()
  received(100_000)
  const checksIn = (ms: number) => {
    const before = sent.length
    for (let at = 0; at < ms; at += 100) {
      ask()
      clock.now += 100
    }
    return sent.length - before
  }
  expect(checksIn(3000)).toBe(6)
  expect(take(answer())).toBe(true)
  expect(checksIn(9000)).toBeLessThanOrEqual(3)
})

test('the controlling side sends checks without a budget, and nominates by a check of its own', () => {
  const sent: Buffer[] = []
  const to = { address: '192.0.2.1', port: 4000, send: (data: Buffer) => sent.push(data), connected: false }
  const path = new IcePath({ ...to, called: true })
  const answer = () => writeBindingSuccess(parseBindingRequest(sent.at(-1)!)!, path, REMOTE.password)
  path.askConsent(LOCAL, REMOTE, 0, { nominates: false })
  expect(parseBindingRequest(sent[0]!)).toMatchObject({ controlled: false, useCandidate: false })
  // Media still needs consent.
  expect(path.send(Buffer.alloc(10), 0)).toBe(false)
  expect([path.takeAnswer(answer(), 10), path.hasConsent(10), path.nominated]).toEqual([true, true, false])
  // At once: media waits for it.
  path.askConsent(LOCAL, REMOTE, 10, { nominates: true })
  path.askConsent(LOCAL, REMOTE, 20, { nominates: true })
  path.askConsent(LOCAL, REMOTE, 60, { nominates: true })
  expect(sent.slice(1).map((data) => parseBindingRequest(data)?.useCandidate)).toEqual([true, true])
  expect([path.takeAnswer(answer(), 130), path.nominated]).toEqual([true, true])
  path.askConsent(LOCAL, REMOTE, 1000, { nominates: true })
  expect(sent).toHaveLength(3)
})
