import { PassThrough, Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { describe, expect, test } from 'vitest'
import { TsWriter } from '../../../src/codec/mpegts/writer.ts'
import { AppError } from '../../../src/core/errors.ts'
import type { IngestSource, MissingMedia } from '../../../src/core/media/endpoints.ts'
import type { EncodedPacket } from '../../../src/core/media/packet.ts'
import { openTsSource } from '../../../src/mpegts/source.ts'
import { LogCollector } from '../../helpers/server/logs.ts'
import {
  AAC,
  AAC_STREAM,
  audioPackets,
  frames,
  H264_STREAM,
  HandMux,
  hex,
  OPUS,
  VIDEO,
} from '../codec/mpegts/ts-samples.ts'

const context = () => ({ log: new LogCollector().log })

/** A body fed chunk by chunk that records how it was read. */
class Body implements AsyncIterable<Uint8Array> {
  reads = 0
  returned = false
  readonly #pieces: (Uint8Array | Error | 'end')[] = []
  #wake: (() => void) | undefined

  give(...pieces: (Uint8Array | Error | 'end')[]): this {
    this.#pieces.push(...pieces)
    this.#wake?.()
    return this
  }

  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return {
      next: async () => {
        this.reads++
        while (this.#pieces.length === 0) {
          const { promise, resolve } = Promise.withResolvers<void>()
          this.#wake = resolve
          await promise
        }
        const piece = this.#pieces.shift()
        if (piece instanceof Error) throw piece
        return piece === 'end' || piece === undefined ? { done: true, value: undefined } : { done: false, value: piece }
      },
      return: async () => {
        this.returned = true
        return { done: true, value: undefined }
      },
    }
  }
}

function mux(packets: EncodedPacket[], tracks = packets.map(({ track }) => track)): Uint8Array[] {
  const writer = new TsWriter(tracks)
  return packets.toSorted((a, b) => a.pts - b.pts).map((packet) => writer.write(packet))
}

async function refusal(body: AsyncIterable<Uint8Array>, openTimeoutMs?: number): Promise<AppError> {
  const opening = openTsSource({ kind: 'mpegts', bytes: body, ...(openTimeoutMs && { openTimeoutMs }) }, context())
  const thrown = await opening.then(
    () => new Error('it was opened'),
    (error: unknown) => error,
  )
  expect(thrown).toBeInstanceOf(AppError)
  return thrown as AppError
}

async function readAll(source: IngestSource): Promise<EncodedPacket[]> {
  const packets: EncodedPacket[] = []
  for await (const packet of source.packets) packets.push(packet)
  return packets
}

const byKind = (packets: EncodedPacket[]) => packets.toSorted((a, b) => a.track.kind.localeCompare(b.track.kind))

describe('opening', () => {
  test('waits for the first keyframe and the first audio, and delivers all packets', async () => {
    const packets = [...frames(40), ...audioPackets(60)]
    const body = new Body().give(...mux(packets), 'end')
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    expect(source.kind).toBe('mpegts')
    expect(source.tracks).toEqual([VIDEO, AAC])
    expect(byKind(await readAll(source))).toEqual(byKind(packets))
    expect(await source.closed).toEqual({ why: 'ended' })
    expect(source.stats().lost).toBe(0)
    expect(source.stats().bytes).toBe(mux(packets).reduce((sum, { length }) => sum + length, 0))
  })

  test('waits for audio for at most one second of stream', async () => {
    const body = new Body().give(...mux(frames(60), [VIDEO, AAC]))
    const source = await openTsSource({ kind: 'trickle', bytes: body }, context())
    expect(source.kind).toBe('trickle')
    expect(source.tracks).toEqual([VIDEO])
    expect(body.reads).toBeLessThan(40)
    await source.close()
  })

  test('audio alone is enough when nothing else arrives until the end', async () => {
    const body = new Body().give(...mux(audioPackets(5)), 'end')
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    expect(source.tracks).toEqual([AAC])
    await source.close()
  })

  test('video that joins an audio-only program is waited for', async () => {
    const late = frames(30).map((packet) => ({ ...packet, pts: packet.pts + 2 * 90_000 }))
    const body = new Body().give(...mux([...audioPackets(200), ...late], []))
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    expect(source.tracks).toEqual([VIDEO, AAC])
    expect(source.stats()).toMatchObject({ program: 1, lost: 0 })
    await source.close()
    const error = await refusal(new Body().give(...mux(audioPackets(20))), 50)
    expect(error.message).toContain('audio but no video within 50 ms')
  })

  test('a missing program is an error that lists the existing ones', async () => {
    const body = new Body().give(...mux(frames(30)), 'end')
    const opening = openTsSource({ kind: 'mpegts', bytes: body, program: 7 }, context())
    const message = expect.stringContaining('no program 7; its programs are: 1')
    await expect(opening).rejects.toMatchObject({ code: 'invalid-request', message })
  })

  test('a short stream is opened with what it contained', async () => {
    const body = new Body().give(...mux(frames(2), [VIDEO, OPUS]), 'end')
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    expect(source.tracks).toEqual([VIDEO])
    expect((await readAll(source)).length).toBe(2)
  })
})

