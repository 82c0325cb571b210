import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { gzipSync } from 'node:zlib'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { StreamEvent } from '../../../src/stream/events.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { record } from '../../helpers/media/record.ts'
import { runTool } from '../../helpers/run-tool.ts'
import { http, httpJson } from '../../helpers/server/http.ts'
import { type Stage, setStage } from '../../helpers/server/stage.ts'
import { waitFor } from '../../helpers/wait.ts'

const DOC = fileURLToPath(new URL('../../../docs/ffmpeg.md', import.meta.url))
const SECONDS = 3

let stage: Stage
beforeAll(async () => {
  stage = await setStage({ env: { STREAM_LINGER_SECONDS: '1', MAX_STREAMS: '32' } })
})
afterAll(() => stage?.[Symbol.asyncDispose]())

type Row = { name: string; what: string; args: string[] | undefined; how: string; told: string[] }

/** The rows of the tables, by the header of their last column. */
async function tables(): Promise<Map<string, Row[]>> {
  const found = new Map<string, Row[]>()
  let rows: Row[] | undefined
  for (const line of (await readFile(DOC, 'utf8')).split('\n')) {
    const [what = '', how = '', told = ''] = line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
    // Other tables of the page have other headers.
    if (!line.startsWith('|')) rows = undefined
    if (!line.startsWith('|') || what.startsWith('---')) continue
    if (how === 'made with') {
      rows = []
      found.set(told, rows)
    } else {
      const args = /^`(-[^`]*)`$/.exec(how)?.[1]?.split(' ')
      const name = what.toLowerCase().replaceAll(/\W+/g, '-').replace(/^-|-$/g, '')
      rows?.push({ name, what, how, args, told: [...told.matchAll(/`([^`]*)`/g)].map(([, text = '']) => text) })
    }
  }
  return found
}
const all = await tables()

/** Source of streams that ffmpeg cannot write. */
const PLAIN = ['-c:v', 'libx264', '-c:a', 'aac']
const VIDEO_PID = 0x100
const AUDIO_PID = 0x101
const MADE: Record<string, (plain: Buffer) => Buffer> = {
  '16 bytes of error correction code after each packet': (plain) =>
    Buffer.concat(packets(plain).flatMap((packet) => [packet, Buffer.alloc(16, 0xa5)])),
  'audio packets marked as scrambled': (plain) => scrambled(plain, AUDIO_PID),
  'video packets marked as scrambled': (plain) => scrambled(plain, VIDEO_PID),
  'the same, compressed': (plain) => gzipSync(plain),
  'sent with `Content-Encoding: gzip`': (plain) => gzipSync(plain),
}

const packets = (bytes: Buffer) =>
  Array.from({ length: bytes.length / 188 }, (_, i) => bytes.subarray(i * 188, (i + 1) * 188))

function scrambled(bytes: Buffer, pid: number): Buffer {
  const out = Buffer.from(bytes)
  for (const packet of packets(out)) {
    if ((packet.readUInt16BE(1) & 0x1fff) === pid) packet[3] = packet.readUInt8(3) | 0x80
  }
  return out
}

async function bodyOf({ args, how }: Row): Promise<Buffer> {
  const format = args?.includes('-f') ? [] : ['-f', 'mpegts']
  const [made = Buffer.alloc(0)] = await runTool(ffmpegPath(), [
    ...['-v', 'error', '-f', 'lavfi', '-i', `testsrc2=s=320x240:r=25:d=${SECONDS}`],
    ...['-f', 'lavfi', '-i', `sine=440:r=48000:d=${SECONDS}`, '-pix_fmt', 'yuv420p', '-g', '25', '-bf', '0'],
    ...[...(args ?? PLAIN), ...format, 'pipe:1'],
  ])
  if (args) return made
  const make = MADE[how]
  if (!make) throw new Error(`nobody knows how to make "${how}"`)
  return make(made)
}

/** Publishes a row, and returns the events of the stream until it ended. */
async function publish(row: Row, prefix: string) {
  const name = `${prefix}-${row.name}`
  const posted = http('POST', `${stage.url}/ingest/${name}`, { body: await bodyOf(row) })
  const refused = posted.then(({ status, text }) => {
    if (status !== 200) throw new Error(`${name} was refused with ${status}: ${text}`)
    return new Promise<never>(() => {})
  })
  const { ingest } = await Promise.race([
    refused,
    stage.waitForStatus(name, 'video', (now) => (now.ingest?.fps ?? 0) > 0 && !!now.ingest?.codec),
  ])
  await using told = await record(`${stage.url}/streams/${name}/events?lastEventId=0`)
  const events = () =>
    [
      ...told
        .bytes()
        .toString()
        .matchAll(/^data: ?(.*)$/gm),
    ].map(([, json = '{}']) => JSON.parse(json) as StreamEvent)
  const errors = await waitFor('the end of the publication', () => {
    const left = events().some((event) => event.type === 'publisher' && event.event === 'left')
    return left && events().filter((event) => event.type === 'error')
  })
  expect((await posted).status).toBe(200)
  return { ingest, errors }
}

describe('accepted', () => {
  const rows = all.get('in the status') ?? []
  it.concurrent.each(rows)('$what', async (row) => {
    const { ingest, errors } = await publish(row, 'read')
    const [field, value] = row.told
    const status: Record<string, string | undefined> = {
      'ingest.codec': ingest?.codec ?? undefined,
      'ingest.audio': String(ingest?.audio),
      'ingest.audio.codec': ingest?.audio?.codec,
    }
    expect(status[field ?? '']).toBe(value)
    expect(errors).toEqual([])
  })

  it('covers more than a few cases', () => expect(rows.length).toBeGreaterThanOrEqual(13))
})

describe('audio left out', () => {
  const rows = all.get('in the event') ?? []
  it.concurrent.each(rows)('$what', async (row) => {
    const { ingest, errors } = await publish(row, 'left')
    expect(ingest?.audio).toBe(null)
    expect(errors).toMatchObject([{ source: 'audio', message: expect.stringContaining(row.told[0] ?? '-') }])
  })

  it('covers more than a few cases', () => expect(rows.length).toBeGreaterThanOrEqual(4))
})

describe('refused', () => {
  const rows = all.get('in the answer') ?? []
  it.each(rows)('$what', async (row) => {
    const headers: Record<string, string> = row.how.startsWith('sent with') ? { 'content-encoding': 'gzip' } : {}
    const body = await bodyOf(row)
    const url = `${stage.url}/ingest/refused-${row.name}`
    const { status, json } = await httpJson<{ detail: string }>('POST', url, { body, headers })
    expect(json.detail).toContain(row.told[0] ?? '-')
    expect(status).toBe(415)
  })

  it('covers more than a few cases', () => expect(rows.length).toBeGreaterThanOrEqual(13))
})
