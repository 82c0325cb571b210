import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { TICKS_PER_SECOND } from '../../../src/core/clock.ts'
import type { AudioTrack, EncodedPacket } from '../../../src/core/media/packet.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { aroundPath } from '../../../src/stream/audio/paths.ts'
import { descendants, nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { quiet, runFfmpeg, testFfmpeg } from '../ffmpeg/clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>
beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

/** Six seconds of a tone, packet by packet. */
function tone(coder: string[]): EncodedPacket<AudioTrack>[] {
  const args = ['-f', 'lavfi', '-i', 'sine=440:d=6:r=48000', ...coder, '-f', 'mpegts', 'pipe:1']
  const reader = new TsReader()
  return [...reader.push(runFfmpeg(ffmpeg.path, args)), ...reader.flush()] as EncodedPacket<AudioTrack>[]
}

const within = (packets: EncodedPacket<AudioTrack>[], from: number, to: number) => {
  const start = packets[0]!.pts
  return packets.filter(({ pts }) => pts >= start + from * TICKS_PER_SECOND && pts < start + to * TICKS_PER_SECOND)
}

function open(signal: AbortSignal) {
  const out: EncodedPacket[] = []
  const failures: string[] = []
  const path = aroundPath(
    { ffmpeg, onPacket: (packet) => out.push(packet), onFailure: ({ message }) => failures.push(message) },
    { signal, log: quiet },
  )
  return { path, out, failures }
}

it('a format that changes with nearly every packet starts few processes, and the last one is heard', async () => {
  const controller = new AbortController()
  const { path, out, failures } = open(controller.signal)
  const formats = [
    ['-c:a', 'aac'],
    ['-c:a', 'libmp3lame'],
    ['-c:a', 'ac3'],
  ].map(tone)
  let most = 0
  for (let i = 0; i < 90; i++) {
    for (const packet of within(formats[i % 3]!, i / 30, (i + 1) / 30)) path.write(packet)
    most = Math.max(most, descendants(process.pid).filter(({ command }) => command.includes('libopus')).length)
    await sleep(10)
  }
  for (const packet of within(formats[0]!, 3, 5.5)) path.write(packet)
  await path.flush()
  expect(failures).toEqual([])
  // One that works, and one that exits.
  expect(most).toBeLessThanOrEqual(2)
  const times = out.map(({ pts }) => pts)
  expect(times).toEqual(times.toSorted((a, b) => a - b))
  const end = formats[0]![0]!.pts + 5.5 * TICKS_PER_SECOND
  expect(Math.abs(times.at(-1)! - end)).toBeLessThan(TICKS_PER_SECOND / 10)
  controller.abort()
})

it('packets received while a transcoder opens are heard from the start, and Opus passes after them', async () => {
  const controller = new AbortController()
  const { path, out } = open(controller.signal)
  const [aac, opus] = [tone(['-c:a', 'aac']), tone(['-c:a', 'libopus'])]
  for (const packet of within(aac, 0, 1)) path.write(packet)
  for (const packet of within(opus, 1, 2)) path.write(packet)
  for (const packet of within(aac, 2, 3)) path.write(packet)
  await path.flush()
  const steps = out.slice(1).map(({ pts }, i) => pts - out[i]!.pts)
  expect(out[0]!.pts - aac[0]!.pts).toBeLessThan(TICKS_PER_SECOND / 20)
  // No packet of 20 ms is missing, except one at each change.
  expect(Math.max(...steps)).toBeLessThan(3 * 1800)
  expect(out.length).toBeGreaterThan(150 - 5)
  controller.abort()
})

it('a transcoder that exits is restarted, and reported', async () => {
  const controller = new AbortController()
  const { path, out, failures } = open(controller.signal)
  const aac = tone(['-c:a', 'aac'])
  for (const packet of within(aac, 0, 1)) path.write(packet)
  await waitFor('audio', () => out.length > 20)
  for (const { pid, command } of descendants(process.pid)) if (command.includes('libopus')) process.kill(pid, 'SIGKILL')
  await waitFor('the failure', () => failures.length > 0)
  const before = out.length
  for (const packet of within(aac, 1, 3)) path.write(packet)
  await waitFor('more audio', () => out.length > before + 50)
  await path.flush()
  controller.abort()
})
