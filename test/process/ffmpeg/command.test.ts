import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { AppError } from '../../../src/core/errors.ts'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { type FfmpegOptions, openFfmpeg } from '../../../src/ffmpeg/command.ts'
import { isAlive, nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { quiet, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(() => clean())

const open = (options: Partial<FfmpegOptions>) =>
  openFfmpeg({ name: 'test', path: ffmpeg.path, output: [], sink: { push: () => {} }, ...options }, { log: quiet })

const copy = { input: ['-f', 's16le', '-ar', '8000', '-ac', '1'], output: ['-f', 's16le'] }

describe('an ffmpeg', () => {
  it('returns its input through a pipe, then exits', async () => {
    const chunks: Uint8Array[] = []
    const process = await open({ ...copy, sink: { push: (chunk) => chunks.push(Buffer.from(chunk)) } })
    const sent = Uint8Array.from({ length: 300_000 }, (_, i) => (i * 7) & 0x7f)
    process.write(sent.subarray(0, 100_001), sent.subarray(100_001))
    process.end()
    expect(await process.closed).toEqual({ why: 'ended' })
    expect(Buffer.compare(Buffer.concat(chunks), sent)).toBe(0)
  })

  it('reports how many bytes are pending, and when all are written', async () => {
    let drained = 0
    const process = await open({ ...copy, onDrain: () => drained++ })
    process.write(new Uint8Array(5_000_000))
    expect(process.backlogBytes).toBeGreaterThan(1_000_000)
    await waitFor('the drain', () => drained > 0)
    expect(process.backlogBytes).toBe(0)
    await process.close()
  })

  it('that fails reports the reason', async () => {
    const process = await open({ ...copy, output: ['-nonsense', '1', '-f', 's16le'] })
    const { why, error } = await process.closed
    expect(why).toBe('failed')
    expect(error).toMatchObject({ code: 'ffmpeg-failed', details: { code: 1 } })
    expect(error?.message).toMatch(/^ffmpeg \(test\) exited with code 1: Error/)
    expect(String(error?.details?.stderr)).toContain("Unrecognized option 'nonsense'")
  })

  it('that cannot be started reports the reason', async () => {
    await expect(open({ path: '/nowhere/ffmpeg' })).rejects.toMatchObject({
      code: 'ffmpeg-failed',
      message: expect.stringMatching(/^could not start ffmpeg \(test\) at \/nowhere\/ffmpeg/),
    })
  })

  it('is stopped when its output is not what was expected', async () => {
    const push = () => {
      throw new AppError('unsupported-media', 'not this')
    }
    const process = await open({ ...copy, sink: { push } })
    process.write(new Uint8Array(100_000))
    process.end()
    expect(await process.closed).toMatchObject({ why: 'failed', error: { code: 'unsupported-media' } })
  })

  it('that hangs is detected and stopped', async () => {
    const process = await open(copy)
    globalThis.process.kill(process.pid, 'SIGSTOP')
    process.write(new Uint8Array(2_000_000))
    const { why, error } = await process.closed
    expect(why).toBe('failed')
    expect(error?.message).toBe('ffmpeg (test) took nothing of its input for 10000 ms')
    expect(isAlive(process.pid)).toBe(false)
  })

  it('is killed when it ignores the request to stop', async () => {
    const process = await open(copy)
    globalThis.process.kill(process.pid, 'SIGSTOP')
    expect(await process.close()).toEqual({ why: 'stopped' })
    expect(isAlive(process.pid)).toBe(false)
  })

  it('does not outlive a server that is killed', async () => {
    const script = fileURLToPath(new URL('./parent.ts', import.meta.url))
    const parent = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
    let text = ''
    parent.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk
    })
    await waitFor('the pids', () => text.includes('\n'))
    const pids = JSON.parse(text) as number[]
    expect(pids).toHaveLength(4)
    expect(pids.every(isAlive)).toBe(true)
    parent.kill('SIGKILL')
    await once(parent, 'exit')
    await waitFor('their end', () => !pids.some(isAlive), { limitMs: 10_000 })
  })
})
