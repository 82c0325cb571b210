// The tables of docs/webrtc.md: each row is sent as an offer to the routes.
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { attribute, direction, parseSdp } from '../../../src/codec/sdp/session.ts'
import { acceptedCodecs } from '../../../src/webrtc/signalling/codec-choice.ts'
import { SignallingServer } from './support/server.ts'

const PAGE = readFileSync(join(import.meta.dirname, '../../../docs/webrtc.md'), 'utf8')

/** Cells of the rows of the table with that header. */
function table(head: string): string[][] {
  const lines = PAGE.slice(PAGE.indexOf(`\n${head}\n`) + 1).split('\n')
  const rows = lines.slice(
    2,
    lines.findIndex((line) => !line.startsWith('|')),
  )
  return rows.map((row) =>
    row
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim()),
  )
}
const quoted = (cell = '') => [...cell.matchAll(/`([^`]+)`/g)].map((match) => match[1]!)

const server = new SignallingServer()
afterAll(() => server[Symbol.asyncDispose]())

const TRANSPORT = [
  'a=ice-ufrag:abcd',
  'a=ice-pwd:efghijklmnopqrstuvwxyz',
  'a=fingerprint:sha-256 11:22',
  'a=setup:actpass',
]
const AUDIO = new Set(['opus', 'PCMU', 'PCMA', 'G722', 'iLBC'])
type Codec = { name: string; parameters?: string | undefined }
type Section = { kind: string; way?: string | undefined; codecs: Codec[] }

function offerOf(sections: Section[]): string {
  const lines = sections.flatMap(({ kind, way, codecs }, mid) => [
    kind === 'application'
      ? 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel'
      : `m=${kind} 9 UDP/TLS/RTP/SAVPF ${codecs.map((_, i) => 96 + i).join(' ')}`,
    'c=IN IP4 0.0.0.0',
    `a=mid:${mid}`,
    ...TRANSPORT,
    ...(kind === 'application' ? ['a=sctp-port:5000'] : []),
    ...(way ? [`a=${way}`] : []),
    ...codecs.flatMap(({ name, parameters }, i) => [
      `a=rtpmap:${96 + i} ${name}/${kind === 'video' ? 90_000 : name === 'opus' ? '48000/2' : 8000}`,
      ...(parameters ? [`a=fmtp:${96 + i} ${parameters}`] : []),
    ]),
  ])
  const bundle = `a=group:BUNDLE ${sections.map((_, mid) => mid).join(' ')}`
  return `${['v=0', 'o=- 1 1 IN IP4 127.0.0.1', 's=-', 't=0 0', bundle, ...lines].join('\r\n')}\r\n`
}

async function ask(route: string, body: string) {
  const headers = { 'content-type': 'application/sdp' }
  const answer = await server.app.request(`/${route}/demo`, { method: 'POST', headers, body })
  return { status: answer.status, text: await answer.text() }
}

const usual: Codec = { name: 'H264', parameters: 'packetization-mode=1' }
const sending = (route: string) => (route === 'whip' ? 'sendonly' : 'recvonly')

/** Codec names in the section of that kind of the answer. */
async function answered(route: string, kind: string, codecs: Codec[]): Promise<string[] | number> {
  const way = sending(route)
  const video: Section = { kind: 'video', way, codecs: kind === 'video' ? codecs : [usual] }
  const sections = kind === 'video' ? [video] : [{ kind, way, codecs }, video]
  const { status, text } = await ask(route, offerOf(sections))
  if (status !== 201) return status
  const section = parseSdp(text).media.find((media) => media.kind === kind)!
  return section.attributes.filter(({ name }) => name === 'rtpmap').map(({ value }) => value.split(/[ /]/)[1]!)
}

const CODECS = table('| codec in the offer | with | WHIP | WHEP |').flatMap(([names, given, whip, whep]) =>
  quoted(names).flatMap((name) => {
    const parameters = quoted(given)
    return (parameters.length > 0 ? parameters : [undefined]).map((one) => ({ name, parameters: one, whip, whep }))
  }),
)

test.each(
  CODECS.flatMap(({ whip, whep, ...codec }) => [
    { ...codec, route: 'whip', says: whip },
    { ...codec, route: 'whep', says: whep },
  ]),
)('$route: $name $parameters is $says', async ({ route, name, parameters, says }) => {
  const kind = AUDIO.has(name) ? 'audio' : 'video'
  const codec = { name, parameters }
  const alone = await answered(route, kind, [codec])
  if (says === 'refused') expect(alone).toBe(415)
  else expect(alone).toEqual([name])
  if (kind === 'audio' || name === 'H264') return
  // With H.264, only equally suitable codecs are listed.
  const beside = await answered(route, kind, [codec, usual])
  expect(beside).toEqual(says === 'taken' ? [name, 'H264'] : ['H264'])
  if (says === 'taken alone') expect(await answered(route, kind, [codec, { name: 'VP8' }])).toEqual(['VP8'])
})

test('nothing outside the table is accepted', () => {
  const names = (column: 'whip' | 'whep') =>
    new Set(CODECS.filter((row) => row[column] !== 'refused').map(({ name }) => name.toLowerCase()))
  const accepted = (flow: 'send' | 'receive') =>
    new Set([...acceptedCodecs('video', flow), ...acceptedCodecs('audio', flow)])
  expect(names('whip')).toEqual(accepted('receive'))
  expect(names('whep')).toEqual(accepted('send'))
})

test.each(table('| to | sections of the offer | answer |'))('%s: %s is answered %s', async (to, offered, expected) => {
  const sections = quoted(offered).map((text): Section => {
    const [what = '', way] = text.split(' ')
    if (what === 'application') return { kind: what, codecs: [] }
    const kind = what === 'audio' || AUDIO.has(what) ? 'audio' : 'video'
    const codec = { audio: { name: 'opus' }, video: usual }[what] ?? { name: what }
    return { kind, way, codecs: [codec] }
  })
  const { status, text } = await ask(to!.toLowerCase(), offerOf(sections))
  if (/^\d+$/.test(expected!)) {
    expect(status).toBe(Number(expected))
    return
  }
  expect([status, text]).toEqual([201, expect.stringMatching(/^v=0/)])
  const answer = parseSdp(text)
  const ways = answer.media.map((media) => {
    if (media.port === 0) return 'rejected'
    return media.kind === 'application' ? 'taken' : direction(answer, media)
  })
  expect(ways).toEqual(expected!.split(', ').map((word) => word.replaceAll('`', '')))
  const inBundle = answer.media.filter(({ port }) => port > 0).map((media) => attribute(media, 'mid'))
  expect(attribute(answer, 'group')).toBe(`BUNDLE ${inBundle.join(' ')}`)
})

test.each(table('| of an offer | at most | beyond |'))('%s of an offer: %s, then %s', async (what, limit, status) => {
  const most = Number(limit)
  const plain = offerOf([{ kind: 'video', way: 'sendonly', codecs: [usual] }])
  const lines = plain.split('\r\n').length
  const filled = (count: number): string => {
    if (what === 'bytes') return `${plain}a=${'x'.repeat(count - plain.length - 4)}\r\n`
    if (what === 'lines') return plain + 'a=x\r\n'.repeat(count - lines)
    if (what === 'sections') return plain + 'm=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n'.repeat(count - 1)
    return plain.replace('SAVPF 96', `SAVPF 96 ${Array.from({ length: count - 1 }, (_, i) => 1000 + i).join(' ')}`)
  }
  expect((await ask('whip', filled(most))).status).toBe(201)
  expect((await ask('whip', filled(most + 1))).status).toBe(Number(status))
})
