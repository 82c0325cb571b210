import { afterEach, beforeEach, expect, test } from 'vitest'
import { frameBytes } from '../../../src/core/media/frame.ts'
import { FramePool } from '../../../src/core/media/frame-pool.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { type StreamEvent, StreamEvents } from '../../../src/stream/events.ts'
import { Output } from '../../../src/stream/output/output.ts'
import { waitFor } from '../../helpers/wait.ts'
import { numbered, quiet, testFfmpeg } from '../ffmpeg/clips.ts'

/** Counts frames in flight. */
class CountingPool extends FramePool {
  out = 0
  override readonly take = (bytes: number) => {
    this.out++
    return new Uint8Array(bytes)
  }
  override readonly give = () => {
    this.out--
  }
}

let memory: CountingPool
let output: Output
let packets: EncodedPacket[]
let events: StreamEvents
let told: StreamEvent[]

beforeEach(async () => {
  events = new StreamEvents()
  told = []
  events.subscribe((event) => told.push(event))
  memory = new CountingPool()
  const options = {
    ffmpeg: await testFfmpeg(),
    bitrateKbps: 1000,
    keyframeSeconds: 2,
    memory,
    events,
  }
  output = new Output(options, { log: quiet })
  packets = []
  void collect()
})
afterEach(async () => {
  await output.close()
  expect(memory.out).toBe(0)
})

async function collect(): Promise<void> {
  for await (const packet of output.subscribe()) packets.push(packet)
}

function write(first: number, count: number, width = 288, height = 144): void {
  for (let number = first; number < first + count; number++) {
    const frame = numbered(number, number * 3000, width, height)
    const data = memory.take(frame.data.length)
    data.set(frame.data)
    output.write({ ...frame, data })
  }
}

const times = () => packets.map(({ pts }) => pts / 3000)
const upTo = (count: number) => Array.from({ length: count }, (_, i) => i + 1)

test('the initial burst of a publisher waits for the encoder', async () => {
  write(1, 10)
  await waitFor('the burst', () => packets.length === 10)
  expect(times()).toEqual(upTo(10))
  expect(packets[0]?.key).toBe(true)
  expect(output.stats().dropped).toBe(0)
})

test('frames of another size or format wait for their encoder too, in order', async () => {
  write(1, 4)
  write(5, 4, 160, 96)
  write(9, 2)
  await waitFor('all of them', () => packets.length === 10)
  expect(times()).toEqual(upTo(10))
  expect(output.stats()).toMatchObject({ dropped: 0, width: 288, height: 144 })
})

test.each([
  ['yuv420p', 321, 181, 320, 180],
  ['rgb24', 161, 96, 160, 96],
  ['rgba', 160, 97, 160, 96],
  ['gray', 9, 5, 16, 16],
  ['yuv420p', 7, 7, 16, 16],
  ['rgb24', 2, 301, 16, 300],
] as const)('%s frames of %ix%i are sent as %ix%i, reported once', async (format, width, height, ...sent) => {
  write(1, 4)
  const odd = (number: number) => {
    const data = memory.take(frameBytes(format, width, height)).fill(number)
    output.write({ data, format, width, height, pts: number * 3000 })
  }
  for (let number = 5; number < 9; number++) odd(number)
  await waitFor('the odd ones', () => times().at(-1) === 8)
  write(9, 2)
  await waitFor('those of another resolution', () => times().at(-1) === 10)
  for (let number = 11; number < 15; number++) odd(number)
  await waitFor('the odd ones again', () => times().at(-1) === 14)
  for (const number of [8, 14]) {
    const { track } = packets.find(({ pts }) => pts === number * 3000)!
    expect(track.kind === 'video' && [track.width, track.height]).toEqual(sent)
  }
  expect(told.map(({ type }) => type)).toEqual(['log'])
  expect(told[0]).toMatchObject({ line: expect.stringContaining(`${width}x${height} are sent as ${sent.join('x')}`) })
})

test('frames received while the encoder opened are all encoded', async () => {
  write(1, 60)
  await waitFor('all of them', () => packets.length === 60)
  expect(times()).toEqual(upTo(60))
  expect(output.stats().dropped).toBe(0)
})

test('beyond that limit the newest are kept, and the others counted', async () => {
  write(1, 200)
  await waitFor('the newest', () => times().at(-1) === 200)
  const { dropped } = output.stats()
  expect(dropped).toBeGreaterThan(0)
  expect(packets.length).toBe(200 - dropped)
  expect(times()).toEqual(times().toSorted((a, b) => a - b))
})
