import { afterEach, beforeEach, expect, test } from 'vitest'
import { FramePool } from '../../../src/core/media/frame-pool.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { StreamEvents } from '../../../src/stream/events.ts'
import { Output } from '../../../src/stream/output/output.ts'
import { waitFor } from '../../helpers/wait.ts'
import { numbered, quiet, testFfmpeg } from '../ffmpeg/clips.ts'

/** Counts what is on its way. */
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

beforeEach(async () => {
  memory = new CountingPool()
  const options = {
    ffmpeg: await testFfmpeg(),
    bitrateKbps: 1000,
    keyframeSeconds: 2,
    memory,
    events: new StreamEvents(),
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

test('the burst that a publisher begins with waits for the encoder', async () => {
  write(1, 10)
  await waitFor('the burst', () => packets.length === 10)
  expect(times()).toEqual(upTo(10))
  expect(packets[0]?.key).toBe(true)
  expect(output.stats().dropped).toBe(0)
})

test('frames of another shape wait for their encoder too, in order', async () => {
  write(1, 4)
  write(5, 4, 160, 96)
  write(9, 2)
  await waitFor('all of them', () => packets.length === 10)
  expect(times()).toEqual(upTo(10))
  expect(output.stats()).toMatchObject({ dropped: 0, width: 288, height: 144 })
})

test('more than a burst is given up for what is newest, and counted', async () => {
  write(1, 40)
  await waitFor('the newest', () => times().at(-1) === 40)
  const { dropped } = output.stats()
  expect(dropped).toBeGreaterThan(0)
  expect(packets.length).toBe(40 - dropped)
  expect(times()).toEqual(times().toSorted((a, b) => a - b))
})