describe('refusals', () => {
  test.each([
    ['an MP4', '0000001c 66747970 69736f6d', 'MP4'],
    ['a Matroska file', '1a45dfa3 01000000', 'Matroska'],
    ['FLV', '464c5601 05000000', 'FLV'],
    ['HTML', Buffer.from('<!doctype html>').toString('hex'), 'HTML'],
    ['JSON', Buffer.from('{"a":1}').toString('hex'), 'JSON'],
    ['gzip', '1f8b0800 00000000 0003', 'gzip (send it without compression)'],
    ['a ZIP archive', '504b0304 14000000', 'ZIP'],
    ['bare H.264', '00000001 6742', 'without a container'],
  ])('%s is reported at once', async (_, head, name) => {
    const rest = new Uint8Array(5000).fill(3)
    const error = await refusal(new Body().give(hex(head), rest))
    expect(error.code).toBe('unsupported-media')
    expect(error.message).toContain(name)
    expect(error.message).toContain('ffmpeg')
    expect((await refusal(new Body().give(hex(head), 'end'))).message).toContain(name)
  })

  test('unknown bytes are read up to one megabyte', async () => {
    const body = new Body()
    for (let i = 0; i < 40; i++) body.give(new Uint8Array(65_536).fill(7))
    const error = await refusal(body)
    expect(error).toMatchObject({ code: 'unsupported-media', details: { bytes: 1024 * 1024 } })
    expect(body.returned).toBe(true)
  })

  test('unsupported codecs and scrambled programs are named', async () => {
    const mpeg2 = new HandMux().tables({ streamType: 2, pid: 0x100, descriptors: [] })
    expect((await refusal(new Body().give(mpeg2, mpeg2))).message).toContain('MPEG-2 video')
    const bytes = new Uint8Array(Buffer.concat(mux(frames(3))))
    for (let at = 0; at < bytes.length; at += 188) bytes[at + 3] = (bytes[at + 3] as number) | 0xc0
    expect((await refusal(new Body().give(bytes))).message).toContain('scrambled')
  })

  test('video without a keyframe', async () => {
    const body = new Body().give(...mux(frames(30).slice(1, 9)), 'end')
    const error = await refusal(body)
    expect(error.message).toContain('no video keyframe before it ended')
  })

  test('nothing within the time limit', async () => {
    expect(await refusal(new Body(), 30)).toMatchObject({ code: 'timeout', retryable: true })
    const tables = new HandMux().tables(H264_STREAM, AAC_STREAM)
    const silent = await refusal(new Body().give(tables, tables), 30)
    expect(silent).toMatchObject({ code: 'unsupported-media' })
    expect(silent.message).toContain('no video keyframe within 30 ms')
    expect((await refusal(new Body().give(new Uint8Array(9)), 30)).message).toContain('no MPEG-TS')
    expect((await refusal(new Body().give('end'))).message).toContain('nothing came')
  })

  test('an abort ends the opening', async () => {
    const controller = new AbortController()
    const body = new Body()
    const opening = openTsSource({ kind: 'mpegts', bytes: body }, { ...context(), signal: controller.signal })
    setTimeout(() => controller.abort(), 10)
    await expect(opening).rejects.toBeInstanceOf(AppError)
    expect(body.returned).toBe(true)
  })
})

