import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import type { Log } from '../../../src/core/log.ts'
import { findFfmpeg, findProgram } from '../../../src/ffmpeg/probe.ts'
import { ffmpegPath } from '../../helpers/binaries.ts'
import { quiet } from './clips.ts'

let folder: string
const PATH = process.env.PATH

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'probe-'))
})
afterAll(() => rmSync(folder, { recursive: true }))
afterEach(() => {
  process.env.PATH = PATH
})

function script(name: string, body: string): string {
  const file = join(folder, name)
  writeFileSync(file, `#!/bin/sh\n${body}\n`)
  chmodSync(file, 0o755)
  return file
}

const find = (path: string | undefined, videoEncoder = 'libx264', log: Log = quiet) =>
  findFfmpeg({ path, videoEncoder, log })

describe('findFfmpeg', () => {
  it('uses the path in FFMPEG_PATH', async () => {
    const found = await find(ffmpegPath())
    expect(found).toMatchObject({ path: ffmpegPath(), videoEncoder: 'libx264' })
    expect(found.version.major).toBeGreaterThanOrEqual(4)
    expect(found.encoders.has('libx264')).toBe(true)
    expect(found.encoders.has('rawvideo')).toBe(true)
  })

  it('lists the video codecs it decodes, without AV1 where only hardware decodes it', async () => {
    expect((await find(ffmpegPath())).decodes).toEqual(expect.arrayContaining(['h264', 'hevc', 'vp8', 'vp9']))
    const lacking = script('lacking', `${ffmpegPath()} "$@" | grep -Ev 'libdav1d|libaom|libgav1'`)
    const { decodes } = await findProgram({ path: lacking, log: quiet })
    expect(decodes).toContain('h264')
    expect(decodes).not.toContain('av1')
  })

  it('tries each encoder before choosing one', async () => {
    const found = await find(ffmpegPath(), 'auto')
    expect(['h264_nvenc', 'h264_vaapi', 'libx264']).toContain(found.videoEncoder)
  })

  it('looks on PATH', async () => {
    const other = script('ffmpeg', `exec ${ffmpegPath()} "$@"`)
    process.env.PATH = `/nowhere:${folder}:${PATH}`
    expect((await find(undefined)).path).toBe(other)
  })

  it('falls back to the npm package, and names a better choice', async () => {
    process.env.PATH = '/nowhere'
    const said: unknown[] = []
    const log = { ...quiet, warn: (...args: unknown[]) => said.push(args) }
    // The package is optional: where it is not installed, the error must name the fix.
    const outcome = await find(undefined, 'libx264', log).catch((thrown: Error) => thrown.message)
    if (typeof outcome === 'string') expect(outcome).toMatch(/FFMPEG_PATH is not set and there is none on PATH/)
    else {
      expect(outcome.path).toContain('ffmpeg-installer')
      expect(said).toHaveLength(1)
      expect(JSON.stringify(said)).toContain('FFMPEG_PATH')
    }
  })

  it.each([
    ['no such file', () => '/nowhere/ffmpeg', /^FFMPEG_PATH is "\/nowhere\/ffmpeg", which cannot be run: there is no/],
    ['another program', () => script('other', 'echo hello'), /which is no ffmpeg: it says "hello"$/],
    ['a program that fails', () => script('fails', 'exit 3'), /which cannot be run: .*version 4 or newer$/],
    [
      'an old one',
      () => script('old', 'echo "ffmpeg version 2.8.17"; echo "libavcodec     56. 60.100"'),
      /version 2\.8\.17; accepted is version 4 or newer$/,
    ],
  ])('refuses %s', async (_name, path, message) => {
    await expect(find(path())).rejects.toMatchObject({ code: 'ffmpeg-failed', message: expect.stringMatching(message) })
  })

  it('reads the version of releases and development builds', async () => {
    const version = async (first: string, codec: string) => {
      const body = `[ "$1" = -version ] && { echo "${first}"; echo "libavcodec     ${codec}"; exit 0; }`
      return (await find(script('some', `${body}\nexec ${ffmpegPath()} "$@"`))).version
    }
    expect(await version('ffmpeg version n8.0.1 Copyright', '62. 11.100')).toEqual({
      major: 8,
      minor: 0,
      text: 'n8.0.1',
    })
    expect(await version('ffmpeg version 5.1.9-0+deb12u1 C', '59. 37.100')).toMatchObject({ major: 5, minor: 1 })
    expect(await version('ffmpeg version N-47683-g0e8eb07980-static C', '58. 42.100')).toMatchObject({
      major: 4,
      minor: 0,
    })
    expect(await version('ffmpeg version git-2026 C', '63. 1.100')).toMatchObject({ major: 9 })
  })

  it('refuses an encoder that is unknown or does not work', async () => {
    await expect(find(ffmpegPath(), 'h265')).rejects.toThrow(
      'VIDEO_ENCODER is "h265"; accepted are auto, h264_nvenc, h264_vaapi, libx264',
    )
    const without = script('without', `[ "$2" = -encoders ] && exit 0\nexec ${ffmpegPath()} "$@"`)
    await expect(find(without, 'auto')).rejects.toThrow(
      /^VIDEO_ENCODER is "auto", but .* cannot use it \(h264_nvenc: it is not compiled into this ffmpeg; .*libx264/,
    )
    const broken = script(
      'broken',
      `case "$*" in *libx264*) echo "no licence" >&2; exit 1;; esac\nexec ${ffmpegPath()} "$@"`,
    )
    await expect(find(broken)).rejects.toThrow(/\(libx264: no licence\)$/)
  })
})
