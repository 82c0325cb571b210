import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TsReader } from '../../../src/codec/mpegts/reader.ts'
import { TsWriter } from '../../../src/codec/mpegts/writer.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { decodeNumbers } from '../../helpers/media/probe-ts.ts'
import { record } from '../../helpers/media/record.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'

type Problem = { status: number; code: string; detail: string; errors?: { path: string }[] }

let stage: Stage
/** The playable program of each stream, identified by its width. */
let clip: string
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1', MAX_STREAMS: '4' } })
  clip = await stage.clip({ seconds: 6, width: 320, height: 240, fps: 30, gop: 30, audio: true })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

/** Programs as ffmpeg writes them: `streams` as program 1, and the clip as program 2. */
async function two(name: string, other: string[], streams = 1): Promise<Buffer> {
  const file = join(stage.folder, `${name}.ts`)
  const first = Array.from({ length: streams }, (_, i) => `:st=${i}`).join('')
  await runTool(ffmpegPath(), [
    ...['-v', 'error', '-y', '-i', clip, '-f', 'lavfi', '-i', 'testsrc2=s=640x360:r=30:d=6'],
    ...['-f', 'lavfi', '-i', 'sine=440:d=6', ...other, '-map', '0:v', '-map', '0:a'],
    ...[`-c:${streams}`, 'copy', `-c:${streams + 1}`, 'copy'],
    ...['-program', `program_num=1${first}`, '-program', `program_num=2:st=${streams}:st=${streams + 1}`],
    ...['-f', 'mpegts', file],
  ])
  return await readFile(file)
}

const H264 = ['-map', '1:v', '-c:0', 'libx264', '-preset:0', 'ultrafast', '-g:0', '30']

/** Publishes, and watches until the body has been read. */
async function play(name: string, body: Uint8Array, { path = '/ingest', query = '' } = {}) {
  const posted = http('POST', `${stage.url}${path}/${name}${path === '/trickle' ? '/0' : ''}${query}`, { body })
  const status = await stage.waitForStatus(
    name,
    'frames',
    ({ egress, ingest }) => egress.fps > 0 && ingest !== undefined,
  )
  await using viewer = await record(`${stage.url}/out/${name}.ts`)
  expect((await posted).status).toBe(200)
  viewer.stop()
  return { status, bytes: viewer.bytes() }
}

describe('programs', () => {
  it.each<[string, string[], number?]>([
    ['mpeg2', ['-map', '1:v', '-c:0', 'mpeg2video']],
    ['radio', ['-map', '2:a', '-c:0', 'aac']],
    ['ac3', ['-map', '2:a', '-c:0', 'ac3']],
  ])('the second one is played when the first one is unplayable: %s', async (name, other, streams) => {
    const { status, bytes } = await play(name, await two(name, other, streams))
    expect(status.ingest).toMatchObject({ program: 2, codec: 'h264', width: 320 })
    const numbers = (await decodeNumbers(bytes)).filter(({ number }) => number !== undefined)
    expect(numbers.length).toBeGreaterThan(30)
  })

  it('the first of two playable ones is played, or the one the query names', async () => {
    const body = await two('both', [...H264, '-map', '2:a', '-c:1', 'aac'], 2)
    expect((await play('first', body)).status.ingest).toMatchObject({ program: 1, width: 640 })
    expect((await play('second', body, { query: '?program=2' })).status.ingest).toMatchObject({
      program: 2,
      width: 320,
    })
    const refused = await httpJson<Problem>('POST', `${stage.url}/ingest/none?program=77`, { body })
    expect(refused).toMatchObject({ status: 400, json: { code: 'invalid-request' } })
    expect(refused.json.detail).toMatch(/no program 77; its programs are: 1, 2/)
  })

  it.each(['0', '65536', '-1', '1.5', 'one', ''])('?program=%s is refused before the body is read', async (program) => {
    for (const path of ['/ingest/bad', '/trickle/bad/0']) {
      const url = `${stage.url}${path}?program=${program}`
      const { status, text } = await http('POST', url, { body: new Uint8Array(2000) })
      expect(status).toBe(400)
      expect(text).toContain('a whole number from 1 to 65535')
    }
  })

  it('of trickle segments are selected by the query of the first segment', async () => {
    const body = await two('trickled', H264)
    const posted = http('POST', `${stage.url}/trickle/trickled/0?program=2`, { body })
    const status = await stage.waitForStatus('trickled', 'frames', ({ egress, ingest }) => egress.fps > 0 && !!ingest)
    expect(status.ingest).toMatchObject({ program: 2, width: 320, kind: 'trickle' })
    await http('DELETE', `${stage.url}/trickle/trickled`)
    await posted
  })
})

it('video announced a second after the audio is waited for', async () => {
  const long = await stage.clip({ seconds: 7, width: 320, height: 240, fps: 30, gop: 30, audio: true })
  const reader = new TsReader()
  const packets = [...reader.push(await readFile(long)), ...reader.flush()].toSorted((a, b) => a.pts - b.pts)
  const second = packets.filter(({ track, key }) => track.kind === 'video' && key)[1]!.pts
  const late = packets.filter(({ track, pts }) => track.kind === 'audio' || pts >= second)
  const writer = new TsWriter()
  const { status, bytes } = await play('grown', Buffer.concat(late.map((packet) => writer.write(packet))))
  expect(status.ingest).toMatchObject({ program: 1, codec: 'h264', audio: { codec: 'aac' } })
  const numbers = (await decodeNumbers(bytes)).filter(({ number }) => number !== undefined)
  expect(numbers.length).toBeGreaterThan(30)
  expect(numbers.length).toBeGreaterThan(30)
})
