import { globSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))

/** Files of `src/codec` that parse no external input: writers, types and tables. */
const NO_PARSERS = [
  'audio/header.ts',
  'bytes.ts',
  'mpegts/packet-writer.ts',
  'mpegts/program/refusal.ts',
  'mpegts/writer.ts',
  'nut/format.ts',
  'nut/writer.ts',
  'rtp/transport-cc.ts',
].map((file) => `src/codec/${file}`)

/** Parsers elsewhere, in addition to the fuzzed ones. */
const ELSEWHERE = [
  'src/mpegts/sniff.ts',
  'src/trickle/client/http.ts',
  'src/trickle/json.ts',
  'src/webrtc/dtls/dtls.ts',
  'src/webrtc/srtp/counter.ts',
  'src/webrtc/srtp/gcm.ts',
  'src/webrtc/srtp/session.ts',
  'src/webrtc/ice/tcp.ts',
]

/** Fuzzed as a whole; their parts are the parsers. */
const COMPOSED = ['src/webrtc/signalling/negotiate.ts']

const codec = globSync('src/codec/**/*.ts', { cwd: ROOT }).sort()
const fuzzed = [...read('test/fuzz/targets.ts').matchAll(/from '\.\.\/\.\.\/(src\/(?!core\/)[^']+)'/g)].map(
  ([, file]) => file!,
)
const parsers = new Set([...codec, ...fuzzed, ...ELSEWHERE])
for (const file of [...NO_PARSERS, ...COMPOSED]) parsers.delete(file)

function read(file: string): string {
  return readFileSync(`${ROOT}/${file}`, 'utf8')
}

/** The comment lines at the start of a file. */
function firstComment(file: string): string {
  return /^(\/\/.*\n)*/.exec(read(file))![0].replaceAll(/\n?\/\/ /g, ' ')
}

test('there are parsers, and each list names existing files', () => {
  expect(parsers.size).toBeGreaterThan(50)
  expect(codec).toEqual(expect.arrayContaining(NO_PARSERS))
  expect(fuzzed).toEqual(expect.arrayContaining(COMPOSED))
})

test.each([...parsers])('%s states the bounds of its output and time in its first comment', (file) => {
  expect(firstComment(file)).toMatch(/ Bound: \w.{15,}\./)
})
