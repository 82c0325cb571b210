import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { connect } from 'node:net'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { classes, Message, methods } from 'werift'
import { freePort } from '../helpers/media/media-peer.ts'
import { http, httpJson } from '../helpers/server/http.ts'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'
import { WeriftViewer } from '../process/webrtc/support/viewer.ts'

const QUIET = { MAX_SESSIONS_PER_MINUTE: '0', UDP_PORT: '0', MAX_STREAMS: '4', TRUST_PROXY: '127.0.0.1' }
let stage: Stage
beforeAll(async () => {
  const port = await freePort()
  stage = await setStage({ env: { ...QUIET, PORT: String(port), ALLOWED_URLS: `http://127.0.0.1:${port}` } })
  const clip = await stage.clip({ seconds: 120, width: 320, height: 180, fps: 15 })
  await Promise.all([stage.publish('one', clip), stage.publish('two', clip)])
})
afterAll(() => stage?.[Symbol.asyncDispose]())

const headers = { 'content-type': 'application/sdp' }
const offer = async (stream: string, body: string, more = {}) =>
  await http('POST', `${stage.url}/whep/${stream}`, { headers: { ...headers, ...more }, body })
const line = (text: string, name: string) => new RegExp(`a=${name}:(\\S+)`).exec(text)![1]!
const portOf = (answer: string) => Number(/a=candidate:1 1 udp \d+ \S+ (\d+) typ host/.exec(answer)![1])

async function watch(stream: string) {
  const viewer = new WeriftViewer()
  const sdp = await viewer.offer()
  const { status, text } = await offer(stream, sdp)
  expect([stream, status, text.slice(0, 200)]).toEqual([stream, 201, expect.anything()])
  await viewer.accept(text)
  await waitFor(`frames of ${stream}`, () => viewer.units.length > 5)
  return { viewer, offer: sdp, answer: text }
}

it('300 half-open sessions lock out neither a viewer nor a publisher', async () => {
  const flood = new WeriftViewer()
  const sdp = await flood.offer()
  const answers = await Promise.all(Array.from({ length: 300 }, () => offer('one', sdp)))
  expect(answers.filter(({ status }) => status === 201).length).toBeGreaterThan(30)
  const { viewer } = await watch('one')
  const clip = await stage.clip({ seconds: 20, width: 320, height: 180, fps: 15 })
  await stage.publish('three', clip)
  // By WHIP, from this server's own output.
  const outputs = `${stage.url}/streams/one/outputs`
  const body = { type: 'whip', url: `${stage.url}/whip/four` }
  const { json } = await httpJson<{ id: string }>('POST', outputs, { body })
  await stage.waitForStatus('four', 'frames by WHIP', ({ ingest }) => (ingest?.fps ?? 0) > 0)
  await http('DELETE', `${outputs}/${json.id}`)
  // Only a few of those that never connect are kept.
  expect((await stage.status('one')).egress.viewers).toBeLessThanOrEqual(33)
  await Promise.all([viewer.peer.close(), flood.peer.close()])
})

it('from many addresses they do not use up the places of a stream', async () => {
  const flood = new WeriftViewer()
  const sdp = await flood.offer()
  for (let i = 0; i < 120; i++) await offer('two', sdp, { 'x-forwarded-for': `198.51.100.${i}` })
  const { viewer } = await watch('two')
  await Promise.all([viewer.peer.close(), flood.peer.close()])
})

it('all sessions share one port and receive only their own media; an address that fails its check receives none', async () => {
  const [one, two] = [await watch('one'), await watch('two')]
  const port = portOf(one.answer)
  expect(portOf(two.answer)).toBe(port)
  const ssrcs = ({ viewer }: typeof one) => new Set(viewer.videoPackets.map(({ header }) => header.ssrc))
  expect(ssrcs(one)).toEqual(new Set([Number(line(one.answer.split('m=video')[1]!, 'ssrc'))]))
  expect(ssrcs(two)).toEqual(new Set([Number(line(two.answer.split('m=video')[1]!, 'ssrc'))]))
  expect(ssrcs(one)).not.toEqual(ssrcs(two))

  const victim = createSocket('udp4')
  const arrived: Buffer[] = []
  victim.on('message', (data) => arrived.push(data))
  const check = new Message(methods.BINDING, classes.REQUEST)
  check.setAttribute('USERNAME', `${line(one.answer, 'ice-ufrag')}:${line(one.offer, 'ice-ufrag')}`)
  check.setAttribute('PRIORITY', 1).setAttribute('ICE-CONTROLLING', 1n).setAttribute('USE-CANDIDATE', null)
  check.addMessageIntegrity(Buffer.from(line(one.answer, 'ice-pwd'))).addFingerprint()
  victim.send(check.bytes, port, '127.0.0.1')
  await waitFor('the answer to the check', () => arrived.length > 0)
  const seen = one.viewer.units.length
  await waitFor('frames at the viewer meanwhile', () => one.viewer.units.length > seen + 20)
  expect(arrived.every((data) => data[0]! <= 3)).toBe(true)
  expect(Buffer.concat(arrived).length).toBeLessThanOrEqual(3 * check.bytes.length)
  victim.close()

  // The end of one session does not affect the other.
  await one.viewer.peer.close()
  const before = two.viewer.units.length
  await waitFor('more frames of the other', () => two.viewer.units.length > before + 10)
  await two.viewer.peer.close()
})

it('idle TCP connections do not block a session over TCP', async () => {
  const flood = new WeriftViewer()
  const sdp = await flood.offer()
  const { text } = await offer('one', sdp)
  const port = portOf(text)
  const idle = Array.from({ length: 100 }, () => connect(port, '127.0.0.1').on('error', () => {}))
  await Promise.all(idle.map((socket) => once(socket, 'connect')))
  const check = new Message(methods.BINDING, classes.REQUEST)
  check.setAttribute('USERNAME', `${line(text, 'ice-ufrag')}:${line(sdp, 'ice-ufrag')}`)
  check.setAttribute('PRIORITY', 1).setAttribute('ICE-CONTROLLING', 1n)
  check.addMessageIntegrity(Buffer.from(line(text, 'ice-pwd'))).addFingerprint()
  const socket = connect(port, '127.0.0.1')
  const data = once(socket, 'data', { signal: AbortSignal.timeout(4000) })
  const frame = Buffer.alloc(2 + check.bytes.length)
  frame.writeUInt16BE(check.bytes.length)
  frame.set(check.bytes, 2)
  socket.write(frame)
  const [answer] = (await data) as [Buffer]
  expect(answer.readUInt16BE(2)).toBe(0x0101)
  for (const one of [...idle, socket]) one.destroy()
  await flood.peer.close()
})
