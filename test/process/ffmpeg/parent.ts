// Run as a separate process, to be killed: opens one of each and prints their pids.
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { openAudioTranscoder } from '../../../src/ffmpeg/audio/transcoder.ts'
import { openVideoDecoder } from '../../../src/ffmpeg/decoder/decoder.ts'
import { openVideoEncoder } from '../../../src/ffmpeg/encoder/encoder.ts'
import { openTestPattern } from '../../../src/ffmpeg/test-pattern.ts'
import { descendants } from '../../helpers/nothing-left.ts'
import { numbered, quiet, testFfmpeg } from './clips.ts'

const ffmpeg = await testFfmpeg()
const context = { log: quiet }
const shape = { format: 'yuv420p', width: 288, height: 144 } as const
const ignore = () => {}

const encoder = await openVideoEncoder(
  { ffmpeg, ...shape, bitrateKbps: 500, trackId: 'v', onPacket: (packet) => decoder.write(packet) },
  context,
)
const decoder = await openVideoDecoder(
  { ffmpeg, track: { id: 'v', kind: 'video', codec: 'h264' }, format: 'rgb24', onFrame: ignore },
  context,
)
await openAudioTranscoder(
  {
    ffmpeg,
    track: { id: 'a', kind: 'audio', codec: 'aac', sampleRate: 48_000, channels: 2 },
    trackId: 'a',
    onPacket: ignore,
  },
  context,
)
let received = 0
const server = createServer((request) => request.on('data', (chunk: Buffer) => (received += chunk.length))).listen(0)
await openTestPattern({ ffmpeg, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` }, context)

let pts = 0
setInterval(() => {
  encoder.encode(numbered(0, pts))
  pts += 3000
}, 33)
const watch = setInterval(() => {
  if (received < 10_000) return
  clearInterval(watch)
  process.stdout.write(`${JSON.stringify(descendants(process.pid).map(({ pid }) => pid))}\n`)
}, 50)
