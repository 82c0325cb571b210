import { closeSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { Child } from '../../../src/core/child.ts'
import type { VideoFrame } from '../../../src/core/media/frame.ts'
import { REGION_BYTES } from '../../../src/pipeline/ring/frame-layout.ts'
import { FrameRing, formatRegion } from '../../../src/pipeline/ring/frame-ring.ts'
import { createSharedFile, mapSharedFile } from '../../../src/pipeline/ring/shared-memory.ts'
import { pause, until } from './support/hosts.ts'

const PEER = fileURLToPath(new URL('./support/ring-peer.ts', import.meta.url))

// Both sides check every byte they receive.
test.each([
  { frames: 100_000, width: 16, height: 16, backlog: 0 },
  { frames: 100_000, width: 16, height: 16, backlog: 8 },
  { frames: 100_000, width: 96, height: 64, backlog: 0 },
  { frames: 3000, width: 1280, height: 720, backlog: 3 },
])(
  '$frames frames of $width x $height at full speed, bursts of $backlog: none torn, none out of order, all accounted for',
  async (size) => {
    const { frames, width, height, backlog } = size
    const fd = createSharedFile(REGION_BYTES)
    const memory = mapSharedFile(fd, REGION_BYTES)
    formatRegion(memory.buffer)
    const input = new FrameRing(memory.buffer, 'input')
    const output = new FrameRing(memory.buffer, 'output')
    const stdio = ['ignore', 'ignore', 'inherit', 'ipc', fd] as ['ignore', 'ignore', 'inherit', 'ipc', number]
    await using peer = await Child.spawn({
      command: process.execPath,
      args: [PEER, String(frames - 1), String(backlog)],
      stdio,
    })
    closeSync(fd)
    const told: unknown[] = []
    peer.process.on('message', (message) => told.push(message))
    await until('ready', () => told.length > 0)

    const data = new Uint8Array(width * height)
    let newest = -1
    let back = 0
    const takeAll = () => {
      for (let got = output.takeOldest(); got; got = output.takeOldest()) {
        const { frame } = got
        if (frame.pts <= newest) throw new Error(`output ${frame.pts} came after ${newest}`)
        const expected = (frame.pts + 1) % 251
        if (frame.data.some((byte) => byte !== expected)) throw new Error(`output ${frame.pts} is torn`)
        newest = frame.pts
        back++
      }
    }
    for (let pts = 0; pts < frames; pts++) {
      const frame: VideoFrame = { data: data.fill(pts % 251), format: 'gray', width, height, pts }
      input.write(frame, 1)
      takeAll()
      if (pts % 200 === 0) await pause(1)
      if (peer.exit) break
    }
    expect(await peer.closed).toMatchObject({ why: 'ended' })
    takeAll()
    const taken = told[1] as number
    expect(newest).toBe(frames - 1)
    const before = input.count()
    const after = output.count()
    expect(before).toMatchObject({ written: frames, taken, stale: 0, waiting: 0 })
    expect(before.overwritten + before.skipped + before.taken).toBe(frames)
    expect(after).toMatchObject({ written: taken, taken: back, stale: 0, waiting: 0 })
    expect(after.overwritten + after.skipped + back).toBe(taken)
    expect(taken).toBeGreaterThan(10)
    memory.unmap()
  },
)