describe('while open', () => {
  test('a packet is delivered in the same tick as its last byte', async () => {
    const chunks = mux(frames(30))
    const body = new Body().give(...chunks.slice(0, 10))
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    const packets = source.packets[Symbol.asyncIterator]()
    for (let i = 0; i < 10; i++) await packets.next()
    let came: EncodedPacket | undefined
    void packets.next().then(({ value }) => {
      came = value
    })
    await sleep(5)
    expect(came).toBeUndefined()
    body.give(chunks[10] as Uint8Array)
    // Microtasks run before it.
    await new Promise((resolve) => process.nextTick(() => setImmediate(resolve)))
    expect(came?.pts).toBe(90_000 + 10 * 3000)
    await source.close()
  })

  test('bytes are read only as fast as packets are consumed', async () => {
    const body = new Body().give(...mux(frames(200)))
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    const packets = source.packets[Symbol.asyncIterator]()
    for (let i = 0; i < 20; i++) await packets.next()
    await sleep(10)
    expect(body.reads).toBeLessThan(25)
    await source.close()
  })

  test('close ends the packets, also while waiting for bytes', async () => {
    const body = new Body().give(...mux(frames(10)))
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    const reading = readAll(source)
    await sleep(5)
    expect(await source.close()).toEqual({ why: 'stopped' })
    expect((await reading).length).toBe(10)
    expect(body.returned).toBe(true)
    expect(await source.close()).toEqual({ why: 'stopped' })
  })

  test('closing before the first read, and a reader that leaves', async () => {
    const body = new Body().give(...mux(frames(10)))
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    expect(await source.close()).toEqual({ why: 'stopped' })
    expect(body.returned).toBe(true)
    const other = await openTsSource({ kind: 'mpegts', bytes: new Body().give(...mux(frames(10))) }, context())
    for await (const packet of other.packets) if (packet.pts > 90_000) break
    expect(await other.closed).toEqual({ why: 'stopped' })
  })

  test('a lost connection is an error that may be retried', async () => {
    const body = new Body().give(...mux(frames(10)), new Error('aborted'))
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    expect((await readAll(source)).length).toBe(10)
    const { why, error } = await source.closed
    expect(why).toBe('failed')
    expect(error).toMatchObject({ code: 'peer-failed', retryable: true })
    expect(error?.message).toContain('aborted')
  })

  test('media that is unreadable or gone is reported, and later media is read', async () => {
    const mpeg2 = { streamType: 2, pid: 0x100, descriptors: [] }
    const unread = new HandMux().tables(mpeg2, { streamType: 0x82, pid: 0x101, descriptors: [] })
    const gone = new HandMux().tables(mpeg2)
    const again = mux(frames(10))
    const body = new Body().give(...mux(frames(10)), unread, gone, ...again, 'end')
    const source = await openTsSource({ kind: 'mpegts', bytes: body }, context())
    const told: MissingMedia[] = []
    source.onMissing?.((missing) => told.push(missing))
    const packets = await readAll(source)
    expect(await source.closed).toEqual({ why: 'ended' })
    expect(packets.filter(({ track }) => track.kind === 'video')).toHaveLength(20)
    expect(told).toEqual([
      // There was none at the start.
      { kind: 'audio' },
      { kind: 'video', why: expect.stringContaining('the video is not read: MPEG-2 video (stream type 0x02)') },
      { kind: 'audio', why: expect.stringContaining('DTS') },
      { kind: 'audio' },
    ])
  })

  test('a Node stream is not destroyed', async () => {
    const stream = new PassThrough()
    for (const chunk of mux(frames(10))) stream.write(chunk)
    const source = await openTsSource({ kind: 'mpegts', bytes: stream }, context())
    await source.close()
    expect(stream.destroyed).toBe(false)
    const text = Readable.from([Buffer.from('{}'.repeat(4000))])
    await refusal(text)
    expect(text.destroyed).toBe(false)
  })
})
