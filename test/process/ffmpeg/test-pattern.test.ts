import { once } from 'node:events'
import { createServer, type IncomingMessage, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Ffmpeg } from '../../../src/ffmpeg/binary.ts'
import { openTestPattern } from '../../../src/ffmpeg/test-pattern.ts'
import { nothingLeft } from '../../helpers/nothing-left.ts'
import { waitFor } from '../../helpers/wait.ts'
import { quiet, readNut, runFfmpeg, testFfmpeg } from './clips.ts'

let ffmpeg: Ffmpeg
let clean: ReturnType<typeof nothingLeft>
let server: Server | undefined

beforeAll(async () => {
  ffmpeg = await testFfmpeg()
})
beforeEach(() => {
  clean = nothingLeft()
})
afterEach(async () => {
  server?.closeAllConnections()
  server?.close()
  server = undefined
  await clean()
})

async function listen(answer: RequestListener): Promise<string> {
  server = createServer(answer).listen(0, '127.0.0.1')
  await once(server, 'listening')
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}/ingest/demo`
}

describe('the test pattern', () => {
  it('is published in real time, with beeps in sync with the flashes', async () => {
    const chunks: Buffer[] = []
    let request: IncomingMessage | undefined
    const url = await listen((incoming) => {
      request = incoming.on('data', (chunk: Buffer) => chunks.push(chunk)).on('error', () => {})
    })
    const options = { ffmpeg, url, width: 320, height: 180, fps: 25, headers: { authorization: 'Bearer x' } }
    const frame = await openTestPattern(options, { log: quiet })
    await waitFor('the request', () => chunks.length > 0)
    const began = performance.now()
    await new Promise((resolve) => setTimeout(resolve, 3500))
    const seconds = (performance.now() - began) / 1000
    expect(await frame.close()).toEqual({ why: 'stopped' })
    expect(request).toMatchObject({
      method: 'POST',
      headers: { authorization: 'Bearer x', 'content-type': 'video/mp2t' },
    })

    const ts = Buffer.concat(chunks)
    const raw = (args: string[]) =>
      readNut(runFfmpeg(ffmpeg.path, ['-i', 'pipe:0', ...args, '-f', 'nut', 'pipe:1'], ts))
    const video = raw(['-copyts', '-an', '-c:v', 'rawvideo', '-pix_fmt', 'gray'])
    expect(video.stream).toMatchObject({ kind: 'video', width: 320, height: 180 })
    expect(Math.abs(video.frames.length / 25 - seconds)).toBeLessThan(1)
    const keys = raw(['-copyts', '-an', '-c:v', 'copy']).frames.filter(({ key }) => key)
    expect(keys.length).toBeGreaterThanOrEqual(3)

    const audio = raw(['-copyts', '-vn', '-c:a', 'pcm_s16le', '-ac', '1'])
    const timeOf = ({ pts }: { pts: number }, { timeBase }: typeof video.stream) => (pts * timeBase.num) / timeBase.den
    const middle = 90 * 320 + 160
    const flashes = video.frames
      .map((frame) => ({ at: timeOf(frame, video.stream), on: frame.data[middle]! > 240 }))
      .filter(({ on }, i, all) => on && i > 0 && !all[i - 1]!.on)
    const beeps: number[] = []
    let loudUntil = -1
    for (const frame of audio.frames) {
      const samples = new Int16Array(frame.data.buffer, frame.data.byteOffset, frame.data.length / 2)
      for (const [i, sample] of samples.entries()) {
        if (Math.abs(sample) < 2000) continue
        const at = timeOf(frame, audio.stream) + i / 48_000
        if (at > loudUntil + 0.2) beeps.push(at)
        loudUntil = at
      }
    }
    expect(flashes.length).toBeGreaterThanOrEqual(2)
    for (const { at } of flashes) expect(Math.min(...beeps.map((beep) => Math.abs(beep - at)))).toBeLessThan(0.045)
  })

  it('ends with the error of the server', async () => {
    const url = await listen((request, response) => {
      request.resume()
      response.writeHead(409, { 'content-type': 'application/problem+json' }).end('{"detail":"there is one already"}')
    })
    const frame = await openTestPattern({ ffmpeg, url }, { log: quiet })
    const { why, error } = await frame.closed
    expect(why).toBe('failed')
    expect(error?.message).toBe(
      'the server refused the test pattern with status 409: {"detail":"there is one already"}',
    )
  })

  it('ends when the server is unreachable or goes away', async () => {
    const none = await openTestPattern({ ffmpeg, url: 'http://127.0.0.1:1/' }, { log: quiet })
    expect(await none.closed).toMatchObject({ why: 'failed', error: { code: 'ffmpeg-failed' } })
    const url = await listen((request) => request.once('data', () => request.socket.destroy()))
    const frame = await openTestPattern({ ffmpeg, url, width: 320, height: 180 }, { log: quiet })
    expect(await frame.closed).toMatchObject({ why: 'failed', error: { code: 'ffmpeg-failed' } })
  })
})
