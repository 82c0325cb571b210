import { once } from 'node:events'
import { mkdtempSync, readdirSync, readlinkSync, rmSync } from 'node:fs'
import { truncate, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Stage, setStage } from '../helpers/server/stage.ts'
import { waitFor } from '../helpers/wait.ts'

const RECORDING = 'large-20260102T030405006Z.mp4'

let stage: Stage
let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'mr-limits-'))
  stage = await setStage({ env: { MAX_PIXELS: String(320 * 180), MAX_FPS: '10', RECORD_DIR: folder } })
})
afterAll(async () => {
  await stage?.[Symbol.asyncDispose]()
  rmSync(folder, { recursive: true, force: true })
})

/** Whether the server has this file open. */
function holds(file: string): boolean {
  const open = `/proc/${stage.server.pid}/fd`
  return readdirSync(open).some((fd) => {
    try {
      return readlinkSync(join(open, fd)) === file
    } catch {
      return false
    }
  })
}

/** Milliseconds until the server closes a connection on which `text` was sent. */
async function patience(text: string): Promise<number> {
  const { port, hostname } = new URL(stage.url)
  const socket = connect(Number(port), hostname).on('error', () => {})
  await once(socket, 'connect')
  const began = performance.now()
  socket.resume().write(text)
  await once(socket, 'close')
  return performance.now() - began
}

describe.concurrent('limits', () => {
  it('a connection that sends no headers is closed', { timeout: 90_000 }, async () => {
    const [idle, slow] = await Promise.all([patience(''), patience('GET /health HTTP/1.1\r\nHost: x\r\nX-Slow: ')])
    // 20 s, checked every 5 s.
    for (const ms of [idle, slow]) expect(ms).toBeLessThan(45_000)
    expect(slow).toBeGreaterThan(15_000)
  })

  it.each([
    ['a path that does not exist', 'POST /nothing/here'],
    ['a method that a path has not', 'PUT /health'],
    ['a name that is not valid', 'POST /ingest/%00'],
    ['a read', 'GET /health'],
  ])('an answer that leaves a body unread closes its connection: %s', async (_, request) => {
    const { port, hostname } = new URL(stage.url)
    const socket = connect(Number(port), hostname).on('error', () => {})
    await once(socket, 'connect')
    let answer = ''
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text
    })
    const closed = once(socket, 'close')
    socket.write(`${request} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000000\r\n\r\nsome of it`)
    await closed
    expect(answer).toMatch(/^HTTP\/1\.1 [24]\d\d .*\r\nconnection: close\r\n/is)
  })

  it('a client that reads nothing of a recording is disconnected, and a slow one is not', {
    timeout: 120_000,
  }, async () => {
    const file = join(folder, RECORDING)
    await writeFile(file, '')
    // More than the buffers at both ends hold, and sparse.
    await truncate(file, 256 * 1024 * 1024)
    const { port, hostname } = new URL(stage.url)
    const ask = async () => {
      const socket = connect(Number(port), hostname).on('error', () => {})
      await once(socket, 'connect')
      socket.pause().write(`GET /recordings/${RECORDING} HTTP/1.1\r\nHost: ${hostname}\r\n\r\n`)
      return socket
    }
    const stuck = await ask()
    await waitFor('the reading', () => holds(file))
    const began = performance.now()
    await waitFor('its end', () => !holds(file), { limitMs: 75_000, everyMs: 500 })
    expect(performance.now() - began).toBeGreaterThan(15_000)
    stuck.destroy()
    const slow = await ask()
    let taken = 0
    slow.on('data', (chunk: Buffer) => {
      taken += chunk.length
      slow.pause()
    })
    // Slowly, for longer than the limit.
    const taking = setInterval(() => slow.resume(), 20)
    const until = performance.now() + 40_000
    await waitFor('forty seconds', () => performance.now() > until, { limitMs: 60_000, everyMs: 500 })
    clearInterval(taking)
    expect([holds(file), slow.destroyed]).toEqual([true, false])
    expect(taken).toBeGreaterThan(1_000_000)
    slow.destroy()
    await waitFor('its end', () => !holds(file))
  })

  it('frames above the size and rate limits are scaled down and thinned out', { timeout: 90_000 }, async () => {
    await stage.publish('large', await stage.clip({ seconds: 60, width: 1280, height: 720, fps: 30 }))
    // Frames queued while decoder and encoder opened go out faster at first.
    const atRate = ({ egress }: { egress: { fps: number } }) => egress.fps > 8 && egress.fps < 12
    const status = await stage.waitForStatus('large', 'an output at its rate', atRate)
    // Frames the server itself leaves out do not degrade the state of the source.
    const { stateSince } = await stage.waitForStatus('large', 'its state', ({ state }) => state === 'ONLINE')
    await sleep(8000)
    expect(await stage.status('large')).toMatchObject({ state: 'ONLINE', stateSince })
    expect(status.egress.width * status.egress.height).toBeLessThanOrEqual(320 * 180)
    expect(status.egress.width / status.egress.height).toBeCloseTo(16 / 9, 1)
  })
})
